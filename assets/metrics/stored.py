"""Samples and statistics of known series as they are stored: in the head, in blocks, in daily rows.

Where most series of the frames are wanted these are fetched whole, in few rows; else only the cells that are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from numpy.typing import NDArray

from assets.metrics import blocks, codec
from assets.metrics.frames import POSTGRES_EPOCH_MS
from assets.metrics.samples import Floats, Ints, Series

Cells = tuple[Ints, Ints, Floats]  # series ids, timestamps and values of k samples
Statistics = tuple[Ints, Ints, Floats]  # series ids, starts of spans in ms and blocks.STATISTICS of k spans
# From this share on it is cheaper to fetch a frame than its cells.
_MOST = 0.25
_WIDTH = len(blocks.STATISTICS)


@dataclass(frozen=True)
class _Layout:
    """At which places (from 1) the frames of a layout have series that are wanted."""

    asset_id: UUID
    id: int
    width: int
    series_ids: Ints
    places: Ints


@dataclass(frozen=True)
class Places:
    """Where known series are to be found."""

    layouts: list[_Layout]

    @property
    def whole(self) -> bool:
        """Whether frames are fetched whole."""
        wanted = sum(len(layout.places) for layout in self.layouts)
        return wanted >= _MOST * sum(layout.width for layout in self.layouts)

    def parameters(self, start: datetime, end: datetime) -> dict[str, Any]:
        found: dict[str, Any] = {
            "assets": _array({layout.asset_id for layout in self.layouts}),
            "layouts": _array(layout.id for layout in self.layouts),
            "start": start,
            "end": end,
            # Only a value prunes partitions before each of them is planned; computed in SQL it does not.
            "first": start - timedelta(hours=1),
            "start_day": start.date(),
            "end_day": end.date(),
        }
        if not self.whole:
            cells = [
                (layout.asset_id, layout.id, place, series)
                for layout in self.layouts
                for place, series in zip(layout.places.tolist(), layout.series_ids.tolist(), strict=True)
            ]
            # One cell is given as constants: no join then.
            columns = map(str, cells[0]) if len(cells) == 1 else map(_array, zip(*cells, strict=True))
            found |= dict(zip(("cell_assets", "cell_layouts", "cell_places", "cell_series"), columns, strict=True))
        return found

    @property
    def wanted(self) -> str:
        """The cells as a relation of asset_id, layout_id, place and series_id."""
        if sum(len(layout.places) for layout in self.layouts) == 1:
            return """(SELECT %(cell_assets)s::uuid AS asset_id, %(cell_layouts)s::bigint AS layout_id,
                              %(cell_places)s::int AS place, %(cell_series)s::bigint AS series_id) AS wanted"""
        return """unnest(%(cell_assets)s::uuid[], %(cell_layouts)s::bigint[], %(cell_places)s::int[],
                         %(cell_series)s::bigint[]) AS wanted (asset_id, layout_id, place, series_id)"""


def _array(values: Iterable[int | UUID]) -> str:
    """An array as PostgreSQL writes it: a list would be turned into that one by one, and its type would depend on how
    large its numbers are, which makes another statement to prepare."""
    return f"{{{','.join(map(str, values))}}}"


def places_of(series: Sequence[Series]) -> Places:
    # The cast is what lets PostgreSQL look ids up by their hash: arrays come as int4[], and of another type than the
    # column they are searched from end to end for every series of every layout.
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT layout.asset_id, layout.id, cardinality(layout.series_ids),
                      array_agg(cell.series_id ORDER BY cell.place), array_agg(cell.place ORDER BY cell.place)
               FROM metric_layout layout
               CROSS JOIN LATERAL unnest(layout.series_ids) WITH ORDINALITY AS cell (series_id, place)
               WHERE layout.asset_id = ANY(%s::uuid[]) AND cell.series_id = ANY(%s::bigint[])
               GROUP BY layout.asset_id, layout.id""",
            [_array({one.asset_id for one in series}), _array(one.id for one in series)],
        )
        return Places(
            [
                _Layout(asset_id, layout_id, width, np.array(ids, np.int64), np.array(places, np.int64))
                for asset_id, layout_id, width, ids, places in cursor.fetchall()
            ]
        )


# What is packed in one column of bytes costs a small part of rows of numbers, or of COPY, to take in.
_SAMPLE = np.dtype([("series", ">i8"), ("at", ">i8"), ("value", ">f8")])
_NUMBER = np.dtype([("length", ">i4"), ("value", ">f8")])
# Dimensions, nulls, type, length and lower bound stand before an array's elements, each of which has its length first.
_ARRAY_HEAD = 20


@receiver(connection_created)
def prepare_statements(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Statements of this module are planned once a connection, for any parameters: planning over the partitions of a
    month takes longer than reading one series there. Only they are prepared, by asking for it."""
    if connection.vendor == "postgresql":
        connection.connection.prepare_threshold = sys.maxsize
        connection.connection.execute("SET plan_cache_mode = force_generic_plan")


def _rows(query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    connection.ensure_connection()
    # Django's cursors speak text, in which every byte of a column is two.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.format = psycopg.pq.Format.BINARY
        return cursor.execute(query, parameters, prepare=True).fetchall()


def _milliseconds(postgres: NDArray[Any]) -> Ints:
    return postgres.astype(np.int64) // 1000 + POSTGRES_EPOCH_MS


def read_head(places: Places, start: datetime, end: datetime) -> Cells:
    """The samples of the head in (start, end]."""
    parameters = places.parameters(start, end)
    if places.whole:
        return _joined([_cells_of(*one) for one in _by_layout(places, _FRAMES, parameters)])
    # A frame is read once for all the positions of its layout that are wanted.
    rows = _rows(
        f"""SELECT int8send(wanted.series_id) || timestamptz_send(frame.ts) || float8send(frame."values"[wanted.place])
            FROM metric_frame frame
            JOIN {places.wanted} ON wanted.asset_id = frame.asset_id AND wanted.layout_id = frame.layout_id
            WHERE frame.ts > %(start)s AND frame.ts <= %(end)s AND frame.asset_id = ANY(%(assets)s::uuid[])
              AND frame."values"[wanted.place] <> 'NaN'""",
        parameters,
    )
    cells = np.frombuffer(b"".join([row[0] for row in rows]), _SAMPLE)
    return cells["series"].astype(np.int64), _milliseconds(cells["at"]), cells["value"].astype(np.float64)


_FRAMES = """SELECT layout_id, ts AS at, "values" AS numbers FROM metric_frame
             WHERE asset_id = ANY(%(assets)s::uuid[]) AND layout_id = ANY(%(layouts)s::bigint[])
               AND ts > %(start)s AND ts <= %(end)s"""


def _by_layout(places: Places, rows: str, parameters: dict[str, Any]) -> Iterator[tuple[_Layout, Ints, Floats]]:
    """The instants (m,) and numbers (m, k) of each layout, of rows of layout_id, at and an array of numbers."""
    found: dict[int, list[bytes]] = {}
    packed = f"SELECT layout_id, timestamptz_send(at) || array_send(numbers) FROM ({rows}) AS stored"
    for layout_id, row in _rows(packed, parameters):
        found.setdefault(layout_id, []).append(row)
    for layout in places.layouts:
        if rows_of := found.get(layout.id):
            length = (len(rows_of[0]) - 8 - _ARRAY_HEAD) // _NUMBER.itemsize
            row_type = np.dtype([("at", ">i8"), ("head", f"V{_ARRAY_HEAD}"), ("numbers", _NUMBER, (length,))])
            table = np.frombuffer(b"".join(rows_of), row_type)
            yield layout, _milliseconds(table["at"]), table["numbers"]["value"].astype(np.float64)


def _cells_of(layout: _Layout, timestamps: Ints, table: Floats) -> Cells:
    # Newer rows may stand before older ones.
    order = np.argsort(timestamps, kind="stable")
    values = table[order][:, layout.places - 1].T.ravel()
    there = ~np.isnan(values)
    ids = np.repeat(layout.series_ids, len(timestamps))
    return ids[there], np.tile(timestamps[order], len(layout.places))[there], values[there]


def _joined(parts: list[Cells]) -> Cells:
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    ids, timestamps, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return ids, timestamps, values


def read_blocks(places: Places, start: datetime, end: datetime) -> Cells:
    """The samples at rest in (start, end], by series and time."""
    parameters = places.parameters(start, end)
    rows = _rows(_WHOLE_BLOCKS if places.whole else _columns_of_blocks(places), parameters)
    if not rows:
        return _joined([])
    packed = b"".join([row[-1] for row in rows])
    sizes = np.array([len(row[-1]) for row in rows], dtype=np.int64)
    begins = np.cumsum(sizes) - sizes
    if places.whole:
        columns = _columns_of_whole(places, rows, begins)
    else:
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        columns = _Columns(ids, np.arange(len(rows)), begins, begins + sizes)
    ids, timestamps, values = _unpacked(columns, packed, [(row[2], row[1]) for row in rows])
    first_ms, last_ms = int(start.timestamp() * 1000), int(end.timestamp() * 1000)
    kept = np.flatnonzero((timestamps > first_ms) & (timestamps <= last_ms) & (values == values))
    return (ids, timestamps, values) if len(kept) == len(ids) else (ids[kept], timestamps[kept], values[kept])


# An array's binary form is read by NumPy at once, as psycopg would element by element.
_WHOLE_BLOCKS = """SELECT layout_id, instants, times, array_send(ends), "columns" FROM metric_block
                   WHERE asset_id = ANY(%(assets)s::uuid[]) AND layout_id = ANY(%(layouts)s::bigint[])
                     AND hour > %(first)s AND hour <= %(end)s"""


def _columns_of_blocks(places: Places) -> str:
    return f"""
        SELECT wanted.series_id, block.instants, block.times,
               substring(block."columns" FROM begins.at + 1 FOR block.ends[wanted.place] - begins.at)
        FROM metric_block block
        JOIN {places.wanted} ON wanted.asset_id = block.asset_id AND wanted.layout_id = block.layout_id
        CROSS JOIN LATERAL (SELECT coalesce(block.ends[wanted.place - 1], 0)) AS begins (at)
        WHERE block.hour > %(first)s AND block.hour <= %(end)s AND block.asset_id = ANY(%(assets)s::uuid[])"""


_ELEMENT = np.dtype([("length", ">i4"), ("value", ">i4")])


@dataclass(frozen=True)
class _Columns:
    """Columns of blocks within one buffer."""

    ids: Ints
    block: Ints
    starts: Ints
    ends: Ints


def _columns_of_whole(places: Places, rows: list[tuple[Any, ...]], begins: Ints) -> _Columns:
    """Blocks of one layout at once: where its columns end stands in the same places of each."""
    of_layout: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        of_layout.setdefault(row[0], []).append(number)
    parts = []
    for layout in places.layouts:
        numbers = np.array(of_layout.get(layout.id, ()), dtype=np.int64)
        written = b"".join([rows[number][3][_ARRAY_HEAD:] for number in numbers.tolist()])
        until = np.zeros((len(numbers), layout.width + 1), dtype=np.int64)
        until[:, 1:] = np.frombuffer(written, _ELEMENT)["value"].reshape(len(numbers), layout.width)
        until += begins[numbers, None]
        ids, block = np.tile(layout.series_ids, len(numbers)), np.repeat(numbers, len(layout.places))
        parts.append((ids, block, until[:, layout.places - 1].ravel(), until[:, layout.places].ravel()))
    return _Columns(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _unpacked(columns: _Columns, packed: bytes, times: list[tuple[bytes, int]]) -> Cells:
    """`times` are the coded instants of each block, and how many."""
    # The series of one block share their instants: they are decoded once.
    numbers: dict[tuple[bytes, int], int] = {}
    which = np.array([numbers.setdefault(one, len(numbers)) for one in times], dtype=np.int64)
    lengths = np.array([count for _, count in numbers], dtype=np.int64)
    instants = codec.decode_many_instants([coded for coded, _ in numbers], lengths)
    begins = np.cumsum(lengths) - lengths
    order = np.lexsort((instants[begins][which[columns.block]], columns.ids))
    own = which[columns.block[order]]
    counts = lengths[own]
    values = codec.decode(packed, columns.starts[order], columns.ends[order], counts)
    timestamps = instants[codec.runs(begins[own], counts)]
    return np.repeat(columns.ids[order], counts), timestamps, values


_HOURS = """SELECT asset_id, layout_id, hour AS at, statistics AS numbers FROM metric_block
            WHERE asset_id = ANY(%(assets)s::uuid[]) AND layout_id = ANY(%(layouts)s::bigint[])
              AND hour >= %(start)s AND hour <= %(end)s"""
# Of a day that is due the daily row is old or not there yet: its hours tell.
_DAYS = """SELECT asset_id, layout_id, day::timestamp AT TIME ZONE 'UTC' AS at, statistics AS numbers
           FROM metric_daily daily
           WHERE asset_id = ANY(%(assets)s::uuid[]) AND layout_id = ANY(%(layouts)s::bigint[])
             AND day >= %(start_day)s AND day <= %(end_day)s
             AND NOT EXISTS (SELECT FROM metric_daily_due due
                             WHERE due.asset_id = daily.asset_id AND due.day = daily.day)
           UNION ALL
           SELECT asset_id, layout_id, hour, statistics FROM metric_block block
           WHERE asset_id = ANY(%(assets)s::uuid[]) AND layout_id = ANY(%(layouts)s::bigint[])
             AND hour >= %(start)s AND hour <= %(end)s
             AND EXISTS (SELECT FROM metric_daily_due due
                         WHERE due.asset_id = block.asset_id AND due.day = (block.hour AT TIME ZONE 'UTC')::date)"""


def read_hours(places: Places, start: datetime, end: datetime) -> Statistics:
    """The hours of blocks that begin in [start, end]."""
    return _statistics(places, _HOURS, start, end)


def read_days(places: Places, start: datetime, end: datetime) -> Statistics:
    """The days that begin in [start, end]; hours instead where a day is not summed up yet. Both are in UTC."""
    return _statistics(places, _DAYS, start, end)


def _statistics(places: Places, rows: str, start: datetime, end: datetime) -> Statistics:
    parameters = places.parameters(start, end)
    if places.whole:
        ids, spans, joined = _joined([_spans_of(*one) for one in _by_layout(places, rows, parameters)])
        found = joined.reshape(-1, _WIDTH)
    else:
        ids, spans, found = _picked(places, rows, parameters)
    there = found[:, 0] > 0
    return ids[there], spans[there], found[there]


def _picked(places: Places, rows: str, parameters: dict[str, Any]) -> Statistics:
    packed = _rows(
        f"""SELECT int8send(wanted.series_id) || timestamptz_send(stored.at) ||
                   array_send(stored.numbers[{_WIDTH} * wanted.place - {_WIDTH - 1} : {_WIDTH} * wanted.place])
            FROM ({rows}) AS stored
            JOIN {places.wanted} ON wanted.asset_id = stored.asset_id AND wanted.layout_id = stored.layout_id""",
        parameters,
    )
    row_type = np.dtype([*_SAMPLE.descr[:2], ("head", f"V{_ARRAY_HEAD}"), ("numbers", _NUMBER, (_WIDTH,))])
    table = np.frombuffer(b"".join([row[0] for row in packed]), row_type)
    return table["series"].astype(np.int64), _milliseconds(table["at"]), table["numbers"]["value"].astype(np.float64)


def _spans_of(layout: _Layout, starts: Ints, table: Floats) -> Statistics:
    cells = table.reshape(len(starts), layout.width, _WIDTH)[:, layout.places - 1].transpose(1, 0, 2)
    return np.repeat(layout.series_ids, len(starts)), np.tile(starts, len(layout.places)), cells.reshape(-1, _WIDTH)
