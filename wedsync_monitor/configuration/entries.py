"""What files of configuration say: entries by section and name; and what is wrong with them, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wedsync_monitor.configuration import text
from wedsync_monitor.configuration.kinds import Kind
from wedsync_monitor.configuration.registry import kinds

_HEAD = re.compile(r"[^.\[]*")


@dataclass(frozen=True)
class Problem:
    """Why a file cannot be applied: where, and what to write instead."""

    file: str
    detail: str
    section: str = ""
    name: str = ""
    field: str = ""

    @property
    def place(self) -> str:
        """The path of what is wrong: alert_rules["High CPU"].severity."""
        named = f'["{self.name}"]' if self.name else ""
        return f"{self.section}{named}{'.' if self.field else ''}{self.field}"

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.place, self.detail) if part)


class Refused(Exception):
    """Nothing was applied; `problems` say why."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class Entry:
    """What a file says of one row."""

    file: str
    kind: Kind
    name: str
    said: Mapping[str, Any]

    def problem(self, detail: str, field: str = "") -> Problem:
        return Problem(self.file, detail, self.kind.section, self.name, field)

    def field_of(self, api_path: str) -> str:
        """A path in the API's names as the file has it."""
        head = _HEAD.match(api_path)
        api = head[0] if head else ""
        names = {column.api: column.field for column in self.kind.columns.values()} | {self.kind.name: ""}
        return names.get(api, api) + api_path[len(api) :]


@dataclass(frozen=True)
class Said:
    """All that the files say. `sections` are those that they speak of: only these are pruned."""

    entries: tuple[Entry, ...]
    sections: frozenset[str]


def read(files: Iterable[tuple[str, str]]) -> Said:
    """What files, each with its name and text, say together. Raises Refused with every problem that is found."""
    entries: dict[tuple[str, str], Entry] = {}
    sections: set[str] = set()
    problems: list[Problem] = []
    for file, content in files:
        for found in _found(file, content):
            if isinstance(found, Problem):
                problems.append(found)
            elif isinstance(found, str):
                sections.add(found)
            elif (first := entries.setdefault((found.kind.section, found.name), found)) is not found:
                problems.append(found.problem(f"stands in {first.file} too; write it once"))
    if problems:
        raise Refused(problems)
    return Said(tuple(entries.values()), frozenset(sections))


def _found(file: str, content: str) -> Iterator[Problem | str | Entry]:
    """The sections and entries of a file, and its problems."""
    try:
        data = text.read(content)
    except text.Unreadable as error:
        yield Problem(file, str(error))
        return
    if not isinstance(data, dict | None):
        yield Problem(file, f"write sections with their entries; sections are: {', '.join(kinds())}")
        return
    for section, listed in (data or {}).items():
        kind = kinds().get(section)
        if kind is None:
            yield Problem(file, f"not known here; write one of: {', '.join(kinds())}", section)
        elif not isinstance(listed, dict | None):
            yield Problem(file, "write entries by their names", section)
        else:
            yield section
            for name, said in (listed or {}).items():
                yield from _entry(Entry(file, kind, name, {} if said is None else said))


def _entry(entry: Entry) -> Iterator[Problem | Entry]:
    if not isinstance(entry.said, dict):
        yield entry.problem("write fields with their values")
        return
    known = entry.kind.columns
    unknown = [name for name in entry.said if name not in known]
    yield from (entry.problem(f"not known here; write one of: {', '.join(known)}", name) for name in unknown)
    if not unknown:
        yield entry


def files_at(path: Path) -> list[tuple[str, str]]:
    """The file at `path`, or all of the folder's that end in .yaml or .yml, in order. Raises Refused."""
    paths = [path]
    if path.is_dir():
        paths = sorted(one for one in path.iterdir() if one.suffix in (".yaml", ".yml"))
    if not paths:
        raise Refused([Problem(str(path), "write at least one file that ends in .yaml")])
    try:
        return [(str(one), one.read_text(encoding="utf-8")) for one in paths]
    except (OSError, UnicodeError) as error:
        raise Refused([Problem(str(path), f"name a file of text in UTF-8 that can be read: {error}")]) from error
