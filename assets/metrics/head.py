"""The head's partitions: made some hours ahead, dropped once compaction has emptied them.

A frame that finds no partition, because it is late or nobody made one, is stored in the default partition.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from django.db import OperationalError, connection, transaction
from django.db.utils import IntegrityError

log = logging.getLogger(__name__)

HOUR = timedelta(hours=1)
HOURS_AHEAD = 6
LATE = "metric_frame_late"
# Making and dropping wait for those who read or write, and those who come after wait too: never for long.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '500ms'"


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def partition(hour: datetime) -> str:
    return f"metric_frame_{hour:%Y%m%d%H}"


def partitions() -> dict[datetime, str]:
    """The hours that have a partition."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'metric_frame'::regclass")
        names = [row[0] for row in cursor.fetchall() if row[0] != LATE]
    return {datetime.strptime(name[-10:], "%Y%m%d%H").replace(tzinfo=UTC): name for name in names}


def make_ahead(now: datetime) -> list[str]:
    """Make the partitions of this hour and the next ones; what cannot be made now is tried again by the next call."""
    have, this = partitions(), hour_of(now)
    made = []
    for hour in (this + HOUR * ahead for ahead in range(HOURS_AHEAD + 1)):
        if hour not in have and _make(hour):
            made.append(partition(hour))
    return made


def _make(hour: datetime) -> bool:
    name = partition(hour)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('metric_frame'))")
            cursor.execute(_LOCK_TIMEOUT)
            cursor.execute("SELECT to_regclass(%s)", [name])
            if cursor.fetchone()[0] is None:
                bounds = f"FROM ('{hour.isoformat()}') TO ('{(hour + HOUR).isoformat()}')"
                cursor.execute(f"CREATE TABLE {name} PARTITION OF metric_frame FOR VALUES {bounds}")
    except (OperationalError, IntegrityError) as error:
        # Busy, or frames of this hour are in the default partition already: there they are as safe.
        log.warning("%s was not made: %s", name, error)
        return False
    return True


def closed_hours(before: datetime) -> list[datetime]:
    """The hours that ended at `before` and have a partition, or frames in the default partition; oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT date_trunc('hour', ts, 'UTC') FROM {LATE} WHERE ts < %s", [hour_of(before)])
        late = {row[0].astimezone(UTC) for row in cursor.fetchall()}
    return sorted(late | {hour for hour in partitions() if hour + HOUR <= before})


def drop_if_empty(hour: datetime) -> bool:
    """Drop the hour's partition unless it holds a frame; False where it does, or somebody is using it."""
    if hour not in partitions():
        return False
    name = partition(hour)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_LOCK_TIMEOUT)
            cursor.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
            cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")
            if cursor.fetchone()[0]:
                return False
            cursor.execute(f"DROP TABLE {name}")
    except OperationalError as error:
        log.info("%s is dropped later: %s", name, error)
        return False
    return True
