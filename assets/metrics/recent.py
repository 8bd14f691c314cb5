"""What lately came in, kept by each process as arrays: every read fetches only the frames that are new since the last.

1. A frame is new if it came in (`received_at`) after the mark of the last read. The mark is taken before the read: the
   beginning of the oldest transaction that was open then, since a frame bears the time at which its transaction began.
2. What was read twice because of that counts once.
3. A sample that came in later than `lateness` after its own time is back-filled: it is stored and never read here.
4. Where the mark cannot be trusted (the first read, a long pause, a clock that jumped, another database server) and for
   metrics or spans that were not asked for before, the samples are read anew from where they are stored.

Of samples that compaction has moved nothing tells when they came in: they all count.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import connection

from assets.metrics import frames, query, rolling
from assets.metrics.committing import place as this_process
from assets.metrics.query import SeriesSelector
from assets.metrics.rolling import Rolling
from assets.metrics.samples import Floats, Ints, Samples, Series, assemble, nothing

# After a longer pause, stored samples are read anew.
LONGEST_PAUSE = timedelta(minutes=5)
# No transaction that stores frames is open for longer (committing: 30 s a statement).
LONGEST_COMMIT = timedelta(seconds=60)
# A transaction is seen by others a moment after it began.
_MOMENT = timedelta(seconds=2)
# Two clocks that run apart by more have jumped.
_JUMP = timedelta(minutes=1)
# Frames may be ahead of this clock (ingestion.AHEAD, by the clock of the process that took them in).
_AHEAD = timedelta(minutes=10)
# A metric that nobody asks for falls out.
_FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class _Clock:
    now: datetime
    mark: datetime
    server_started: datetime


@dataclass
class _Wish:
    """How far back a metric is kept, and when that was last asked for."""

    span: timedelta
    asked_at: datetime


class Recent:
    """The recent samples of the metrics that are asked for; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._clock: _Clock | None = None
        self._now: datetime | None = None
        self._samples = nothing()
        self._places = _Places(self._samples.series)
        self._wishes: dict[str, _Wish] = {}
        self._held: dict[str, timedelta] = {}
        self._layouts = _Layouts()

    def read(self, spans: Mapping[str, timedelta], now: datetime, lateness: timedelta) -> dict[str, Rolling]:
        """The samples of each metric in `spans`, at least as far back from `now` as it says."""
        with self._lock:
            try:
                self._catch_up(spans, now, lateness)
            except BaseException:
                # What was read so far is not known to be whole.
                self._begin_anew()
                raise
            return self._by_metric(spans)

    def held(self) -> int:
        """Bytes of samples in memory."""
        return self._samples.timestamps.nbytes + self._samples.values.nbytes + self._samples.offsets.nbytes

    def size_of(self, metric_name: str, span: timedelta) -> int | None:
        """How many samples of a metric are held; None where it is not held so far back."""
        if self._held.get(metric_name, timedelta(0)) < span:
            return None
        first, last = self._look_up().bounds.get(metric_name, (0, 0))
        return int(self._samples.offsets[last] - self._samples.offsets[first])

    def _catch_up(self, spans: Mapping[str, timedelta], now: datetime, lateness: timedelta) -> None:
        clock = _read_clock()
        if not self._may_go_on(clock, now):
            wishes = self._wishes
            self._begin_anew()
            self._wishes = wishes
        self._wish(spans, now)
        wanted = {name: wish.span for name, wish in self._wishes.items()}
        missing = {name: span for name, span in wanted.items() if self._held.get(name, timedelta(0)) < span}
        if missing or self._held.keys() - wanted.keys():
            self._restock(wanted, missing, now, lateness)
        self._held = wanted
        if self._clock is not None and wanted:
            self._add_new(self._clock.mark, lateness, now)
        self._clock, self._now = clock, now

    def _may_go_on(self, clock: _Clock, now: datetime) -> bool:
        if self._clock is None or self._now is None or clock.server_started != self._clock.server_started:
            return False
        passed = clock.now - self._clock.now
        return (
            now >= self._now
            and clock.mark - self._clock.mark >= timedelta(0)
            and passed <= LONGEST_PAUSE
            and (abs(now - self._now - passed) <= _JUMP)
        )

    def _wish(self, spans: Mapping[str, timedelta], now: datetime) -> None:
        for name, span in spans.items():
            known = self._wishes.get(name)
            if known is None or span >= known.span or abs(now - known.asked_at) > _FORGOTTEN_AFTER:
                self._wishes[name] = _Wish(span, now)
        for name, wish in list(self._wishes.items()):
            if name not in spans and abs(now - wish.asked_at) > _FORGOTTEN_AFTER:
                del self._wishes[name]

    def _restock(
        self, wanted: Mapping[str, timedelta], missing: Mapping[str, timedelta], now: datetime, lateness: timedelta
    ) -> None:
        """Read `missing` metrics from where they are stored; those that are no longer wanted fall out."""
        stays = wanted.keys() - missing.keys()
        old = self._samples
        owner = np.repeat(np.arange(len(old.series)), np.diff(old.offsets))
        kept = np.array([one.metric_name in stays for one in old.series], dtype=bool)
        ids = np.array([one.id for one in old.series], dtype=np.int64)
        inside = kept[owner] if len(owner) else np.empty(0, dtype=bool)
        series = [one for one in old.series if one.metric_name in stays]
        cells = [(ids[owner[inside]], old.timestamps[inside], old.values[inside])]
        for span, names in _by_span(missing).items():
            found = _stored(names, now - span, now + _AHEAD, lateness if span > lateness else None)
            series += found.series
            its_ids = np.array([one.id for one in found.series], dtype=np.int64)
            cells.append((np.repeat(its_ids, np.diff(found.offsets)), found.timestamps, found.values))
        self._samples = assemble(sorted(series, key=rolling.order_of), *map(np.concatenate, zip(*cells, strict=True)))
        self._layouts = _Layouts()

    def _add_new(self, mark: datetime, lateness: timedelta, now: datetime) -> None:
        ids, timestamps, values = self._layouts.cells_of(_new_frames(mark, lateness), list(self._held))
        if more := self._layouts.take_new_series({one.id for one in self._samples.series}):
            self._samples = rolling.widen(self._samples, more)
        places = self._look_up()
        cutoff = np.empty(len(self._samples.series), dtype=np.int64)
        for name, (first, last) in places.bounds.items():
            cutoff[first:last] = int((now - self._held[name]).timestamp() * 1000)
        self._samples = rolling.merge(self._samples, places.of(ids), timestamps, values, cutoff)

    def _look_up(self) -> _Places:
        if self._places.series is not self._samples.series:
            self._places = _Places(self._samples.series)
        return self._places

    def _by_metric(self, names: Iterable[str]) -> dict[str, Rolling]:
        bounds = self._look_up().bounds
        return {name: Rolling(rolling.part(self._samples, *bounds.get(name, (0, 0)))) for name in names}


class _Places:
    """Where series stand in a list of them that is in rolling.order_of."""

    def __init__(self, series: list[Series]):
        self.series = series
        ids = np.array([one.id for one in series], dtype=np.int64)
        self._order = np.argsort(ids)
        self._ids = ids[self._order]
        self.bounds: dict[str, tuple[int, int]] = {}
        for place, one in enumerate(series):
            first, _ = self.bounds.get(one.metric_name, (place, place))
            self.bounds[one.metric_name] = first, place + 1

    def of(self, ids: Ints) -> Ints:
        found: Ints = self._order[np.searchsorted(self._ids, ids)]
        return found


def _by_span(spans: Mapping[str, timedelta]) -> dict[timedelta, list[str]]:
    found: dict[timedelta, list[str]] = defaultdict(list)
    for name, span in spans.items():
        found[span].append(name)
    return found


def _read_clock() -> _Clock:
    """The database's own clock, and since when frames may still come to light that bear an earlier time."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT clock_timestamp(), pg_postmaster_start_time(), min(xact_start) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
        )
        now, started, oldest = cursor.fetchone()
    mark = min(oldest or now, now) - _MOMENT
    return _Clock(now, max(mark, now - LONGEST_COMMIT), started)


def _new_frames(since: datetime, lateness: timedelta) -> list[frames.Rows]:
    # The upper end keeps the planner at the index while a partition has no statistics; the bound on ts leaves out the
    # partitions of earlier hours.
    return frames.parse_rows(
        query.copy_out(
            """SELECT asset_id, layout_id, ts, "values" FROM metric_frame
               WHERE received_at > %(since)s AND received_at <= %(since)s + interval '1 day'
                 AND received_at <= ts + %(lateness)s AND ts > %(oldest)s""",
            {"since": since, "lateness": lateness, "oldest": since - lateness},
        )
    )


def _stored(names: list[str], start: datetime, end: datetime, lateness: timedelta | None) -> Samples:
    """What is stored of `names` in (start, end]; without what was back-filled, where `lateness` is given."""
    samples = query.read(SeriesSelector(tuple(sorted(names))), start, end)
    if lateness is None:
        return samples
    late_ids, late_timestamps = _back_filled(names, start, lateness)
    if not len(late_ids):
        return samples
    ids = np.repeat(np.array([one.id for one in samples.series], dtype=np.int64), np.diff(samples.offsets))
    # Millions of cells after an outage: a number for each, and no objects.
    oldest = min(late_timestamps.min(), samples.timestamps.min(initial=late_timestamps.max()))
    _, numbers = np.unique(np.concatenate([ids, late_ids]), return_inverse=True)
    moments = np.concatenate([samples.timestamps, late_timestamps]) - oldest
    cells = numbers * (moments.max() + 1) + moments
    timely = ~np.isin(cells[: len(ids)], cells[len(ids) :])
    return assemble(samples.series, ids[timely], samples.timestamps[timely], samples.values[timely])


def _back_filled(names: list[str], start: datetime, lateness: timedelta) -> tuple[Ints, Ints]:
    copied = query.copy_out(
        """WITH wanted AS MATERIALIZED (
               SELECT layout.asset_id, layout.id AS layout_id, cell.series_id, cell.place::int AS place
               FROM metric_layout layout
               CROSS JOIN LATERAL unnest(layout.series_ids) WITH ORDINALITY AS cell (series_id, place)
               JOIN metric_series series ON series.asset_id = layout.asset_id AND series.id = cell.series_id
               WHERE series.metric_name = ANY(%(names)s))
           SELECT wanted.series_id::bigint, frame.ts, frame."values"[wanted.place]
           FROM metric_frame frame JOIN wanted USING (asset_id, layout_id)
           WHERE frame.ts > %(start)s AND frame.received_at > frame.ts + %(lateness)s""",
        {"names": names, "start": start, "lateness": lateness},
    )
    ids, timestamps, _ = frames.parse_samples(copied)
    return ids, timestamps


class _Layouts:
    """Of every layout that was met, which of its places hold wanted series."""

    def __init__(self) -> None:
        self._index: dict[int, int] = {}
        self._starts = np.zeros(1, dtype=np.int64)
        self._places = self._ids = np.empty(0, dtype=np.int64)
        self._met: dict[int, Series] = {}

    def cells_of(self, rows: list[frames.Rows], names: list[str]) -> tuple[Ints, Ints, Floats]:
        """Series ids, timestamps and values of the wanted samples in `rows`."""
        self._look_up(rows, names)
        parts = [self._unpack(one) for one in rows]
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        ids, timestamps, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return ids, timestamps, values

    def take_new_series(self, known: set[int]) -> list[Series]:
        """The series that were met since the last call, without `known` ones."""
        met, self._met = self._met, {}
        return [one for series_id, one in met.items() if series_id not in known]

    def _unpack(self, rows: frames.Rows) -> tuple[Ints, Ints, Floats]:
        distinct, inverse = np.unique(rows.layout_ids, return_inverse=True)
        index = np.array([self._index[one] for one in distinct.tolist()], dtype=np.int64)[inverse]
        begins, counts = self._starts[index], self._starts[index + 1] - self._starts[index]
        row = np.repeat(np.arange(len(index)), counts)
        cell = np.repeat(begins - (np.cumsum(counts) - counts), counts) + np.arange(len(row))
        values = rows.values[row, self._places[cell]].astype(np.float64)
        there = ~np.isnan(values)
        return self._ids[cell][there], rows.timestamps[row][there], values[there]

    def _look_up(self, rows: list[frames.Rows], names: list[str]) -> None:
        unknown: dict[int, UUID] = {}
        for one in rows:
            for layout_id, first in zip(*np.unique(one.layout_ids, return_index=True), strict=True):
                if int(layout_id) not in self._index:
                    unknown[int(layout_id)] = UUID(bytes=one.assets[first].tobytes())
        if not unknown:
            return
        cells = self._stored_cells(unknown, names)
        sizes = []
        for layout_id in unknown:
            self._index[layout_id] = len(self._index)
            sizes.append(len(cells[layout_id]))
        flat = np.array([cell for layout_id in unknown for cell in cells[layout_id]], dtype=np.int64).reshape(-1, 2)
        self._starts = np.concatenate([self._starts, self._starts[-1] + np.cumsum(sizes)])
        self._places = np.concatenate([self._places, flat[:, 0]])
        self._ids = np.concatenate([self._ids, flat[:, 1]])

    def _stored_cells(self, unknown: Mapping[int, UUID], names: list[str]) -> dict[int, list[tuple[int, int]]]:
        """(place, series id) of the wanted series of each layout."""
        found: dict[int, list[tuple[int, int]]] = defaultdict(list)
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT layout.id, cell.place - 1, series.id, series.asset_id, series.metric_name,
                          series.metric_type, series.metric_unit, series.metric_labels::text
                   FROM unnest(%s::uuid[], %s::bigint[]) AS met (asset_id, id)
                   JOIN metric_layout layout USING (asset_id, id)
                   CROSS JOIN LATERAL unnest(layout.series_ids) WITH ORDINALITY AS cell (series_id, place)
                   JOIN metric_series series ON series.asset_id = layout.asset_id AND series.id = cell.series_id
                   WHERE series.metric_name = ANY(%s)""",
                [list(unknown.values()), list(unknown), names],
            )
            for layout_id, place, *described in cursor.fetchall():
                series = query.series_of(described)
                found[layout_id].append((place, series.id))
                self._met[series.id] = series
        return found


_kept: dict[object, Recent] = {}
_lock = threading.Lock()


def of_this_process() -> Recent:
    """The samples that this process keeps of its database."""
    with _lock:
        return _kept.setdefault(this_process(), Recent())


def forget() -> None:
    """Drop what this process keeps, after the tables were emptied."""
    with _lock:
        _kept.clear()
