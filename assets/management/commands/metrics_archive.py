"""`manage.py metrics_archive list | read DAY | restore DAY`: days of metrics that are Parquet files."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from assets.metrics import archive


class Command(BaseCommand):
    help = "List archived days, read one as CSV, or put one back so that it can be queried."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="the days that are archived, with their samples and bytes")
        reading = actions.add_parser("read", help="print a day as CSV")
        restoring = actions.add_parser("restore", help="put a day's samples back into the database")
        for one in (reading, restoring):
            one.add_argument("day", type=date.fromisoformat, help="for example 2026-06-12")
        restoring.add_argument("--keep-days", type=int, default=7, help="how long it stays (7)")

    def handle(self, *args: Any, **options: Any) -> None:
        if archive.folder() is None:
            raise CommandError("No archive is configured: set WEDSYNC_METRIC_ARCHIVE_DIR to a folder.")
        try:
            getattr(self, f"_{options['action']}")(options)
        except archive.NoArchive as error:
            raise CommandError(f"{error}.") from error

    def _list(self, options: dict[str, Any]) -> None:
        for paths in archive.archived().values():
            for path in paths:
                rows = pq.read_metadata(path).num_rows
                self.stdout.write(f"{path.name}  {rows} samples  {path.stat().st_size} bytes")

    def _read(self, options: dict[str, Any]) -> None:
        paths = archive.archived().get(options["day"])
        if not paths:
            raise archive.NoArchive(f"{options['day']} is not in the archive")
        for path in paths:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches():
                    pyarrow.csv.write_csv(batch, sys.stdout.buffer)

    def _restore(self, options: dict[str, Any]) -> None:
        said = archive.restore(options["day"], timezone.now(), timedelta(days=max(options["keep_days"], 1)))
        left_out = f"; {said.orphaned} of assets that are gone were left out" if said.orphaned else ""
        self.stdout.write(f"{said.samples} samples are back for {max(options['keep_days'], 1)} days{left_out}.")
