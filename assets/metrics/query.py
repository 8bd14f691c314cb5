"""The one way to read metrics: series by selector, their samples or hourly statistics as NumPy arrays.

Spans are half-open at the start: samples with start < timestamp <= end. A timestamp that a series has twice counts
once. The head is always read before the blocks: what compaction moves between the two reads is seen twice and not at
all never.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import psycopg
from django.db import connection
from psycopg.types.json import Jsonb

from assets.metrics import blocks, codec, frames
from assets.metrics.samples import Floats, Ints, Samples, Series, assemble, nothing

HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class SeriesSelector:
    """Which series: an empty part selects all. Labels must be equal; others of the series do not matter. Series that
    are named by their ids need the ids of their assets too."""

    metric_names: tuple[str, ...] = ()
    asset_ids: tuple[UUID, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    series_ids: tuple[int, ...] = ()


def of_series(series: Iterable[Series]) -> SeriesSelector:
    """Just these."""
    known = list(series)
    return SeriesSelector(asset_ids=tuple({one.asset_id for one in known}), series_ids=tuple(one.id for one in known))


def _conditions(selector: SeriesSelector) -> tuple[str, dict[str, Any]]:
    parts: list[str] = ["true"]
    parameters: dict[str, Any] = {}
    if selector.metric_names:
        parts.append("metric_name = ANY(%(names)s)")
        parameters["names"] = list(selector.metric_names)
    if selector.asset_ids:
        parts.append("asset_id = ANY(%(assets)s)")
        parameters["assets"] = list(selector.asset_ids)
    if selector.series_ids:
        parts.append("id = ANY(%(series)s)")
        parameters["series"] = list(selector.series_ids)
    if selector.labels:
        parts.append("metric_labels @> %(labels)s")
        parameters["labels"] = Jsonb(dict(selector.labels))
    return " AND ".join(parts), parameters


def find_series(selector: SeriesSelector) -> list[Series]:
    """The series that `selector` names, whether or not they have samples now; ordered by name and labels."""
    where, parameters = _conditions(selector)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id, asset_id, metric_name, metric_type, metric_unit, metric_labels::text
                FROM metric_series WHERE {where} ORDER BY metric_name, metric_labels, id""",
            parameters,
        )
        return [_series_of(row) for row in cursor.fetchall()]


def _series_of(row: tuple[Any, ...]) -> Series:
    return Series(row[0], row[1], row[2], row[3], row[4], msgspec.json.decode(row[5]))


def _wanted(where: str) -> str:
    """The layouts that hold the series of `where`, and at which place."""
    return f"""WITH wanted AS MATERIALIZED (
                   SELECT layout.asset_id, layout.id AS layout_id, cell.series_id, cell.place::int AS place
                   FROM metric_layout layout
                   CROSS JOIN LATERAL unnest(layout.series_ids) WITH ORDINALITY AS cell (series_id, place)
                   WHERE (layout.asset_id, cell.series_id) IN (SELECT asset_id, id FROM metric_series WHERE {where}))"""


def read(selector: SeriesSelector, start: datetime, end: datetime) -> Samples:
    """The samples of `selector` in (start, end]: three queries, whatever the number of series."""
    series = find_series(selector)
    if not series:
        return nothing()
    parts = [_from_head(selector, start, end), _from_blocks(selector, start, end)]
    ids, timestamps, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return assemble(series, ids, timestamps, values)


_Cells = tuple[Ints, Ints, Floats]  # series ids, timestamps and values of k samples


def _from_head(selector: SeriesSelector, start: datetime, end: datetime) -> _Cells:
    where, parameters = _conditions(selector)
    # A frame is read once for all the positions of its layout that are wanted.
    copied = _copy_out(
        f"""{_wanted(where)}
            SELECT wanted.series_id::bigint, frame.ts, frame."values"[wanted.place]
            FROM metric_frame frame
            JOIN wanted ON wanted.asset_id = frame.asset_id AND wanted.layout_id = frame.layout_id
            WHERE frame.ts > %(start)s AND frame.ts <= %(end)s
              {"AND frame.asset_id = ANY(%(assets)s)" if selector.asset_ids else ""}
              AND frame."values"[wanted.place] <> 'NaN'""",
        parameters | {"start": start, "end": end},
    )
    return frames.parse_samples(copied)


def _from_blocks(selector: SeriesSelector, start: datetime, end: datetime) -> _Cells:
    """The same of what is at rest; of a block only the columns that are wanted are fetched."""
    where, parameters = _conditions(selector)
    connection.ensure_connection()
    # Django's cursors speak text, in which every byte of a column is two.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.format = psycopg.pq.Format.BINARY
        cursor.execute(
            f"""{_wanted(where)}
                SELECT wanted.series_id, block.instants, block.times,
                       substring(block."columns" FROM begins.at + 1 FOR block.ends[wanted.place] - begins.at)
                FROM metric_block block
                JOIN wanted ON wanted.asset_id = block.asset_id AND wanted.layout_id = block.layout_id
                CROSS JOIN LATERAL (SELECT coalesce(block.ends[wanted.place - 1], 0)) AS begins (at)
                WHERE block.hour > %(start)s - interval '1 hour' AND block.hour <= %(end)s
                  {"AND block.asset_id = ANY(%(assets)s)" if selector.asset_ids else ""}""",
            parameters | {"start": start, "end": end},
        )
        rows = cursor.fetchall()
    if not rows:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    counts = [row[1] for row in rows]
    # The series of one block share their instants: they are decoded once.
    instants = {place: codec.decode_instants(*place) for place in {(row[2], row[1]) for row in rows}}
    ids = np.repeat(np.array([row[0] for row in rows], dtype=np.int64), counts)
    timestamps = np.concatenate([instants[row[2], row[1]] for row in rows])
    values = np.concatenate(codec.decode_many([row[3] for row in rows], counts))
    kept = (timestamps > start.timestamp() * 1000) & (timestamps <= end.timestamp() * 1000) & ~np.isnan(values)
    return ids[kept], timestamps[kept], values[kept]


def _copy_out(query: str, parameters: dict[str, Any]) -> bytes:
    with connection.cursor() as cursor:
        parts: list[bytes] = []
        with cursor.cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", parameters) as copy:  # type: ignore[attr-defined]
            parts.extend(bytes(part) for part in copy)
        return b"".join(parts)


def read_hourly(selector: SeriesSelector, start: datetime, end: datetime) -> Samples:
    """The hours that touch (start, end], from statistics alone: of each hour of a series the lowest and the highest
    value, at its beginning and middle; of a counter its rate per second."""
    series = find_series(selector)
    if not series:
        return nothing()
    ids, hours, table = hourly_statistics(selector, start, end)
    counters = {one.id for one in series if one.metric_type == "counter"}
    counted = np.isin(ids, np.array(sorted(counters), dtype=np.int64))
    rates = _rates(ids[counted], table[counted])
    gauge_ids, gauge_hours, gauges = ids[~counted], hours[~counted], table[~counted]
    return assemble(
        series,
        np.concatenate([ids[counted], gauge_ids, gauge_ids]),
        np.concatenate([hours[counted], gauge_hours, gauge_hours + HOUR_MS // 2]),
        np.concatenate([rates, gauges[:, 2], gauges[:, 3]]),
    )


def _rates(ids: Ints, table: Floats) -> Floats:
    """Increase per second of each hour, with what was counted since the hour before; rows are in order of time."""
    first, last, increase = table[:, 4], table[:, 5], table[:, 6]
    between = np.zeros(len(ids))
    follows = ids[1:] == ids[:-1]
    step = first[1:] - last[:-1]
    between[1:] = np.where(follows, np.where(step < 0, first[1:], step), 0)
    return (increase + between) / 3600


def hourly_statistics(selector: SeriesSelector, start: datetime, end: datetime) -> tuple[Ints, Ints, Floats]:
    """(series id, hour in ms, statistics as in blocks.STATISTICS) of each hour that touches (start, end] and has
    samples, ordered by series and hour. Hours of the head are summed up on the way."""
    first = start - timedelta(microseconds=1)
    first = first.replace(minute=0, second=0, microsecond=0)
    fresh = _summed_up(*_from_head(selector, first - timedelta(milliseconds=1), end))
    parts = [_stored_statistics(selector, first, end), fresh]
    ids, hours, table = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((hours, ids))
    ids, hours, table = ids[order], hours[order], table[order]
    # An hour is there twice where late samples wait in the head, or one series is in several layouts.
    begins = _begins(ids, hours)
    if len(begins) == len(ids):
        return ids, hours, table
    joined = [
        blocks.combine(table[at:until, None, :])[0] if until - at > 1 else table[at]
        for at, until in pairwise([*begins.tolist(), len(ids)])
    ]
    return ids[begins], hours[begins], np.array(joined)


def _begins(ids: Ints, hours: Ints) -> Ints:
    """Where another series or another hour begins."""
    return np.flatnonzero(np.append(True, (ids[1:] != ids[:-1]) | (hours[1:] != hours[:-1]))[: len(ids)])


def _stored_statistics(selector: SeriesSelector, start: datetime, end: datetime) -> tuple[Ints, Ints, Floats]:
    where, parameters = _conditions(selector)
    picked = ", ".join(f"block.statistics[7 * wanted.place - {7 - number}]" for number in range(1, 8))
    copied = _copy_out(
        f"""{_wanted(where)}
            SELECT wanted.series_id::bigint, block.hour, {picked}
            FROM metric_block block
            JOIN wanted ON wanted.asset_id = block.asset_id AND wanted.layout_id = block.layout_id
            WHERE block.hour >= %(start)s AND block.hour <= %(end)s
              {"AND block.asset_id = ANY(%(assets)s)" if selector.asset_ids else ""}
              AND block.statistics[7 * wanted.place - 6] > 0""",
        parameters | {"start": start, "end": end},
    )
    return frames.parse_statistics(copied, len(blocks.STATISTICS))


def _summed_up(ids: Ints, timestamps: Ints, values: Floats) -> tuple[Ints, Ints, Floats]:
    """The hourly statistics of loose samples."""
    hours = timestamps // HOUR_MS * HOUR_MS
    order = np.lexsort((timestamps, hours, ids))
    ids, hours, values = ids[order], hours[order], values[order]
    if not len(ids):
        return ids, hours, np.empty((0, len(blocks.STATISTICS)))
    begins = _begins(ids, hours)
    ends = np.append(begins[1:], len(ids))
    step = np.diff(values, prepend=values[:1])
    rise = np.where(step < 0, values, step)
    rise[begins] = 0
    table = np.column_stack(
        [
            ends - begins,
            np.add.reduceat(values, begins),
            np.minimum.reduceat(values, begins),
            np.maximum.reduceat(values, begins),
            values[begins],
            values[ends - 1],
            np.add.reduceat(rise, begins),
        ]
    )
    return ids[begins], hours[begins], table


_DERIVED = """SELECT layout.id FROM metric_layout layout
              JOIN metric_series series ON series.asset_id = layout.asset_id AND series.id = layout.series_ids[1]
              WHERE layout.asset_id = ANY(%(ids)s) AND series.collection_method = 'synthetic'"""


def last_reports(asset_ids: list[UUID], since: datetime) -> dict[UUID, datetime]:
    """When each of the assets last reported anything, of those that did since `since`.

    What this server derives itself (collection method `synthetic`) is no report of the asset.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH derived AS MATERIALIZED ({_DERIVED})
                SELECT wanted.id, coalesce(newest.ts, rested.ts) FROM unnest(%(ids)s::uuid[]) AS wanted (id)
                LEFT JOIN LATERAL (SELECT ts FROM metric_frame
                                   WHERE asset_id = wanted.id AND ts > %(since)s
                                     AND layout_id NOT IN (SELECT id FROM derived)
                                   ORDER BY ts DESC LIMIT 1) AS newest ON true
                LEFT JOIN LATERAL (SELECT last_ts AS ts FROM metric_block
                                   WHERE newest.ts IS NULL AND asset_id = wanted.id
                                     AND hour > %(since)s - interval '1 hour' AND last_ts > %(since)s
                                     AND layout_id NOT IN (SELECT id FROM derived)
                                   ORDER BY hour DESC, last_ts DESC LIMIT 1) AS rested ON true
                WHERE newest.ts IS NOT NULL OR rested.ts IS NOT NULL""",
            {"ids": asset_ids, "since": since},
        )
        return dict(cursor.fetchall())


def reported_slots(asset_id: UUID, start: datetime, end: datetime, slot_ms: int) -> Ints:
    """One instant of each slot of `slot_ms` in (start, end] in which the asset reported anything: from the head's index
    and the blocks' instants alone, so that no value is read. What this server derives itself is no report."""
    parameters: dict[str, Any] = {"ids": [asset_id], "asset": asset_id, "start": start, "end": end, "slot": slot_ms}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT min(extract(epoch FROM ts) * 1000)::bigint FROM metric_frame
                WHERE asset_id = %(asset)s AND ts > %(start)s AND ts <= %(end)s AND layout_id NOT IN ({_DERIVED})
                GROUP BY floor(extract(epoch FROM ts) * 1000 / %(slot)s)""",
            parameters,
        )
        found = [np.array([row[0] for row in cursor.fetchall()], dtype=np.int64)]
        cursor.execute(
            f"""SELECT times, instants FROM metric_block
                WHERE asset_id = %(asset)s AND hour > %(start)s - interval '1 hour' AND hour <= %(end)s
                  AND layout_id NOT IN ({_DERIVED})""",
            parameters,
        )
        found += [codec.decode_instants(bytes(times), count) for times, count in cursor.fetchall()]
    moments = np.concatenate(found)
    moments = np.sort(moments[(moments > start.timestamp() * 1000) & (moments <= end.timestamp() * 1000)])
    _, first = np.unique(moments // slot_ms, return_index=True)
    return moments[first]
