"""What due rules read: the samples of their metrics, once; each aggregate is computed once for all that ask for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from alerts import wording
from alerts.conditions import MetricCondition
from alerts.selection import AssetTable
from assets.metrics import query, recent, windows
from assets.metrics.query import SeriesSelector
from assets.metrics.rolling import Rolling
from assets.metrics.samples import Series
from assets.metrics.windows import Grid

# How long before a window the last sample of a counter is looked for: as long as the window, within these.
REACH, LONGEST_REACH = timedelta(minutes=5), timedelta(hours=1)
# The samples of longer windows are read when a rule asks for them, and not kept.
LONGEST_KEPT = timedelta(hours=1)
# A longer window is sized up by what this much of it holds before it is read.
PROBE = timedelta(minutes=10)
MOST_SAMPLES = 5_000_000


class TooMuch(Exception):
    """A condition asks for more samples than are read in one evaluation; the text says what to change."""


@dataclass(frozen=True)
class Window:
    """The `seconds` of a metric that end `delay` before now."""

    metric_name: str
    seconds: int
    delay: timedelta

    @property
    def length(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    @property
    def reach(self) -> timedelta:
        """How long before it a counter's rate may begin."""
        return min(max(self.length, REACH), LONGEST_REACH)

    @property
    def span(self) -> timedelta:
        return self.length + self.reach + self.delay


def window_of(condition: MetricCondition, delay: timedelta) -> Window:
    return Window(condition.metric_name, condition.time_window, delay)


@dataclass(frozen=True)
class Column:
    """A metric, aggregated over a window: n series of active assets."""

    series: Sequence[Series]  # all of the metric
    places: NDArray[np.int64]  # (n,) in `series`
    owner: NDArray[np.int64]  # (n,) the place of its asset among the active ones
    values: NDArray[np.float64]  # (n,) NaN without a value
    assets: int

    def of(self, place: int) -> Series:
        return self.series[int(self.places[place])]

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Of each asset whether one of its series has a value."""
        return self.any(~np.isnan(self.values))

    @cached_property
    def by_id(self) -> dict[int, int]:
        """The place of each series by its id."""
        return {self.series[one].id: place for place, one in enumerate(self.places.tolist())}

    def where(self, wanted: Callable[[Series], bool]) -> Column:
        """The series that are `wanted` alone."""
        return self._kept(np.array([wanted(self.series[one]) for one in self.places.tolist()], dtype=bool))

    def part(self, chosen: NDArray[np.bool_]) -> Column:
        """The series of the `chosen` assets alone."""
        return self._kept(chosen[self.owner])

    def _kept(self, kept: NDArray[np.bool_]) -> Column:
        return replace(self, places=self.places[kept], owner=self.owner[kept], values=self.values[kept])

    def any(self, of_series: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of each asset whether it is so for one of its series."""
        found = np.zeros(self.assets, dtype=bool)
        found[self.owner[of_series]] = True
        return found


class Readings:
    """The samples of `windows`, as they are at `now`. What a rule asks for again is answered from memory."""

    def __init__(self, windows: Collection[Window], assets: AssetTable, now: datetime):
        self._now, self._assets = now, assets
        self._places = {asset_id: place for place, asset_id in enumerate(assets.ids)}
        self._columns: dict[tuple[Window, str], Column] = {}
        self._owners: dict[int, tuple[Sequence[Series], NDArray[np.int64], NDArray[np.int64]]] = {}
        self._long: dict[Window, Rolling] = {}
        self._kept = recent.of_this_process()
        self._too_much = _too_much(windows, self._kept, now)
        read = [window for window in windows if (window.metric_name, window.seconds) not in self._too_much]
        self._kept_of = self._read([window for window in read if window.length <= LONGEST_KEPT])

    def column(self, condition: MetricCondition, delay: timedelta) -> Column:
        """The condition's metric, aggregated over its window. Raises TooMuch."""
        window = window_of(condition, delay)
        if why := self._too_much.get((window.metric_name, window.seconds)):
            raise TooMuch(why)
        key = window, condition.aggregation
        if key not in self._columns:
            self._columns[key] = self._aggregate(window, condition.aggregation)
        return self._columns[key]

    def _aggregate(self, window: Window, how: str) -> Column:
        source = self._kept_of[window.metric_name] if window.length <= LONGEST_KEPT else self._long_of(window)
        places, owner = self._owners_of(source)
        end_ms = int((self._now - window.delay).timestamp() * 1000)
        span = end_ms - window.seconds * 1000, end_ms, int(window.reach.total_seconds() * 1000)
        # What overflows is infinite, and so no value.
        with np.errstate(over="ignore", invalid="ignore"):
            values = source.aggregate(how, *span)[places]
        if how == "count":
            values = np.where(values > 0, values, np.nan)
        values = np.where(np.isfinite(values), values, np.nan)
        return Column(source.samples.series, places, owner, values, len(self._assets.ids))

    def _owners_of(self, source: Rolling) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The series of active assets, and the places of those assets."""
        series = source.samples.series
        if id(series) not in self._owners:
            owner = np.array([self._places.get(one.asset_id, -1) for one in series], dtype=np.int64)
            active = np.flatnonzero(owner >= 0)
            # With the series themselves, so that no other list gets their id.
            self._owners[id(series)] = series, active, owner[active]
        return self._owners[id(series)][1:]

    def _read(self, windows: Collection[Window]) -> dict[str, Rolling]:
        spans: dict[str, timedelta] = {}
        for window in windows:
            spans[window.metric_name] = max(window.span, spans.get(window.metric_name, window.span))
        lateness = timedelta(seconds=settings.EVALUATION_LATENESS_SECONDS)
        return self._kept.read(spans, self._now, lateness) if spans else {}

    def _long_of(self, window: Window) -> Rolling:
        """The samples of a long window, of which so many are held at once as one window may have."""
        if window not in self._long:
            wanted = SeriesSelector((window.metric_name,))
            self._long[window] = Rolling(query.read(wanted, self._now - window.span, self._now - window.delay))
            while len(self._long) > 1 and sum(len(one.samples.values) for one in self._long.values()) > MOST_SAMPLES:
                del self._long[next(iter(self._long))]
        return self._long[window]


def _too_much(windows: Collection[Window], kept: recent.Recent, now: datetime) -> dict[tuple[str, int], str]:
    """The long windows that hold more samples than memory should, by what is kept or what was reported lately."""
    unknown = [one for one in windows if one.length > PROBE and kept.size_of(one.metric_name, one.span) is None]
    lately: dict[str, int] = defaultdict(int)
    if names := tuple(sorted({one.metric_name for one in unknown})):
        samples = query.read(SeriesSelector(names), now - PROBE, now)
        for series, count in zip(samples.series, np.diff(samples.offsets).tolist(), strict=True):
            lately[series.metric_name] += count
    found = {}
    for one in windows:
        held = kept.size_of(one.metric_name, one.span)
        number = held if held is not None else lately[one.metric_name] * (one.length / PROBE)
        if one.length > PROBE and number > MOST_SAMPLES:
            found[one.metric_name, one.seconds] = (
                f"{one.metric_name} over {wording.span(one.seconds)} is about {number:,.0f} samples, of which at most "
                f"{MOST_SAMPLES:,} are read in one evaluation: shorten time_window"
            )
    return found


def over_grid(condition: MetricCondition, series: list[Series], grid: Grid) -> NDArray[np.float64]:
    """(n, S) the condition's aggregate of stored samples over its own window at each instant of `grid`; NaN without a
    value. Counters count as their increase per second."""
    own = Grid(grid.start_ms, grid.end_ms, grid.step_ms, condition.time_window * 1000)
    if not series:
        return np.empty((0, len(grid)))
    begins, ends = (datetime.fromtimestamp(one / 1000, UTC) for one in (own.start_ms - own.window_ms, own.end_ms))
    samples = query.read_series(series, begins - LONGEST_REACH, ends).rates()
    with np.errstate(over="ignore", invalid="ignore"):
        values = windows.over_time(condition.aggregation, samples, own)
    if condition.aggregation == "count":
        values = np.where(values > 0, values, np.nan)
    return np.where(np.isfinite(values), values, np.nan)
