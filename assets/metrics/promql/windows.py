"""Functions of windows of samples, for all series and instants at once. Pure: NumPy only.

Windows are open at the left: of the samples of (t - range, t]. Sources: Prometheus promql/functions.go (extrapolatedRate,
instantValue, linearRegression) and promql/quantile.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.vectors import Mask
from assets.metrics.samples import Floats, Ints

# Samples that all windows of a function may hold together.
MAX_WINDOW_SAMPLES = 50_000_000
_GATHERED = 2_000_000


class TooMuch(BadQuery):
    """The query asks for more than is computed for one request."""


def positions(offsets: Ints, timestamps: Ints, moments: Ints, series: int) -> Ints:
    """(series, T): how many samples, counted from the first of all, are at most as late as each moment."""
    found = np.empty((series, len(moments)), dtype=np.int64)
    bounds = offsets.tolist()
    for row in range(series):
        begin = bounds[row]
        found[row] = np.searchsorted(timestamps[begin : bounds[row + 1]], moments, side="right") + begin
    return found


@dataclass(frozen=True)
class Windows:
    """n × T windows on samples that stand one series after the other: those from begin to end."""

    timestamps: Ints
    values: Floats
    begin: Ints  # (n, T)
    end: Ints  # (n, T)
    moments: Ints  # (T,) where the windows end, in milliseconds
    range_ms: int

    @property
    def counts(self) -> Ints:
        return self.end - self.begin


def over(offsets: Ints, timestamps: Ints, values: Floats, moments: Ints, range_ms: int) -> Windows:
    """The windows that end at `moments`. Raises TooMuch."""
    series = len(offsets) - 1
    end = positions(offsets, timestamps, moments, series)
    begin = positions(offsets, timestamps, moments - range_ms, series)
    if int((end - begin).sum()) > MAX_WINDOW_SAMPLES:
        raise TooMuch("the windows hold too many samples; ask for a longer step, a shorter window or fewer series")
    return Windows(timestamps, values, begin, end, moments, range_ms)


def reduced(reduce: np.ufunc, column: Floats, begin: Ints, end: Ints) -> Floats:
    """`reduce` over column[begin:end] for each window; NaN where a window is empty."""
    edges = np.empty(2 * begin.size, dtype=np.int64)
    edges[0::2], edges[1::2] = begin.ravel(), end.ravel()
    # One more element, for windows that reach to the end.
    padded = np.append(column, column[-1:] if len(column) else 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        found = reduce.reduceat(padded, edges)[0::2].astype(np.float64) if begin.size else np.empty(0)
    return np.where(end > begin, found.reshape(begin.shape), np.nan)


def _at(column: Floats | Ints, places: Ints) -> Floats:
    """column[places] where that is a place; else anything."""
    if not len(column):
        return np.zeros(places.shape)
    return column[np.clip(places, 0, len(column) - 1)].astype(np.float64)


Result = tuple[Floats, Mask]


def _nonempty(windows: Windows, values: Floats) -> Result:
    return values, windows.counts > 0


def total(windows: Windows) -> Result:
    return _nonempty(windows, reduced(np.add, windows.values, windows.begin, windows.end))


def mean(windows: Windows) -> Result:
    with np.errstate(invalid="ignore"):
        return _nonempty(windows, total(windows)[0] / np.maximum(windows.counts, 1))


def least(windows: Windows) -> Result:
    return _nonempty(windows, reduced(np.fmin, windows.values, windows.begin, windows.end))


def greatest(windows: Windows) -> Result:
    return _nonempty(windows, reduced(np.fmax, windows.values, windows.begin, windows.end))


def count(windows: Windows) -> Result:
    return _nonempty(windows, windows.counts.astype(np.float64))


def present(windows: Windows) -> Result:
    return _nonempty(windows, np.ones(windows.counts.shape))


def last(windows: Windows) -> Result:
    return _nonempty(windows, _at(windows.values, windows.end - 1))


def variance(windows: Windows) -> Result:
    """The mean square of the distances to the window's mean."""
    centre = mean(windows)[0]

    def of(values: Floats, starts: Ints, owner: Ints) -> Floats:
        with np.errstate(invalid="ignore", over="ignore"):
            away = (values - centre.ravel()[owner]) ** 2
            return np.add.reduceat(away, starts)

    return _nonempty(windows, _gathered(windows, of) / np.maximum(windows.counts, 1))


def deviation(windows: Windows) -> Result:
    found, there = variance(windows)
    return np.sqrt(found), there


def quantile(windows: Windows, q: Floats) -> Result:
    """The q-quantile, with linear interpolation between neighbours; q is (T,)."""
    steps = windows.begin.shape[1]

    def of(values: Floats, starts: Ints, owner: Ints) -> Floats:
        # NaN is the smallest of all numbers.
        order = np.lexsort((np.where(np.isnan(values), -np.inf, values), owner))
        counts = np.diff(np.append(starts, len(values)))
        return interpolated(values[order], starts, counts, q[owner[starts] % steps])

    return _nonempty(windows, _gathered(windows, of))


def interpolated(ordered: Floats, starts: Ints, counts: Ints, q: Floats) -> Floats:
    """The q-quantile of each run of ascending values; below 0 is -Inf, above 1 +Inf."""
    with np.errstate(invalid="ignore"):
        rank = np.where(np.isfinite(q), q, 0) * (counts - 1)
        low = np.clip(np.floor(rank), 0, counts - 1).astype(np.int64)
        high = np.minimum(low + 1, counts - 1)
        weight = rank - np.floor(rank)
        found = ordered[starts + low] * (1 - weight) + ordered[starts + high] * weight
    return np.select([np.isnan(q), q < 0, q > 1], [np.nan, -np.inf, np.inf], found)


def _gathered(windows: Windows, of: Callable[[Floats, Ints, Ints], Floats]) -> Floats:
    """`of` the samples of all windows, each window's together (values, where each window starts, whose each value is);
    some windows at a time, so that what overlaps a hundred times does not fill the memory."""
    begin, counts = windows.begin.ravel(), windows.counts.ravel()
    found = np.full(begin.size, np.nan)
    full = np.flatnonzero(counts)
    ends = np.cumsum(counts[full])
    done = 0
    while done < len(full):
        before = int(ends[done - 1]) if done else 0
        until = max(int(np.searchsorted(ends, before + _GATHERED, side="right")), done + 1)
        part = full[done:until]
        sizes = counts[part]
        starts = np.cumsum(sizes) - sizes
        places = np.arange(int(sizes.sum())) + np.repeat(begin[part] - starts, sizes)
        found[part] = of(windows.values[places], starts, np.repeat(part, sizes))
        done = until
    return found.reshape(windows.begin.shape)


def _falls(windows: Windows) -> Floats:
    """Of each sample the value before it where that was higher, else 0: what a counter lost by starting anew."""
    before = np.concatenate([windows.values[:1], windows.values[:-1]])
    return np.where(windows.values < before, before, 0.0)


def increase(windows: Windows) -> Result:
    """By how much a counter grew, extrapolated to the ends of the window."""
    return _extrapolated(windows, counter=True)


def rate(windows: Windows) -> Result:
    found, there = increase(windows)
    return found / (windows.range_ms / 1000), there


def delta(windows: Windows) -> Result:
    """By how much a gauge changed, extrapolated to the ends of the window."""
    return _extrapolated(windows, counter=False)


def _extrapolated(windows: Windows, counter: bool) -> Result:
    """Prometheus's extrapolatedRate, before the division by the window's length."""
    there = windows.counts >= 2
    first_ms, last_ms = _at(windows.timestamps, windows.begin), _at(windows.timestamps, windows.end - 1)
    first = _at(windows.values, windows.begin)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        grown = _at(windows.values, windows.end - 1) - first
        if counter and (falls := _falls(windows)).any():
            # The first sample of a window has nothing before it there.
            grown += np.where(there, reduced(np.add, falls, np.minimum(windows.begin + 1, windows.end), windows.end), 0)
        sampled = last_ms - first_ms
        between = sampled / (windows.counts - 1)
        to_start = first_ms - (windows.moments - windows.range_ms)
        to_end = windows.moments - last_ms
        to_start = np.where(to_start >= between * 1.1, between / 2, to_start)
        if counter:
            # A counter does not come from below zero.
            to_zero = np.where((grown > 0) & (first >= 0), sampled * (first / grown), np.inf)
            to_start = np.minimum(to_start, to_zero)
        to_end = np.where(to_end >= between * 1.1, between / 2, to_end)
        return grown * ((sampled + to_start + to_end) / sampled), there


def last_rate(windows: Windows) -> Result:
    """A counter's growth per second between the last two samples."""
    newest, before = _at(windows.values, windows.end - 1), _at(windows.values, windows.end - 2)
    seconds = (_at(windows.timestamps, windows.end - 1) - _at(windows.timestamps, windows.end - 2)) / 1000
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(newest < before, newest, newest - before) / seconds, windows.counts >= 2


def last_step(windows: Windows) -> Result:
    """The difference of the last two samples."""
    with np.errstate(invalid="ignore"):
        step = _at(windows.values, windows.end - 1) - _at(windows.values, windows.end - 2)
    return step, windows.counts >= 2


def _transitions(windows: Windows, happened: Mask) -> Result:
    found = reduced(np.add, happened.astype(np.float64), np.minimum(windows.begin + 1, windows.end), windows.end)
    return _nonempty(windows, np.where(windows.counts > 1, found, 0))


def changes(windows: Windows) -> Result:
    """How often a value differs from the one before it."""
    before = np.concatenate([windows.values[:1], windows.values[:-1]])
    return _transitions(windows, (windows.values != before) & ~(np.isnan(windows.values) & np.isnan(before)))


def resets(windows: Windows) -> Result:
    """How often a value is lower than the one before it."""
    before = np.concatenate([windows.values[:1], windows.values[:-1]])
    return _transitions(windows, windows.values < before)


def slope(windows: Windows) -> Result:
    """The slope per second of the line of least squares."""
    return _line(windows)[0], windows.counts >= 2


def predicted(windows: Windows, seconds: Floats) -> Result:
    """The value of that line so many seconds (T,) after the windows' ends."""
    per_second, at_end = _line(windows)
    return at_end + per_second * seconds, windows.counts >= 2


def _line(windows: Windows) -> tuple[Floats, Floats]:
    """The slope per second, and the value at the windows' ends."""
    moments = np.broadcast_to(windows.moments, windows.begin.shape).ravel()
    shape, n = windows.begin.shape, np.maximum(windows.counts, 1)
    timed = Windows(windows.timestamps, np.arange(len(windows.values)).astype(np.float64), *_bounds(windows))

    def sums(of: Callable[[Floats, Floats], Floats]) -> Floats:
        def summed(places: Floats, starts: Ints, owner: Ints) -> Floats:
            at = places.astype(np.int64)
            seconds = (windows.timestamps[at] - moments[owner]) / 1000
            return np.add.reduceat(of(seconds, windows.values[at]), starts)

        return _gathered(timed, summed).reshape(shape)

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        x, y = sums(lambda seconds, _: seconds), sums(lambda _, values: values)
        products, squares = sums(lambda seconds, values: seconds * values), sums(lambda seconds, _: seconds**2)
        per_second = (products - x * y / n) / (squares - x * x / n)
        return per_second, y / n - per_second * x / n


def _bounds(windows: Windows) -> tuple[Ints, Ints, Ints, int]:
    return windows.begin, windows.end, windows.moments, windows.range_ms
