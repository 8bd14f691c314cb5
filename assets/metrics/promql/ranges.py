"""Functions of range vectors, for all series and instants at once. Pure: NumPy only.

Windows are open at the left: they hold the samples of (t - range, t]. What assets.metrics.windows aggregates is asked
of it; here is what only PromQL has. Source: Prometheus promql/functions.go (instantValue, linearRegression).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assets.metrics import windows
from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.vectors import Mask, Window
from assets.metrics.samples import Floats, Ints

# Samples that all windows of a function may hold together: those that overlap count each time.
MAX_WINDOW_SAMPLES = 100_000_000
_LAID_OUT = 2_000_000


class TooMuch(BadQuery):
    """The query asks for more than is computed for one request."""


@dataclass(frozen=True)
class Ranges:
    """The windows of `range_ms` that end at `moments` (T,), which are at equal distances, of n series."""

    window: Window
    moments: Ints
    range_ms: int

    def __post_init__(self) -> None:
        each = min(len(self.moments), self.range_ms // self._step + 1)
        if len(self.window.values) * each > MAX_WINDOW_SAMPLES:
            raise TooMuch("the windows hold too many samples; ask for a longer step, a shorter window or fewer series")

    @property
    def _step(self) -> int:
        return int(self.moments[1] - self.moments[0]) if len(self.moments) > 1 else 1

    @property
    def grid(self) -> windows.Grid:
        return windows.Grid(int(self.moments[0]), int(self.moments[-1]), self._step, self.range_ms)

    @cached_property
    def end(self) -> Ints:
        return windows.positions(self.window, self.moments)

    @cached_property
    def begin(self) -> Ints:
        return windows.positions(self.window, self.moments - self.range_ms)

    @property
    def counts(self) -> Ints:
        return self.end - self.begin

    def value(self, places: Ints) -> Floats:
        """The values at these places, which may lie outside where a window is empty."""
        return self.window.values[np.clip(places, 0, len(self.window.values) - 1)]

    def taken(self, places: Ints) -> Ints:
        """The timestamps at these places."""
        return self.window.timestamps[np.clip(places, 0, len(self.window.values) - 1)]

    def summed(self, column: Floats, begin: Ints) -> Floats:
        """The sum of column[begin:end] for each window; 0 where that is empty."""
        edges = np.column_stack([np.minimum(begin, self.end).ravel(), self.end.ravel()]).ravel()
        found = np.add.reduceat(np.append(column, 0.0), edges)[::2].reshape(begin.shape)
        return np.where(begin < self.end, found, 0.0)


Result = tuple[Floats, Mask]


def aggregated(how: str, quantile: float = 0.5) -> Callable[[Ranges], Result]:
    """One of windows.OVER_TIME. What is not a number says nothing."""

    def function(ranges: Ranges) -> Result:
        found = windows.over_time(how, ranges.window, ranges.grid, quantile)
        return found, found > 0 if how == "count" else ~np.isnan(found)

    return function


def quantile(ranges: Ranges, q: Floats) -> Result:
    """The q-quantile; q (T,) hardly ever changes from one instant to the next."""
    values = np.full((len(ranges.window.labels), len(ranges.moments)), np.nan)
    there = np.zeros(values.shape, dtype=bool)
    for one in np.unique(q):
        found, _ = aggregated("quantile", float(one))(ranges)
        at = np.isnan(q) if np.isnan(one) else q == one
        values[:, at] = found[:, at]
    there |= ranges.counts > 0
    return values, there


def variance(ranges: Ranges) -> Result:
    found, there = aggregated("stddev")(ranges)
    return found**2, there


def present(ranges: Ranges) -> Result:
    return np.ones(ranges.counts.shape), ranges.counts > 0


def last_rate(ranges: Ranges) -> Result:
    """A counter's growth per second between the last two samples of each window."""
    newest, before = ranges.value(ranges.end - 1), ranges.value(ranges.end - 2)
    seconds = (ranges.taken(ranges.end - 1) - ranges.taken(ranges.end - 2)) / 1000
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(newest < before, newest, newest - before) / seconds, ranges.counts >= 2


def last_step(ranges: Ranges) -> Result:
    """The difference of the last two samples of each window."""
    with np.errstate(invalid="ignore"):
        return ranges.value(ranges.end - 1) - ranges.value(ranges.end - 2), ranges.counts >= 2


def changes(ranges: Ranges) -> Result:
    """How often a value differs from the one before it."""
    return _steps(ranges, np.not_equal)


def resets(ranges: Ranges) -> Result:
    """How often a value is lower than the one before it."""
    return _steps(ranges, np.less)


def _steps(ranges: Ranges, happens: np.ufunc) -> Result:
    values = ranges.window.values
    happened = np.append(0.0, happens(values[1:], values[:-1]))
    # The first sample of a window has nothing before it there.
    return ranges.summed(happened, ranges.begin + 1), ranges.counts > 0


def slope(ranges: Ranges) -> Result:
    """The slope per second of the line of least squares."""
    return _line(ranges)[0], ranges.counts >= 2


def predicted(ranges: Ranges, seconds: Floats) -> Result:
    """The value of that line so many seconds (T,) after the windows' ends."""
    per_second, at_end = _line(ranges)
    return at_end + per_second * seconds, ranges.counts >= 2


def _line(ranges: Ranges) -> tuple[Floats, Floats]:
    """The slope per second, and the value at the windows' ends."""
    n, (x, y, products, squares) = np.maximum(ranges.counts, 1), _moments(ranges)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        per_second = (products - x * y / n) / (squares - x * x / n)
        return per_second, y / n - per_second * x / n


def _moments(ranges: Ranges) -> Floats:
    """(4, n, T): the sums of x, y, x·y and x² of each window, x being the seconds to its end, y the value.

    Windows that overlap are laid out one after the other, some at a time.
    """
    begin, counts = ranges.begin.ravel(), ranges.counts.ravel()
    ends = np.broadcast_to(ranges.moments, ranges.begin.shape).ravel()
    sums = np.zeros((4, begin.size))
    full = np.flatnonzero(counts)
    for part in np.split(full, np.flatnonzero(np.diff(np.cumsum(counts[full]) // _LAID_OUT)) + 1):
        if not len(part):
            continue
        sizes = counts[part]
        starts = np.cumsum(sizes) - sizes
        places = np.arange(int(sizes.sum())) + np.repeat(begin[part] - starts, sizes)
        x, y = (ranges.window.timestamps[places] - np.repeat(ends[part], sizes)) / 1000, ranges.window.values[places]
        with np.errstate(invalid="ignore", over="ignore"):
            sums[:, part] = [np.add.reduceat(column, starts) for column in (x, y, x * y, x * x)]
    return sums.reshape(4, *ranges.begin.shape)
