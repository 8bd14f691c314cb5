"""Time partitions of the tables that name themselves here: made ahead, dropped by retention, never emptied by row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

log = logging.getLogger(__name__)

DAYS_AHEAD = 3
# Making and dropping wait for whoever reads (a dump may for hours), and all who come after wait for them: never for
# long. What could not be done is tried again by the next call; it is told as a problem once it is one.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '500ms'"
_DROPPED_WITHIN = timedelta(days=2)

# What is asked, with its first day, before a partition of a table is dropped. It answers False where the partition
# stays for now, and raises KeptBack where it must stay because something failed.
BeforeDrop = Callable[[date], bool]
_before_drop: dict[str, BeforeDrop] = {}


class KeptBack(Exception):
    """A partition that is over was not dropped, or one that is needed was not made; the text says why."""


class InUse(Exception):
    """Somebody holds the table, so that no partition can be made or dropped now."""


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
    """Make the partitions of `days` that are missing, each in its own transaction, and answer them; safe to run twice
    at once. Raises InUse where somebody holds the table."""
    have = existing(table)
    missing = [first for first in sorted({table.first(day) for day in days}) if first not in have]
    for day in missing:
        bounds = [f"{day:%Y-%m-%d} 00:00:00+00", f"{table.after(day):%Y-%m-%d} 00:00:00+00"]
        storage = f" WITH ({table.storage})" if table.storage else ""
        with _soon(table.name) as cursor:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {table.partition(day)} PARTITION OF {table.name} "
                f"FOR VALUES FROM ('{bounds[0]}') TO ('{bounds[1]}'){storage}"
            )
    return [table.partition(day) for day in missing]


@contextmanager
def _soon(name: str) -> Iterator[CursorWrapper]:
    """A transaction that changes the table `name`. Raises InUse."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # One maker at a time until its commit: CREATE … IF NOT EXISTS alone still races.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
            cursor.execute(_LOCK_TIMEOUT)
            yield cursor
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise InUse(f"{name} is in use; try again later") from error
        raise


def maintain(table: PartitionedTable, today: date) -> tuple[list[str], list[str]]:
    """Make the partitions of the retention's days and a few ahead, drop older ones; answers (made, dropped).

    Raises KeptBack, once all else is done, where a partition could not be dropped, or is needed soon and could not be
    made. Where somebody holds the table nothing is done before it matters.
    """
    oldest = today - timedelta(days=table.retention_days)
    span = (today + DAYS_AHEAD * timedelta(days=1) - oldest).days
    trouble: list[str] = []
    made: list[str] = []
    try:
        made = ensure(table, (oldest + timedelta(days=offset) for offset in range(span + 1)))
    except InUse as error:
        log.info("partitions are made later: %s", error)
        if table.first(today + timedelta(days=1)) not in existing(table):
            trouble.append(f"the partition of tomorrow is not made: {error}")
    dropped, kept = _drop_over(table, oldest)
    if kept:
        trouble.append(f"{len(kept)} partitions are over and were not dropped; first {kept[0]}")
    if trouble:
        raise KeptBack("; ".join(trouble))
    return made, dropped


def _drop_over(table: PartitionedTable, oldest: date) -> tuple[list[str], list[str]]:
    """Drop the partitions before `oldest`; answers those that are gone, and what is wrong with those that are not."""
    dropped, kept = [], []
    for day, name in sorted(existing(table).items()):
        if table.after(day) > oldest:
            continue
        try:
            if _drop(table, day, name):
                dropped.append(name)
        except InUse as error:
            log.info("%s is dropped later: %s", name, error)
            if oldest - table.after(day) >= _DROPPED_WITHIN:
                kept.append(f"{name}: {error}")
        except KeptBack as error:
            log.error("%s is kept, although it is over: %s", name, error)
            kept.append(f"{name}: {error}")
    return dropped, kept


def _drop(table: PartitionedTable, day: date, name: str) -> bool:
    ask = _before_drop.get(table.name)
    if ask is not None and not ask(day):
        return False
    with _soon(table.name) as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
    return True
