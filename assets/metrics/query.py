"""The one way to read metrics: series by selector, their samples or statistics as NumPy arrays.

Spans are half-open at the start: samples with start < timestamp <= end. A timestamp that a series has twice counts
once. The head is always read before what is at rest: what compaction moves between the two reads is seen twice and not
at all never.

`instant` answers with each series' newest sample, `read` with the samples of a span, `window` with aggregates on a grid
of instants, `curves` with what a chart can show. The last two choose the resolution: raw samples, the statistics of
hours, or those of days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
import numpy as np
from django.db import DataError, connection
from psycopg.errors import InvalidRegularExpression

from assets.metrics import blocks, codec, stored, windows
from assets.metrics.samples import Floats, Ints, Samples, Series, assemble, nothing
from assets.metrics.selectors import Selector
from assets.metrics.windows import Columns, Grid

HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Longer spans are told from statistics, and very long ones from those of days, unless a caller decides.
RAW_AT_MOST = timedelta(hours=48)
HOURS_AT_MOST = timedelta(days=120)
# Statistics that rows cannot tell are summed up again from samples: of so many series and a day at once.
_SERIES_AT_ONCE = 500

Resolution = Literal["raw", "hour", "day"]
SPANS_MS: dict[Resolution, int] = {"hour": HOUR_MS, "day": DAY_MS}
SeriesSelector = Selector


@dataclass(frozen=True)
class Table:
    """(n, S) values of n series at S instants (ms since 1970); NaN where there is nothing to say."""

    series: list[Series]
    instants: Ints
    values: Floats


def find_series(selector: Selector, limit: int | None = None) -> list[Series]:
    """The series that `selector` names, whether or not they have samples now; ordered by name and labels. Of more than
    `limit` the first. Raises ValueError for a matcher whose regular expression is none."""
    where, parameters = selector.sql()
    with _regular_expressions(), connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id, asset_id, metric_name, metric_type, metric_unit, metric_labels::text
                FROM metric_series WHERE {where} ORDER BY metric_name, metric_labels, id LIMIT %(limit)s""",
            parameters | {"limit": limit},
        )
        return [series_of(row) for row in cursor.fetchall()]


@contextmanager
def _regular_expressions() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        if isinstance(error.__cause__, InvalidRegularExpression):
            raise ValueError(f"send a valid regular expression: {error.__cause__.diag.message_primary}") from error
        raise


def series_of(row: Sequence[Any]) -> Series:
    """A row of metric_series: id, asset, name, type, unit, and its labels as text."""
    return Series(row[0], row[1], row[2], row[3], row[4], msgspec.json.decode(row[5]))


def copy_out(query: str, parameters: dict[str, Any]) -> bytes:
    """What `query` answers, in PostgreSQL's binary COPY format."""
    with connection.cursor() as cursor:
        parts: list[bytes] = []
        with cursor.cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", parameters) as copy:  # type: ignore[attr-defined]
            parts.extend(bytes(part) for part in copy)
        return b"".join(parts)


def read(selector: Selector, start: datetime, end: datetime) -> Samples:
    """The samples of `selector` in (start, end]: four queries, whatever the number of series."""
    return read_series(find_series(selector), start, end)


def read_series(series: list[Series], start: datetime, end: datetime) -> Samples:
    """The samples of known series in (start, end]."""
    if not series:
        return nothing()
    places = stored.places_of(series)
    parts = [stored.read_head(places, start, end), stored.read_blocks(places, start, end)]
    ids, timestamps, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return assemble(series, ids, timestamps, values)


def instant(selector: Selector, moment: datetime, lookback: timedelta) -> Samples:
    """The newest sample of each series in (moment - lookback, moment], where there is one."""
    samples = read(selector, moment - lookback, moment)
    there = np.diff(samples.offsets) > 0
    newest = samples.offsets[1:][there] - 1
    offsets = np.append(0, np.cumsum(there)).astype(np.int64)
    return Samples(samples.series, offsets, samples.timestamps[newest], samples.values[newest])


def window(
    selector: Selector, grid: Grid, how: str, quantile: float = 0.5, resolution: Resolution | None = None
) -> Table:
    """`how` (one of windows.OVER_TIME) of each series' samples in each window of `grid`.

    Where all windows begin and end with an hour (a day) and the span is long, statistics tell it, unless `resolution`
    is given. A span's statistics then stand at its end, and a rate or an increase is what was counted, not stretched.
    Raises ValueError for an aggregate or a grid that the resolution cannot tell.
    """
    series = find_series(selector)
    resolution = resolution or _resolution_of(grid, how)
    span = timedelta(milliseconds=grid.window_ms)
    start, end = _moment(grid.start_ms) - span, _moment(grid.end_ms)
    if resolution == "raw":
        values = windows.over_time(how, read_series(series, start, end), grid, quantile)
    else:
        if not _told_by(resolution, grid, how):
            raise ValueError(f"{how} on this grid is not told by the statistics of a {resolution}; send raw")
        # One more before: a counter's increase begins with the last sample that came before the window.
        before = timedelta(milliseconds=SPANS_MS[resolution])
        found = statistics_of(series, start - before, end, resolution)
        values = _over_statistics(how, series, found, SPANS_MS[resolution], grid)
    return Table(series, grid.instants(), values)


_BY_STATISTICS = {"count": 0, "sum": 1, "avg": 1, "min": 2, "max": 3, "last": 5, "increase": 6, "rate": 6}


def _told_by(resolution: Resolution, grid: Grid, how: str) -> bool:
    span = SPANS_MS[resolution]
    return how in _BY_STATISTICS and not (grid.start_ms % span or grid.step_ms % span or grid.window_ms % span)


def _resolution_of(grid: Grid, how: str) -> Resolution:
    length = timedelta(milliseconds=grid.end_ms - grid.start_ms + grid.window_ms)
    if length > HOURS_AT_MOST and _told_by("day", grid, how):
        return "day"
    return "hour" if length > RAW_AT_MOST and _told_by("hour", grid, how) else "raw"


def _over_statistics(how: str, series: Sequence[Series], found: stored.Statistics, span_ms: int, grid: Grid) -> Floats:
    ids, starts, table = found
    places = {one.id: place for place, one in enumerate(series)}
    owner = np.array([places[one] for one in ids.tolist()], dtype=np.int64)
    order = np.lexsort((starts, owner))
    ids, starts, table = ids[order], starts[order], table[order]
    sizes = np.bincount(owner, minlength=len(series))
    offsets, ends = np.append(0, np.cumsum(sizes)).astype(np.int64), starts + span_ms
    column = _counted(ids, table) if how in ("increase", "rate") else table[:, _BY_STATISTICS[how]]
    reduced = how if how in ("min", "max", "last") else "sum"
    values = windows.over_time(reduced, Columns(offsets, ends, column), grid)
    if how == "rate":
        return values / (grid.window_ms / 1000)
    counts = windows.over_time("sum", Columns(offsets, ends, table[:, 0]), grid) if how in ("avg", "count") else values
    return np.nan_to_num(counts) if how == "count" else values / counts if how == "avg" else values


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _counted(ids: Ints, table: Floats) -> Floats:
    """Increase in each span, with what was counted since the span before; rows are in order of series and time."""
    first, last, increase = table[:, 4], table[:, 5], table[:, 6]
    between = np.zeros(len(ids))
    step = first[1:] - last[:-1]
    between[1:] = np.where(ids[1:] == ids[:-1], np.where(step < 0, first[1:], step), 0)
    return increase + between


def curves(
    series: list[Series],
    start: datetime,
    end: datetime,
    points: int | None = None,
    resolution: Resolution | None = None,
) -> Samples:
    """What a chart shows of (start, end]: counters as rates per second, at most `points` of each series, in which every
    peak survives. The longer the span, the coarser: samples, hours, or days, unless `resolution` is given."""
    length = end - start
    resolution = resolution or ("raw" if length <= RAW_AT_MOST else "hour" if length <= HOURS_AT_MOST else "day")
    if resolution == "raw":
        drawn = read_series(series, start, end).rates()
    else:
        drawn = _extremes(series, statistics_of(series, start, end, resolution), SPANS_MS[resolution])
    return drawn if points is None else drawn.thinned(points)


def _extremes(series: list[Series], found: stored.Statistics, span_ms: int) -> Samples:
    """Of each span of a series the lowest and the highest value, at its beginning and middle; of a counter its rate."""
    ids, starts, table = found
    counters = np.array([one.id for one in series if one.metric_type == "counter"], dtype=np.int64)
    counted = np.isin(ids, counters)
    rates = _counted(ids[counted], table[counted]) / (span_ms / 1000)
    gauge_ids, gauge_starts, gauges = ids[~counted], starts[~counted], table[~counted]
    return assemble(
        series,
        np.concatenate([ids[counted], gauge_ids, gauge_ids]),
        np.concatenate([starts[counted], gauge_starts, gauge_starts + span_ms // 2]),
        np.concatenate([rates, gauges[:, 2], gauges[:, 3]]),
    )


def statistics_of(series: list[Series], start: datetime, end: datetime, resolution: Resolution) -> stored.Statistics:
    """(series id, start of the hour or day in ms, statistics as in blocks.STATISTICS) of each that touches (start, end]
    and has samples, ordered by series and time. What is in the head is summed up on the way."""
    if not series:
        return _summed_up(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    first = (start - timedelta(microseconds=1)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if resolution == "day":
        first = first.replace(hour=0)
    end = end.astimezone(UTC)
    read_spans, span_ms = (stored.read_days, DAY_MS) if resolution == "day" else (stored.read_hours, HOUR_MS)
    places = stored.places_of(series)
    # By the hour also where days are asked for: what the head holds of a day comes after that day's stored hours.
    fresh = _summed_up(*stored.read_head(places, first - timedelta(milliseconds=1), end))
    parts = [read_spans(places, first, end), fresh]
    ids, starts, table = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((starts, ids))
    return _told_once(series, ids[order], starts[order] // span_ms * span_ms, table[order], resolution)


def _told_once(
    series: list[Series], ids: Ints, spans: Ints, table: Floats, resolution: Resolution
) -> stored.Statistics:
    """One row for each series and span.

    Several stand where a series is in several layouts, where samples of a span at rest are in the head (late, sent
    again, or moved while this reads), and for the hours of a day. Their samples may interleave and repeat, so that rows
    do not add up: the hours are summed up from samples, the days from such hours.
    """
    begins = _begins(ids, spans)
    several = np.diff(np.append(begins, len(ids))) > 1
    if not several.any():
        return ids, spans, table
    held = np.maximum.reduceat(table[:, 0], begins)
    told = [(ids[begins], spans[begins], _combined(ids, spans, table))]
    for few, start, end in _runs(ids[begins][several], spans[begins][several], resolution):
        told.append(from_finer([one for one in series if one.id in few], _moment(start), _moment(end), resolution))
    ids, spans, table = (np.concatenate(columns) for columns in zip(*told, strict=True))
    # Of days whose samples are gone the rows are all that there is.
    known = np.append(held, table[len(held) :, 0])
    order = np.lexsort((known, spans, ids))
    order = order[np.append(_begins(ids[order], spans[order])[1:], len(order)) - 1]
    return ids[order], spans[order], table[order]


def _runs(ids: Ints, spans: Ints, resolution: Resolution) -> Iterator[tuple[set[int], int, int]]:
    """Some series and the bounds [start, end) of spans that follow each other, within a day: what is read at once."""
    span_ms = SPANS_MS[resolution]
    distinct = np.unique(spans)
    new = (np.diff(distinct) > span_ms) | (np.diff(distinct // DAY_MS) > 0)
    for run in np.split(distinct, np.flatnonzero(new) + 1):
        start, end = int(run[0]), int(run[-1]) + span_ms
        found = np.unique(ids[(spans >= start) & (spans < end)]).tolist()
        for at in range(0, len(found), _SERIES_AT_ONCE):
            yield set(found[at : at + _SERIES_AT_ONCE]), start, end


def from_finer(series: list[Series], start: datetime, end: datetime, resolution: Resolution) -> stored.Statistics:
    """The statistics of [start, end): hours from samples, days from hours."""
    before = timedelta(milliseconds=1)
    if resolution == "hour":
        samples = read_series(series, start - before, end - before)
        ids = np.repeat([one.id for one in series], np.diff(samples.offsets))
        return _summed_up(ids, samples.timestamps, samples.values)
    ids, hours, table = statistics_of(series, start + before, end - before, "hour")
    days = hours // DAY_MS * DAY_MS
    begins = _begins(ids, days)
    return ids[begins], days[begins], _combined(ids, days, table)


def _begins(ids: Ints, starts: Ints) -> Ints:
    """Where another series or another span begins."""
    return np.flatnonzero(np.append(True, (ids[1:] != ids[:-1]) | (starts[1:] != starts[:-1]))[: len(ids)])


def _combined(ids: Ints, spans: Ints, table: Floats) -> Floats:
    """The statistics of each series and span, of rows that follow each other in time."""
    begins = _begins(ids, spans)
    if not len(begins):
        return table
    counted = _counted(ids, table)
    counted[begins] = table[begins, 6]
    last = np.append(begins[1:], len(ids)) - 1
    columns = [
        np.add.reduceat(table[:, 0], begins),
        np.add.reduceat(table[:, 1], begins),
        np.minimum.reduceat(table[:, 2], begins),
        np.maximum.reduceat(table[:, 3], begins),
        table[begins, 4],
        table[last, 5],
        np.add.reduceat(counted, begins),
    ]
    return np.column_stack(columns)


def _summed_up(ids: Ints, timestamps: Ints, values: Floats) -> stored.Statistics:
    """The hourly statistics of loose samples; an instant that a series has twice counts once."""
    order = np.lexsort((timestamps, ids))
    order = order[_begins(ids[order], timestamps[order])]
    ids, spans, values = ids[order], timestamps[order] // HOUR_MS * HOUR_MS, values[order]
    if not len(ids):
        return ids, spans, np.empty((0, len(blocks.STATISTICS)))
    begins = _begins(ids, spans)
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
    return ids[begins], spans[begins], table


# The layouts of assets (ids) that this server alone fills. A page that was read comes in one frame with what this
# server says of it: that frame is a report. What was made is found apart from the layouts, so that the ids are not
# looked through once more for each of these series.
DERIVED = """WITH made AS MATERIALIZED (
                 SELECT asset_id, id FROM metric_series
                 WHERE asset_id = ANY(%(ids)s) AND collection_method = 'synthetic')
             SELECT layout.id FROM metric_layout layout
             JOIN made ON made.asset_id = layout.asset_id AND made.id = layout.series_ids[1]
             WHERE NOT EXISTS (SELECT FROM unnest(layout.series_ids) AS cell (id)
                               JOIN metric_series other ON other.asset_id = layout.asset_id AND other.id = cell.id
                               WHERE other.collection_method <> 'synthetic')"""


def last_reports(asset_ids: list[UUID], since: datetime) -> dict[UUID, datetime]:
    """When each of the assets last reported anything, of those that did since `since`.

    What this server derives itself (collection method `synthetic`) is no report of the asset.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH derived AS MATERIALIZED ({DERIVED})
                SELECT wanted.id, coalesce(newest.ts, rested.ts) FROM unnest(%(ids)s::uuid[]) AS wanted (id)
                LEFT JOIN LATERAL (SELECT ts FROM metric_frame
                                   WHERE asset_id = wanted.id AND ts > %(since)s
                                     AND layout_id NOT IN (SELECT id FROM derived)
                                   ORDER BY ts DESC LIMIT 1) AS newest ON true
                LEFT JOIN LATERAL (SELECT last_ts AS ts FROM metric_block
                                   WHERE newest.ts IS NULL AND asset_id = wanted.id
                                     AND hour > %(first)s AND last_ts > %(since)s
                                     AND layout_id NOT IN (SELECT id FROM derived)
                                   ORDER BY hour DESC, last_ts DESC LIMIT 1) AS rested ON true
                WHERE newest.ts IS NOT NULL OR rested.ts IS NOT NULL""",
            {"ids": asset_ids, "since": since, "first": since - HOUR},
        )
        return dict(cursor.fetchall())


def reported_slots(asset_id: UUID, start: datetime, end: datetime, slot_ms: int) -> Ints:
    """One instant of each slot of `slot_ms` in (start, end] in which the asset reported anything: from the head's index
    and the blocks' instants alone, so that no value is read. What this server derives itself is no report."""
    parameters: dict[str, Any] = {"ids": [asset_id], "asset": asset_id, "start": start, "end": end, "slot": slot_ms}
    parameters["first"] = start - HOUR
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT min(extract(epoch FROM ts) * 1000)::bigint FROM metric_frame
                WHERE asset_id = %(asset)s AND ts > %(start)s AND ts <= %(end)s AND layout_id NOT IN ({DERIVED})
                GROUP BY floor(extract(epoch FROM ts) * 1000 / %(slot)s)""",
            parameters,
        )
        found = [np.array([row[0] for row in cursor.fetchall()], dtype=np.int64)]
        cursor.execute(
            f"""SELECT times, instants FROM metric_block
                WHERE asset_id = %(asset)s AND hour > %(first)s AND hour <= %(end)s
                  AND layout_id NOT IN ({DERIVED})""",
            parameters,
        )
        found += [codec.decode_instants(bytes(times), count) for times, count in cursor.fetchall()]
    moments = np.concatenate(found)
    moments = np.sort(moments[(moments > start.timestamp() * 1000) & (moments <= end.timestamp() * 1000)])
    _, first = np.unique(moments // slot_ms, return_index=True)
    return moments[first]
