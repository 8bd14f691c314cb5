"""`manage.py config export [FILE] | plan PATH | apply PATH | import-prometheus FILE`: configuration as YAML files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from alerts.external import rules
from wedsync_monitor import audit
from wedsync_monitor.configuration import applying, documents, entries, report, text
from wedsync_monitor.configuration.registry import kinds
from wedsync_monitor.models import User

WOULD_CHANGE = 2


class Command(BaseCommand):
    help = (
        "Export the configuration as YAML, say what files would change (exit code 0: nothing, 2: something, "
        "1: they cannot be applied), or apply them: all of it or nothing. Rules of Prometheus become such a file "
        "(exit code 2: not all of them)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parts = parser.add_subparsers(dest="part", required=True)
        exporting = parts.add_parser("export", help="write the configuration to FILE, or print it")
        exporting.add_argument("file", nargs="?", type=Path)
        exporting.add_argument("--section", action="append", default=[], help="this section only; may be repeated")
        planning = parts.add_parser("plan", help="say what would change")
        apply = parts.add_parser("apply", help="change it")
        for one in (planning, apply):
            one.add_argument("path", type=Path, help="a file, or a folder of which every .yaml file is read")
            one.add_argument("--prune", action="store_true", help="delete what the files' sections do not name")
        importing = parts.add_parser("import-prometheus", help="Prometheus's alerting rules as a file to be applied")
        importing.add_argument("path", type=Path, help="a file of rules, or a PrometheusRule resource")
        importing.add_argument("--output", type=Path, help="write the file there instead of printing it")
        importing.add_argument(
            "--ignore-label", action="append", default=[], help="leave out matchers of this label; may be repeated"
        )
        for one in (exporting, planning, apply):
            one.add_argument("--as", dest="username", help="as this person: by their roles, and in the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        person = _person(options.get("username"))
        with audit.acting(person or "command line"):
            getattr(self, f"_{options['part'].replace('-', '_')}")(person, options)

    def _export(self, person: User | None, options: dict[str, Any]) -> None:
        if unknown := set(options["section"]) - set(kinds()):
            raise CommandError(f"No section is called {unknown.pop()}; there are: {', '.join(kinds())}.")
        said = documents.exported(person, timezone.now(), options["section"])
        self._write(options["file"], said)

    def _write(self, path: Path | None, said: str) -> None:
        if path is None:
            self.stdout.write(said, ending="")
            return
        try:
            path.write_text(said, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error}.") from error

    def _plan(self, person: User | None, options: dict[str, Any]) -> None:
        if not self._told(applying.plan, person, options):
            sys.exit(WOULD_CHANGE)

    def _apply(self, person: User | None, options: dict[str, Any]) -> None:
        self._told(applying.apply, person, options)

    def _import_prometheus(self, person: User | None, options: dict[str, Any]) -> None:
        path: Path = options["path"]
        if path.is_dir():
            raise CommandError(f"{path} is a folder: name one file of it.")
        try:
            found = rules.imported(entries.files_at(path)[0][1], options["ignore_label"])
        except (entries.Refused, text.Unreadable) as error:
            raise CommandError(f"{path}: {error}") from error
        self._write(options["output"], found.written)
        for name, why in found.refused:
            self.stderr.write(f"not taken: {name}: {why}")
        self.stderr.write(f"{len(found.entries)} rules taken, {len(found.refused)} not.")
        if found.refused:
            sys.exit(WOULD_CHANGE)

    def _told(self, do: Any, person: User | None, options: dict[str, Any]) -> bool:
        """Do it and print what it says; whether that is nothing."""
        try:
            said = entries.read(entries.files_at(options["path"]))
            changes = do(applying.Order(said, options["prune"], person, timezone.now(), os.environ))
        except entries.Refused as error:
            raise CommandError(f"{error}\nNothing was changed.") from error
        for line in report.lines(changes):
            self.stdout.write(line)
        return report.is_nothing(changes)


def _person(username: str | None) -> User | None:
    if username is None:
        return None
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None:
        raise CommandError(f"Nobody active has the user name {username!r}.")
    return person
