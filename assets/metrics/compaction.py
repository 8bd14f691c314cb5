"""From the head to blocks, and from blocks to daily rows; one process at a time, safe to kill at any point.

1. The frames of a closed hour are taken out of the head and written as blocks in one transaction, some assets at a
   time; what came late is merged with the block that is there. The day is noted as due in the same transaction.
2. A partition of the head that is empty then is dropped.
3. Days that are due and over get their daily rows, from the statistics of their blocks.
4. Blocks that their agent or asset keeps for a shorter time than the installation are removed (`retention`).
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

import numpy as np
from django.db import DatabaseError, connection, transaction

from assets.metrics import blocks, head, query, retention
from assets.metrics.frames import Frames, parse_frames

log = logging.getLogger(__name__)

# An hour is closed once samples that are a little late are in.
GRACE = timedelta(minutes=10)
HOUR_MS = 3_600_000
# Some 16 MB of numbers, of which several copies are made.
_CELLS_AT_ONCE = 2_000_000
# What a frame costs beside its cells.
_CELLS_OF_A_FRAME = 20
_DAYS_AT_ONCE = 500
_LOCK = 0x7765645F_626C6F63

Step = Callable[[str], None]


@dataclass
class Report:
    """What one round did."""

    frames: int = 0
    blocks: int = 0
    days: int = 0
    partitions_dropped: int = 0
    expired: int = 0


def compact(now: datetime, step: Step = lambda name: None) -> Report:
    """Do what is due at `now`; `step` is told of each point at which a crash could come.

    Raises the first DatabaseError of an hour that could not be compacted, once all else is done.
    """
    report = Report()
    with alone() as mine:
        if not mine:
            return report
        trouble = [error for hour in head.closed_hours(now - GRACE) if (error := _tried(hour, now, report, step))]
        while made := _make_daily_rows(now, step):
            report.days += made
        report.expired = retention.remove_expired(now)
        step("expired")
        if trouble:
            raise trouble[0]
    return report


def _tried(hour: datetime, now: datetime, report: Report, step: Step) -> DatabaseError | None:
    """Compact one hour; what the database said where it could not. The hours behind it are not to wait for it."""
    try:
        for assets in _portions(hour):
            with transaction.atomic():
                _compact(hour, assets, now, report, step)
                step("before commit")
            step("after commit")
        report.partitions_dropped += head.drop_if_empty(hour)
        step("after drop")
    except DatabaseError as error:
        log.exception("the hour from %s stays in the head", hour)
        return error
    return None


@contextmanager
def alone() -> Iterator[bool]:
    """Hold the compactors' lock; False where another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _portions(hour: datetime) -> Iterator[list[UUID]]:
    """The assets with frames in `hour`, so many at a time that their frames fit in memory."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT frame.asset_id, sum(number * (%s + coalesce(cardinality(layout.series_ids), 0)))::bigint
               FROM (SELECT asset_id, layout_id, count(*) AS number FROM metric_frame
                     WHERE ts >= %s AND ts < %s GROUP BY 1, 2) AS frame
               LEFT JOIN metric_layout layout ON layout.asset_id = frame.asset_id AND layout.id = frame.layout_id
               GROUP BY 1 ORDER BY 1""",
            [_CELLS_OF_A_FRAME, hour, hour + head.HOUR],
        )
        counted = cursor.fetchall()
    portion: list[UUID] = []
    size = 0
    for asset_id, number in counted:
        if portion and size + number > _CELLS_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(asset_id)
        size += number
    if portion:
        yield portion


def _compact(hour: datetime, assets: list[UUID], now: datetime, report: Report, step: Step) -> None:
    taken = _take(hour, assets)
    step("taken")
    too_late, layouts = retention.expired_places(hour, assets, now)
    kept = [one for one in taken if one.asset_id not in too_late and (one.asset_id, one.layout_id) not in layouts]
    report.blocks += _merge(hour, kept)
    report.frames += sum(len(frames.timestamps) for frames in taken)
    step("written")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metric_daily_due SELECT unnest(%s::uuid[]), %s ON CONFLICT DO NOTHING",
            [sorted({frames.asset_id for frames in kept}), hour.date()],
        )


def _merge(hour: datetime, taken: list[Frames]) -> int:
    """Write the frames of one hour as blocks, merged with those that are there; how many. One place may come twice."""
    known = _blocks_of(hour, sorted({frames.asset_id for frames in taken}))
    for frames in taken:
        order = np.argsort(frames.timestamps)
        part = frames.timestamps[order], frames.values[order]
        place = frames.asset_id, frames.layout_id
        known[place] = blocks.merge(known[place], part) if place in known else part
    places = dict.fromkeys((frames.asset_id, frames.layout_id) for frames in taken)
    _write(hour, [(place, blocks.build(*known[place])) for place in places])
    return len(places)


def put_to_rest(taken: list[Frames]) -> None:
    """Write frames of any hours as blocks; call it in a transaction, as the one compactor (`alone`)."""
    by_hour: dict[int, list[Frames]] = defaultdict(list)
    for frames in taken:
        hours = frames.timestamps // HOUR_MS
        for hour in np.unique(hours).tolist():
            inside = hours == hour
            part = Frames(frames.asset_id, frames.layout_id, frames.timestamps[inside], frames.values[inside])
            by_hour[hour].append(part)
    for hour in sorted(by_hour):
        _merge(datetime.fromtimestamp(hour * HOUR_MS / 1000, UTC), by_hour[hour])


def _take(hour: datetime, assets: list[UUID]) -> list[Frames]:
    """Remove these frames from the head; exactly what is removed is answered."""
    statement = """COPY (DELETE FROM metric_frame WHERE ts >= %(start)s AND ts < %(end)s AND asset_id = ANY(%(assets)s)
                         RETURNING asset_id, layout_id, ts, "values") TO STDOUT (FORMAT binary)"""
    with connection.cursor() as cursor:
        parameters = {"start": hour, "end": hour + head.HOUR, "assets": assets}
        with cursor.cursor.copy(statement, parameters) as copy:  # type: ignore[attr-defined]
            return parse_frames(b"".join(bytes(part) for part in copy))


_Place = tuple[UUID, int]


def _blocks_of(hour: datetime, assets: list[UUID]) -> dict[_Place, tuple[blocks.Ints, blocks.Floats]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT asset_id, layout_id, instants, times, ends, "columns" FROM metric_block
               WHERE hour = %s AND asset_id = ANY(%s) FOR UPDATE""",
            [hour, assets],
        )
        return {
            (row[0], row[1]): blocks.open_up(row[2], bytes(row[3]), row[4], bytes(row[5])) for row in cursor.fetchall()
        }


def _write(hour: datetime, rows: list[tuple[_Place, blocks.Block]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO metric_block
                   (asset_id, layout_id, hour, instants, last_ts, times, ends, "columns", statistics)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
               ON CONFLICT (asset_id, hour, layout_id) DO UPDATE SET
                   instants = excluded.instants, last_ts = excluded.last_ts, times = excluded.times,
                   ends = excluded.ends, "columns" = excluded."columns", statistics = excluded.statistics,
                   written_at = now()""",
            [
                (
                    asset_id,
                    layout_id,
                    hour,
                    block.instants,
                    datetime.fromtimestamp(block.last_ms / 1000, UTC),
                    block.times,
                    block.ends,
                    block.columns,
                    block.statistics.ravel().tolist(),
                )
                for (asset_id, layout_id), block in rows
            ],
        )


def _make_daily_rows(now: datetime, step: Step) -> int:
    """Make the daily rows of some asset days that are due and over; how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM metric_daily_due WHERE (asset_id, day) IN (
                   SELECT asset_id, day FROM metric_daily_due WHERE day < %s
                   ORDER BY day, asset_id LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING asset_id, day""",
            [(now - GRACE).astimezone(UTC).date(), _DAYS_AT_ONCE],
        )
        due: list[tuple[UUID, date]] = cursor.fetchall()
        for day in sorted({day for _, day in due}):
            _make_day(day, [asset_id for asset_id, its in due if its == day])
        step("daily rows written")
    step("daily rows committed")
    return len(due)


def _make_day(day: date, assets: list[UUID]) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hours: dict[_Place, list[Any]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT asset_id, layout_id, statistics FROM metric_block
               WHERE hour >= %s AND hour < %s AND asset_id = ANY(%s) ORDER BY hour""",
            [start, start + timedelta(days=1), assets],
        )
        for asset_id, layout_id, statistics in cursor.fetchall():
            hours.setdefault((asset_id, layout_id), []).append(statistics)
        tables = {place: _combined(of_place) for place, of_place in hours.items()}
        _tell_once(tables, start)
        cursor.executemany(
            """INSERT INTO metric_daily (asset_id, layout_id, day, statistics) VALUES (%s, %s, %s, %s)
               ON CONFLICT (asset_id, day, layout_id) DO UPDATE SET statistics = excluded.statistics""",
            [(*place, day, table.ravel().tolist()) for place, table in tables.items()],
        )


def _combined(hours: list[Any]) -> blocks.Floats:
    return blocks.combine(np.array(hours, dtype=np.float64).reshape(len(hours), -1, len(blocks.STATISTICS)))


def _tell_once(tables: dict[_Place, blocks.Floats], start: datetime) -> None:
    """Where a series is in several layouts of a day, one row tells all of it: their samples may interleave and repeat,
    and nothing could put the rows right once the samples are gone."""
    layouts = Counter(asset_id for asset_id, _ in tables)
    listed = _series_of([place for place in tables if layouts[place[0]] > 1])
    times = Counter(chain.from_iterable(listed.values()))
    several = tuple(series_id for series_id, number in times.items() if number > 1)
    if not several:
        return
    series = query.find_series(
        query.SeriesSelector(asset_ids=tuple({place[0] for place in listed}), series_ids=several)
    )
    ids, _, told = query.from_finer(series, start, start + timedelta(days=1), "day")
    left = dict(zip(ids.tolist(), told, strict=True))
    nothing = np.array([0] + [np.nan] * (len(blocks.STATISTICS) - 1))
    for place, series_ids in listed.items():
        for row, series_id in enumerate(series_ids):
            if times[series_id] > 1:
                tables[place][row] = left.pop(series_id, nothing)


def _series_of(places: Sequence[_Place]) -> dict[_Place, list[int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT asset_id, id, series_ids FROM metric_layout WHERE asset_id = ANY(%s) AND id = ANY(%s) ORDER BY id",
            [list({asset_id for asset_id, _ in places}), [layout_id for _, layout_id in places]],
        )
        return {(asset_id, layout_id): series_ids for asset_id, layout_id, series_ids in cursor.fetchall()}
