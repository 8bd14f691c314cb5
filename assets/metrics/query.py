"""The one way to read metrics: series by selector, their samples as NumPy arrays.

Spans are half-open at the start: samples with start < timestamp <= end. A timestamp that a series
has twice counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from django.db import connection
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from assets.metrics.frames import parse_samples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SeriesSelector:
    """Which series: an empty part selects all. Labels must be equal; others of the series do not matter."""

    metric_names: tuple[str, ...] = ()
    asset_ids: tuple[UUID, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Series:
    """One series as it is stored."""

    id: int
    asset_id: UUID
    metric_name: str
    metric_type: str
    metric_unit: str
    labels: Mapping[str, str]

    def title(self) -> str:
        """`name` or `name{label=value,…}`."""
        inside = ",".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{self.metric_name}{{{inside}}}" if inside else self.metric_name


@dataclass(frozen=True)
class Samples:
    """Samples of many series, one after the other: series[i] has those from offsets[i] to offsets[i + 1].

    `timestamps` are milliseconds since 1970, ascending within a series.
    """

    series: list[Series]
    offsets: Ints
    timestamps: Ints
    values: Floats

    def of(self, index: int) -> tuple[Ints, Floats]:
        part = slice(self.offsets[index], self.offsets[index + 1])
        return self.timestamps[part], self.values[part]

    def aggregate(self, how: str, start_ms: int, end_ms: int) -> Floats:
        """One value per series over (start_ms, end_ms]: avg, max, min, sum, count or last; NaN where there is no
        sample (count: 0)."""
        inside = (self.timestamps > start_ms) & (self.timestamps <= end_ms)
        owner = np.repeat(np.arange(len(self.series)), np.diff(self.offsets))[inside]
        return _reduce(how, owner, self.values[inside], len(self.series))

    def rates(self) -> Samples:
        """Counters as increase per second between neighbours, at the later one's time; other series as they are.

        A counter that falls has begun again at zero.
        """
        counter = np.array([series.metric_type == "counter" for series in self.series], dtype=bool)
        if not counter.any():
            return self
        sizes = np.diff(self.offsets)
        owner = np.repeat(np.arange(len(self.series)), sizes)
        step = np.diff(self.values, prepend=np.nan)
        step = np.where(step < 0, self.values, step)
        seconds = np.diff(self.timestamps, prepend=0) / 1000
        first = np.zeros(len(owner), dtype=bool)
        first[self.offsets[:-1][sizes > 0]] = True
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(counter[owner], step / seconds, self.values)
        kept = ~(first & counter[owner])
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=len(self.series)))])
        return Samples(self.series, offsets.astype(np.int64), self.timestamps[kept], values[kept])


def _reduce(how: str, owner: Ints, values: Floats, size: int) -> Floats:
    """`values` of each owner (ascending) reduced to one."""
    counts = np.bincount(owner, minlength=size)
    if how == "count":
        return counts.astype(np.float64)
    result = np.full(size, np.nan)
    there = counts > 0
    starts = (np.cumsum(counts) - counts)[there]
    if not len(values):
        return result
    if how == "last":
        result[there] = values[starts + counts[there] - 1]
    elif how in ("min", "max"):
        result[there] = (np.minimum if how == "min" else np.maximum).reduceat(values, starts)
    elif how in ("sum", "avg"):
        result[there] = np.add.reduceat(values, starts)
        if how == "avg":
            result[there] /= counts[there]
    else:
        raise ValueError(f"no aggregation is called {how!r}")
    return result


def _conditions(selector: SeriesSelector) -> tuple[str, dict[str, Any]]:
    parts: list[str] = ["true"]
    parameters: dict[str, Any] = {}
    if selector.metric_names:
        parts.append("metric_name = ANY(%(names)s)")
        parameters["names"] = list(selector.metric_names)
    if selector.asset_ids:
        parts.append("asset_id = ANY(%(assets)s)")
        parameters["assets"] = list(selector.asset_ids)
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


def read(selector: SeriesSelector, start: datetime, end: datetime) -> Samples:
    """The samples of `selector` in (start, end]: two queries, whatever the number of series."""
    series = find_series(selector)
    if not series:
        return nothing()
    where, parameters = _conditions(selector)
    # A frame is read once for all the positions of its layout that are wanted.
    copied = _copy_out(
        f"""WITH wanted AS MATERIALIZED (
                SELECT layout.asset_id, layout.id AS layout_id, cell.series_id, cell.place::int AS place
                FROM metric_layout layout
                CROSS JOIN LATERAL unnest(layout.series_ids) WITH ORDINALITY AS cell (series_id, place)
                WHERE (layout.asset_id, cell.series_id) IN (SELECT asset_id, id FROM metric_series WHERE {where}))
            SELECT wanted.series_id::bigint, frame.ts, frame."values"[wanted.place]
            FROM metric_frame frame
            JOIN wanted ON wanted.asset_id = frame.asset_id AND wanted.layout_id = frame.layout_id
            WHERE frame.ts > %(start)s AND frame.ts <= %(end)s
              {"AND frame.asset_id = ANY(%(assets)s)" if selector.asset_ids else ""}
              AND frame."values"[wanted.place] <> 'NaN'""",
        parameters | {"start": start, "end": end},
    )
    return _assemble(series, *parse_samples(copied))


def _copy_out(query: str, parameters: dict[str, Any]) -> bytes:
    with connection.cursor() as cursor:
        parts: list[bytes] = []
        with cursor.cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", parameters) as copy:  # type: ignore[attr-defined]
            parts.extend(bytes(part) for part in copy)
        return b"".join(parts)


def _assemble(series: list[Series], ids: Ints, timestamps: Ints, values: Floats) -> Samples:
    places = {one.id: place for place, one in enumerate(series)}
    if len(ids):
        unique, inverse = np.unique(ids, return_inverse=True)
        owner = np.array([places[series_id] for series_id in unique.tolist()], dtype=np.int64)[inverse]
        order = np.lexsort((timestamps, owner))
        owner, timestamps, values = owner[order], timestamps[order], values[order]
        last = np.ones(len(owner), dtype=bool)
        last[:-1] = (owner[1:] != owner[:-1]) | (timestamps[1:] != timestamps[:-1])
        owner, timestamps, values = owner[last], timestamps[last], values[last]
    else:
        owner = ids
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(series)))]).astype(np.int64)
    return Samples(series, offsets, timestamps, values)


def nothing() -> Samples:
    """No series and no samples."""
    return _assemble([], np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def thin(timestamps: Ints, values: Floats, points: int) -> tuple[Ints, Floats]:
    """At most `points` of the samples, in which every minimum and maximum survives: the lowest and highest of each of
    points / 2 equal spans of time."""
    if len(timestamps) <= points:
        return timestamps, values
    buckets = max(points // 2, 1)
    edges = np.linspace(timestamps[0], timestamps[-1] + 1, buckets + 1)
    owner = np.clip(np.searchsorted(edges, timestamps, side="right") - 1, 0, buckets - 1)
    order = np.lexsort((values, owner))
    first = np.flatnonzero(np.diff(owner[order], prepend=-1))
    last = np.append(first[1:], len(order)) - 1
    kept = np.unique(np.concatenate([order[first], order[last]]))
    return timestamps[kept], values[kept]


def last_reports(asset_ids: list[UUID], since: datetime) -> dict[UUID, datetime]:
    """When each of the assets last reported anything, of those that did since `since`.

    What this server derives itself (collection method `synthetic`) is no report of the asset.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH derived AS MATERIALIZED (
                   SELECT layout.id FROM metric_layout layout
                   JOIN metric_series series ON series.asset_id = layout.asset_id AND series.id = layout.series_ids[1]
                   WHERE layout.asset_id = ANY(%(ids)s) AND series.collection_method = 'synthetic')
               SELECT wanted.id, newest.ts FROM unnest(%(ids)s::uuid[]) AS wanted (id)
               CROSS JOIN LATERAL (SELECT ts FROM metric_frame
                                   WHERE asset_id = wanted.id AND ts > %(since)s
                                     AND layout_id NOT IN (SELECT id FROM derived)
                                   ORDER BY ts DESC LIMIT 1) AS newest""",
            {"ids": asset_ids, "since": since},
        )
        return dict(cursor.fetchall())


def reported_slots(asset_id: UUID, start: datetime, end: datetime, slot_ms: int) -> Ints:
    """One instant of each slot of `slot_ms` in (start, end] in which the asset reported anything: from the index alone,
    so that a month costs as little as an hour. What this server derives itself is no report."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT min(extract(epoch FROM ts) * 1000)::bigint FROM metric_frame
               WHERE asset_id = %(asset)s AND ts > %(start)s AND ts <= %(end)s AND layout_id NOT IN (
                   SELECT layout.id FROM metric_layout layout
                   JOIN metric_series series ON series.asset_id = layout.asset_id AND series.id = layout.series_ids[1]
                   WHERE layout.asset_id = %(asset)s AND series.collection_method = 'synthetic')
               GROUP BY floor(extract(epoch FROM ts) * 1000 / %(slot)s) ORDER BY 1""",
            {"asset": asset_id, "start": start, "end": end, "slot": slot_ms},
        )
        return np.array([row[0] for row in cursor.fetchall()], dtype=np.int64)
