"""What an expression needs, read from the store: series by matchers, their samples or hourly statistics as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from django.conf import settings
from django.db import connection

from assets.metrics import query
from assets.metrics.promql.evaluation import Data, Need
from assets.metrics.promql.ranges import TooMuch
from assets.metrics.promql.selecting import Found, find
from assets.metrics.promql.syntax import Matcher, Selector
from assets.metrics.promql.vectors import HourlyWindow, Key, Labels, Window, grouped, key_of
from assets.metrics.samples import Floats, Ints, Samples, Series
from wedsync_monitor.policy import Person

HOUR_MS = query.HOUR_MS
# Windows and steps of whole hours are answered from hourly statistics where the span is longer than this.
_RAW_AT_MOST_MS = query.RAW_AT_MOST // timedelta(milliseconds=1)
# Series × hours that are read without counting their samples first.
_SURELY_FEW = 10_000


def read(person: Person, wanted: Sequence[Need], moments: Ints, lookback_ms: int) -> Data:
    """The data of `wanted` for an evaluation at `moments`. Raises BadQuery and its kind TooMuch."""
    found: dict[tuple[Matcher, ...], _Series] = {}
    data: dict[Need, Window | HourlyWindow] = {}
    for need in dict.fromkeys(wanted):
        matchers = need.selector.matchers
        if matchers not in found:
            found[matchers] = _Series(find(person, matchers))
        data[need] = _read(found[matchers], need, moments, lookback_ms)
    return data


class _Series:
    """The series of a selector. Those that are called the same (reported by two agents, or as another type than before)
    are one to whoever asks."""

    def __init__(self, found: list[Found]):
        self.stored = [one.series for one in found]
        keys: list[Key] = [key_of(one.labels) for one in found]
        self.owner, firsts = grouped(keys)
        self.labels: list[Labels] = [found[first].labels for first in firsts]


def _read(series: _Series, need: Need, moments: Ints, lookback_ms: int) -> Window | HourlyWindow:
    selector = need.selector
    reach = selector.range_ms or lookback_ms
    first, last = int(moments[0]) - selector.offset_ms - reach, int(moments[-1]) - selector.offset_ms
    by_hour = need.hourly and _is_hourly(selector, moments)
    if len(series.labels) * len(moments) > settings.QUERY_MAX_SAMPLES:
        raise TooMuch(f"{len(series.labels)} series at {len(moments)} instants are too many; ask for a longer step")
    if not series.stored:
        return _no_hours() if by_hour else Window([], np.zeros(1, np.int64), np.empty(0, np.int64), np.empty(0))
    if by_hour:
        return _read_hours(series, first, last)
    _refuse_too_many(series.stored, first, last)
    return _window(series, query.read_series(series.stored, _moment(first), _moment(last)))


def _is_hourly(selector: Selector, moments: Ints) -> bool:
    """Whether all windows begin and end with an hour, and are many."""
    steps = np.diff(moments)
    whole = not (selector.range_ms % HOUR_MS or (int(moments[0]) - selector.offset_ms) % HOUR_MS)
    aligned = whole and not (steps % HOUR_MS).any()
    return aligned and int(moments[-1]) - int(moments[0]) + selector.range_ms > _RAW_AT_MOST_MS


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _window(series: _Series, samples: Samples) -> Window:
    """The samples under the names that they have here."""
    if len(series.labels) == len(series.stored):
        places = {one.id: place for place, one in enumerate(samples.series)}
        order = [places[one.id] for one in series.stored if one.id in places]
        if order == list(range(len(series.stored))):
            return Window(series.labels, samples.offsets, samples.timestamps, samples.values)
    owners = {one.id: int(owner) for one, owner in zip(series.stored, series.owner, strict=True)}
    owner = np.repeat([owners.get(one.id, -1) for one in samples.series], np.diff(samples.offsets))
    owner, timestamps, values = _ordered(owner, samples.timestamps, samples.values)
    return Window(series.labels, _offsets(owner, len(series.labels)), timestamps, values)


def _ordered(owner: Ints, timestamps: Ints, values: Floats) -> tuple[Ints, Ints, Floats]:
    """By owner and time; of one instant the first."""
    order = np.lexsort((timestamps, owner))
    order = order[owner[order] >= 0]
    owner, timestamps = owner[order], timestamps[order]
    first = np.ones(len(owner), dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (timestamps[1:] != timestamps[:-1])
    return owner[first], timestamps[first], values[order][first]


def _offsets(owner: Ints, size: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=size))]).astype(np.int64)


def _no_hours() -> HourlyWindow:
    return HourlyWindow([], np.zeros(1, np.int64), np.empty(0, np.int64), np.empty((0, 7)))


def _read_hours(series: _Series, first: int, last: int) -> HourlyWindow:
    """The statistics of the hours of (first, last], each hour's at its end."""
    ids, hours, table = query.statistics_of(series.stored, _moment(first), _moment(last - 1), "hour")
    owners = {one.id: int(owner) for one, owner in zip(series.stored, series.owner, strict=True)}
    unique, inverse = np.unique(ids, return_inverse=True)
    owner = np.array([owners.get(series_id, -1) for series_id in unique.tolist()], dtype=np.int64)[inverse]
    # Two of one name in the same hour stay two rows: windows put hours together anyway.
    order = np.lexsort((hours, owner))
    order = order[owner[order] >= 0]
    return HourlyWindow(series.labels, _offsets(owner[order], len(series.labels)), hours[order] + HOUR_MS, table[order])


def _refuse_too_many(series: Sequence[Series], first: int, last: int) -> None:
    """Count before reading what may be too much for the memory. Raises TooMuch."""
    if len(series) * ((last - first) // HOUR_MS + 1) <= _SURELY_FEW:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH wanted AS MATERIALIZED (
                   SELECT layout.asset_id, layout.id, count(*) AS series FROM metric_layout layout
                   CROSS JOIN LATERAL unnest(layout.series_ids) AS cell (series_id)
                   WHERE layout.asset_id = ANY(%(assets)s) AND cell.series_id = ANY(%(series)s::bigint[])
                   GROUP BY layout.asset_id, layout.id)
               SELECT (SELECT coalesce(sum(instants * series), 0) FROM metric_block block
                       JOIN wanted ON wanted.asset_id = block.asset_id AND wanted.id = block.layout_id
                       WHERE hour > %(start)s - interval '1 hour' AND hour <= %(end)s)
                    + (SELECT coalesce(sum(series), 0) FROM metric_frame frame
                       JOIN wanted ON wanted.asset_id = frame.asset_id AND wanted.id = frame.layout_id
                       WHERE ts > %(start)s AND ts <= %(end)s)""",
            {
                "assets": list({one.asset_id for one in series}),
                "series": [one.id for one in series],
                "start": _moment(first),
                "end": _moment(last),
            },
        )
        (count,) = cursor.fetchone()
    if count > settings.QUERY_MAX_SAMPLES:
        raise TooMuch(
            f"the query would read {count} samples, more than {settings.QUERY_MAX_SAMPLES}; "
            "ask for a shorter span or fewer series"
        )
