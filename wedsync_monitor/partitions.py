"""Time partitions of the tables that name themselves here: made ahead, dropped by retention, never emptied by row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction

log = logging.getLogger(__name__)

DAYS_AHEAD = 3

# What is asked, with its first day, before a partition of a table is dropped. It answers False where the partition
# stays for now, and raises KeptBack where it must stay because something failed.
BeforeDrop = Callable[[date], bool]
_before_drop: dict[str, BeforeDrop] = {}


class KeptBack(Exception):
    """A partition that is over was not dropped; the text says why."""


def before_drop(table_name: str, ask: BeforeDrop) -> None:
    """Ask `ask` before partitions of this table are dropped; an app calls it once, when it is ready."""
    _before_drop[table_name] = ask


@dataclass(frozen=True)
class PartitionedTable:
    """A table partitioned by UTC day (or year), and how many days are kept."""

    name: str
    retention_days: int
    yearly: bool = False
    storage: str = ""  # storage parameters of each partition; they are not inherited

    def first(self, day: date) -> date:
        """The first day of the partition that `day` is in."""
        return day.replace(month=1, day=1) if self.yearly else day

    def after(self, first: date) -> date:
        """The first day of the partition behind it."""
        return first.replace(year=first.year + 1) if self.yearly else first + timedelta(days=1)

    def partition(self, day: date) -> str:
        return f"{self.name}_{self.first(day):%Y%m%d}"


def existing(table: PartitionedTable) -> dict[date, str]:
    """The partitions that there are, by their first day."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table.name])
        names = [row[0] for row in cursor.fetchall()]
    return {datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date(): name for name in names}


def ensure(table: PartitionedTable, days: Iterable[date]) -> list[str]:
    """Make the partitions of `days` that are missing, each in its own transaction; safe to run twice at once."""
    have = existing(table)
    made = [first for first in sorted({table.first(day) for day in days}) if first not in have]
    for day in made:
        bounds = [f"{day:%Y-%m-%d} 00:00:00+00", f"{table.after(day):%Y-%m-%d} 00:00:00+00"]
        storage = f" WITH ({table.storage})" if table.storage else ""
        with transaction.atomic(), connection.cursor() as cursor:
            # One maker at a time until its commit: CREATE … IF NOT EXISTS alone still races.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [table.name])
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {table.partition(day)} PARTITION OF {table.name} "
                f"FOR VALUES FROM ('{bounds[0]}') TO ('{bounds[1]}'){storage}"
            )
    return [table.partition(day) for day in made]


def maintain(table: PartitionedTable, today: date) -> tuple[list[str], list[str]]:
    """Make the partitions of the retention's days and a few ahead, drop older ones; answers (made, dropped).

    Raises KeptBack, once all else is done, where a partition could not be dropped.
    """
    oldest = today - timedelta(days=table.retention_days)
    span = (today + DAYS_AHEAD * timedelta(days=1) - oldest).days
    made = ensure(table, (oldest + timedelta(days=offset) for offset in range(span + 1)))
    over = sorted((day, name) for day, name in existing(table).items() if table.after(day) <= oldest)
    dropped, trouble = [], []
    for day, name in over:
        try:
            if _drop(table, day, name):
                dropped.append(name)
        except KeptBack as error:
            log.error("%s is kept, although it is over: %s", name, error)
            trouble.append(f"{name}: {error}")
    if trouble:
        raise KeptBack(f"{len(trouble)} partitions are over and were not dropped; first {trouble[0]}")
    return made, dropped


def _drop(table: PartitionedTable, day: date, name: str) -> bool:
    ask = _before_drop.get(table.name)
    if ask is not None and not ask(day):
        return False
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
    return True
