"""Days of samples that outlive their partition: Parquet files, written before it is dropped, and read back.

1. `may_drop` is asked before the partition of a day goes. Where an archive is configured the day is written to a hidden
   file, flushed to the disk, and renamed to `metrics-YYYY-MM-DD.parquet`; then the folder is flushed.
2. Only then it says yes. Killed at any point, the day is written again: the same bytes are the same file, and a day
   that has since become another one is a further part (`….2.parquet`), so that no file is ever overwritten.
3. `restore` puts a day back into blocks, in one transaction, and keeps its partition from being dropped for a while.

Files hold what the day's blocks held (assets/metrics/parquet.py); agents and assets that ask for a shorter retention
have nothing left there.
"""

from __future__ import annotations

import filecmp
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.db import connection, transaction

from assets.metrics import blocks, compaction, grouping, ingestion, layouts, parquet
from assets.metrics.committing import lookup_connection
from assets.metrics.described import describe
from assets.metrics.identity import SeriesKey
from assets.metrics.layouts import Place
from assets.metrics.parquet import Described
from assets.metrics.samples import Floats, Ints
from wedsync_monitor import partitions
from wedsync_monitor.partitions import KeptBack
from wedsync_monitor.retention import partitioned_tables

log = logging.getLogger(__name__)

_NAME = re.compile(r"metrics-(\d{4}-\d\d-\d\d)(?:\.\d+)?\.parquet")
# A row group ends with an asset once it has so many samples: what writing and restoring hold in memory.
_SAMPLES_AT_ONCE = 500_000
Step = Callable[[str], None]


class NoArchive(Exception):
    """No archive is configured, it does not hold the day, or the day cannot be put back now."""


def folder() -> Path | None:
    return Path(settings.METRIC_ARCHIVE_DIR) if settings.METRIC_ARCHIVE_DIR else None


def archived() -> dict[date, list[Path]]:
    """The files of each day that is archived."""
    there = folder()
    found: dict[date, list[Path]] = {}
    if there is not None and there.is_dir():
        for path in sorted(there.iterdir()):
            if named := _NAME.fullmatch(path.name):
                found.setdefault(date.fromisoformat(named[1]), []).append(path)
    return found


def archived_within(start: datetime, end: datetime, now: datetime) -> list[date]:
    """The archived days that touch (start, end] and are not stored any more; no file is looked for in young spans."""
    if start > now - timedelta(days=settings.METRIC_RETENTION_DAYS):
        return []
    days = [day for day in archived() if start.date() <= day <= end.date()]
    kept = set(_restored(now)) if days else set()
    oldest = now.date() - timedelta(days=settings.METRIC_RETENTION_DAYS)
    return [day for day in days if day < oldest and day not in kept]


def notice(start: datetime, end: datetime, now: datetime) -> list[str]:
    """What to tell whoever reads a span of which a part is archived."""
    days = archived_within(start, end, now)
    if not days:
        return []
    span = str(days[0]) if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
    return [f"{span}: archived and not read; manage.py metrics_archive restore brings a day back."]


def may_drop(day: date, now: datetime, step: Step = lambda name: None) -> bool:
    """Whether the day's partition may go: not while it is restored, nor before it is archived. Raises KeptBack."""
    if day in _restored(now):
        return False
    there = folder()
    if there is not None:
        try:
            there.mkdir(parents=True, exist_ok=True)
            write(day, there, step)
        except (OSError, pa.ArrowException) as error:
            # Everybody may read this: neither the folder nor what the system says of it.
            log.exception("%s could not be archived in %s", day, there)
            raise KeptBack(f"it could not be archived ({type(error).__name__}); the worker's log says more") from error
    return True


def _restored(now: datetime) -> list[date]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT day FROM metric_restored WHERE until > %s", [now])
        return [row[0] for row in cursor.fetchall()]


def write(day: date, there: Path, step: Step = lambda name: None) -> Path | None:
    """Write the day's file, durably; None where the day has no samples."""
    partial = there / f".metrics-{day}.partial"
    if not _write_samples(day, partial):
        partial.unlink()
        return None
    step("file written")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    step("file flushed")
    name = _free_name(day, there, partial)
    # A name that is there already has the same bytes.
    partial.replace(name)
    step("file renamed")
    _flush_folder(there)
    step("folder flushed")
    return name


def _free_name(day: date, there: Path, partial: Path) -> Path:
    number, name = 1, there / f"metrics-{day}.parquet"
    while name.exists() and not filecmp.cmp(name, partial, shallow=False):
        number += 1
        name = there / f"metrics-{day}.{number}.parquet"
    return name


def _flush_folder(there: Path) -> None:
    handle = os.open(there, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_samples(day: date, path: Path) -> int:
    rows = 0
    with pq.ParquetWriter(path, parquet.SCHEMA, **parquet.WRITING) as writer:
        waiting: list[pa.Table] = []
        for asset_id in _assets_of(day):
            waiting.append(_table_of(day, asset_id))
            if sum(one.num_rows for one in waiting) >= _SAMPLES_AT_ONCE:
                rows += _write_group(writer, waiting)
                waiting = []
        rows += _write_group(writer, waiting)
    return rows


def _write_group(writer: pq.ParquetWriter, tables: list[pa.Table]) -> int:
    if not sum(one.num_rows for one in tables):
        return 0
    joined = pa.concat_tables(tables).unify_dictionaries()
    writer.write_table(joined, row_group_size=joined.num_rows)
    return int(joined.num_rows)


def _span(day: date) -> list[datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [start, start + timedelta(days=1)]


def _assets_of(day: date) -> list[UUID]:
    """The assets with blocks on that day that still exist."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id FROM infrastructure_assets asset WHERE EXISTS (
                   SELECT FROM metric_block WHERE asset_id = asset.id AND hour >= %s AND hour < %s) ORDER BY id""",
            _span(day),
        )
        return [row[0] for row in cursor.fetchall()]


def _table_of(day: date, asset_id: UUID) -> pa.Table:
    """All samples of an asset's day, by series and time, a repeated one once."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT layout.series_ids, block.instants, block.times, block.ends, block."columns"
               FROM metric_block block
               JOIN metric_layout layout ON layout.asset_id = block.asset_id AND layout.id = block.layout_id
               WHERE block.asset_id = %s AND block.hour >= %s AND block.hour < %s ORDER BY block.hour, layout.id""",
            [asset_id, *_span(day)],
        )
        rows = cursor.fetchall()
    series = describe([asset_id], {series_id for row in rows for series_id in row[0]})
    if not series:  # the asset was deleted meanwhile
        return parquet.SCHEMA.empty_table()
    parts = [_cells(row[0], blocks.open_up(row[1], bytes(row[2]), row[3], bytes(row[4]))) for row in rows]
    ids, timestamps, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    known = {series_id: place for place, series_id in enumerate(series)}
    owner = np.array([known[one] for one in ids.tolist()], dtype=np.int64)
    order = np.lexsort((timestamps, owner))
    owner, timestamps, values = owner[order], timestamps[order], values[order]
    first = np.append(True, (owner[1:] != owner[:-1]) | (timestamps[1:] != timestamps[:-1]))[: len(owner)]
    return parquet.table_of(list(series.values()), owner[first], timestamps[first], values[first])


def _cells(series_ids: list[int], opened: tuple[Ints, Floats]) -> tuple[Ints, Ints, Floats]:
    timestamps, values = opened
    at, place = np.nonzero(~np.isnan(values))
    return np.array(series_ids, dtype=np.int64)[place], timestamps[at], values[at, place]


@dataclass
class Restored:
    """What came back: samples, and those of assets that are not there any more."""

    samples: int = 0
    orphaned: int = 0


def restore(day: date, now: datetime, keep: timedelta, step: Step = lambda name: None) -> Restored:
    """Put an archived day back into blocks and keep it for `keep`; what is there already stays. Raises NoArchive."""
    paths = archived().get(day)
    if not paths:
        raise NoArchive(f"{day} is not in the archive")
    table = next(one for one in partitioned_tables() if one.name == "metric_block")
    try:
        partitions.ensure(table, [day])
    except partitions.InUse as error:
        raise NoArchive(str(error)) from error
    said = Restored()
    with compaction.alone() as mine:
        if not mine:
            raise NoArchive("compaction is running; try again when it is done")
        with transaction.atomic():
            for samples in _groups(paths):
                _put_back(samples, said)
            step("blocks written")
            with connection.cursor() as cursor:
                cursor.execute(
                    """INSERT INTO metric_restored (day, until) VALUES (%s, %s)
                       ON CONFLICT (day) DO UPDATE SET until = excluded.until""",
                    [day, now + keep],
                )
            step("before commit")
    return said


_Cells = tuple[list[Described], Ints, Ints, Floats]


def _groups(paths: list[Path]) -> Iterator[_Cells]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                yield parquet.samples_of(file.read_row_group(number))


def _put_back(cells: _Cells, said: Restored) -> None:
    described, owner, timestamps, values = cells
    places = [_place(one) for one in described]
    link: psycopg.Connection[Any] = lookup_connection()
    ids = layouts.series_ids(link, dict(places), limited=False).ids
    assets = sorted({place.asset_id for place, _ in places})
    table = np.array([(assets.index(place.asset_id), ids.get(place, -1)) for place, _ in places], dtype=np.int64)
    there = table[owner, 1] >= 0
    rows = table[owner[there]]
    frames = ingestion.stack(link, assets, grouping.group(rows[:, 0], rows[:, 1], timestamps[there], values[there]))
    compaction.put_to_rest(frames)
    said.samples += int(there.sum())
    said.orphaned += int((~there).sum())


def _place(one: Described) -> tuple[Place, SeriesKey]:
    agent = UUID(one.agent_id) if one.agent_id else None
    labels = msgspec.json.decode(one.metric_labels, type=dict[str, str])
    key = SeriesKey(one.metric_name, one.metric_type, one.metric_unit, labels, one.collection_method, agent)
    return Place(UUID(one.asset_id), key.fingerprint), key
