"""Aggregates over windows of time and across series, of many series at once. Pure: NumPy only.

Samples of n series stand one after the other (`Columns`; a `samples.Samples` serves as well). A `Grid` names S instants
and how far each looks back; a window is half-open at its start, (instant - window, instant]. Answers are (n, S) float64
with NaN where a window holds too little to say anything, except `count`, which says 0. NaN among the values means "no
sample". There is no Python loop over steps, nor over short series: the cost is that of the samples, and of the
windows they are in.

    columns = windows.gather([(timestamps, values), …])
    rates = windows.over_time("rate", columns, windows.Grid(start_ms, end_ms, 60_000, 300_000))
    groups, keys = windows.group([series.labels for …], by=("host",))
    total = windows.across("sum", rates, groups)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Windows that overlap are laid out one after the other where each must be sorted: so many values at a time.
_LAID_OUT = 1 << 22
# Series with more samples than this on average are searched one by one.
_LONG = 64


class SampleColumns(Protocol):
    """Series i has the samples from offsets[i] to offsets[i + 1]: `timestamps` (ms since 1970) strictly ascending
    within a series, `values` without NaN."""

    @property
    def offsets(self) -> Ints: ...
    @property
    def timestamps(self) -> Ints: ...
    @property
    def values(self) -> Floats: ...


@dataclass(frozen=True)
class Columns:
    """The plain SampleColumns."""

    offsets: Ints
    timestamps: Ints
    values: Floats


@dataclass(frozen=True)
class Grid:
    """The instants start, start + step, … up to end, each of which looks back by `window_ms`."""

    start_ms: int
    end_ms: int
    step_ms: int
    window_ms: int

    def __post_init__(self) -> None:
        if self.step_ms <= 0 or self.window_ms <= 0:
            raise ValueError("the step and the window of a grid are at least one millisecond")

    def __len__(self) -> int:
        return max((self.end_ms - self.start_ms) // self.step_ms + 1, 0)

    def instants(self) -> Ints:
        return self.start_ms + self.step_ms * np.arange(len(self), dtype=np.int64)


def gather(parts: Sequence[tuple[Ints, Floats]]) -> Columns:
    """One series per part, in any order of time. NaN is dropped; of a timestamp that is there twice the later stays."""
    owner = np.repeat(np.arange(len(parts)), [len(timestamps) for timestamps, _ in parts])
    timestamps = np.concatenate([np.empty(0, np.int64), *(timestamps for timestamps, _ in parts)])
    values = np.concatenate([np.empty(0), *(values for _, values in parts)])
    there = ~np.isnan(values)
    owner, timestamps, values = owner[there], timestamps[there], values[there]
    order = np.lexsort((timestamps, owner))
    owner, timestamps, values = owner[order], timestamps[order], values[order]
    last = np.append((owner[1:] != owner[:-1]) | (timestamps[1:] != timestamps[:-1]), True)[: len(owner)]
    sizes = np.bincount(owner[last], minlength=len(parts))
    return Columns(np.append(0, np.cumsum(sizes)).astype(np.int64), timestamps[last], values[last])


def over_time(how: str, columns: SampleColumns, grid: Grid, quantile: float = 0.5) -> Floats:
    """(n, S): the aggregate `how` of the samples in each window, one of OVER_TIME. Raises ValueError for another.

    avg, min, max, sum, count, last, stddev (of the population), quantile (linear between ranks), and of counters rate
    (per second) and increase, extrapolated to the window's ends as Prometheus does (promql/functions.go,
    extrapolatedRate): a fall is a start from zero, and fewer than two samples say nothing. `delta` is the increase of
    a gauge, which may fall.
    """
    first, end = _bounds(columns, grid)
    shape, first, end = first.shape, first.ravel(), end.ravel()
    if how == "count":
        return (end - first).astype(np.float64).reshape(shape)
    there = np.flatnonzero(end > first)
    answer = np.full(len(first), np.nan)
    if how in _EXTRAPOLATED:
        there = there[end[there] - first[there] > 1]
        windows = _Windows(columns.values, first[there], end[there])
        until = np.broadcast_to(grid.instants(), shape).ravel()[there]
        answer[there] = _extrapolated(how, windows, columns.timestamps, until, grid.window_ms)
    else:
        answer[there] = _aggregate(how, quantile)(_Windows(columns.values, first[there], end[there]))
    return answer.reshape(shape)


def across(how: str, table: Floats, groups: Ints, quantile: float = 0.5) -> Floats:
    """(g, S): the aggregate `how` of the rows of (n, S) that `groups` (n,) gives the same number from 0 to g - 1: avg,
    min, max, sum, count, last (of the rows, as they stand), stddev, quantile. Rows without a value at an instant do not
    count there. Raises ValueError for another aggregate."""
    size = int(groups.max()) + 1 if len(groups) else 0
    steps = table.shape[1]
    order = np.argsort(groups, kind="stable")
    # By instant and then by group, so that the values of one cell of the answer stand together.
    flat = np.ascontiguousarray(table[order].T).ravel()
    there = ~np.isnan(flat)
    cell = (np.arange(steps)[:, None] * size + groups[order]).ravel()
    counts = np.bincount(cell[there], minlength=size * steps)
    if how == "count":
        return counts.reshape(steps, size).T.astype(np.float64)
    answer = np.full(size * steps, np.nan)
    filled = np.flatnonzero(counts)
    end = np.cumsum(counts)[filled]
    answer[filled] = _aggregate(how, quantile)(_Windows(flat[there], end - counts[filled], end))
    return np.ascontiguousarray(answer.reshape(steps, size).T)


def group(
    labels: Sequence[Mapping[str, str]], by: Collection[str] | None = None, without: Collection[str] = ()
) -> tuple[Ints, list[dict[str, str]]]:
    """The group (n,) of each series and the labels of each group: those of `by`, or all but those of `without`."""
    numbers: dict[tuple[tuple[str, str], ...], int] = {}
    groups = np.empty(len(labels), dtype=np.int64)
    for place, one in enumerate(labels):
        names = sorted(one) if by is None else sorted({name for name in by if name in one})
        key = tuple((name, one[name]) for name in names if name not in without)
        groups[place] = numbers.setdefault(key, len(numbers))
    return groups, [dict(key) for key in numbers]


def _bounds(columns: SampleColumns, grid: Grid) -> tuple[Ints, Ints]:
    """(n, S) twice: where the samples of each window begin and end."""
    instants = grid.instants()
    return positions(columns, instants - grid.window_ms), positions(columns, instants)


def positions(columns: SampleColumns, instants: Ints) -> Ints:
    """(n, S): how many samples, counted from the first of all, each series has until each of the ascending instants."""
    offsets, timestamps, series = columns.offsets, columns.timestamps, len(columns.offsets) - 1
    if not series or not len(instants) or not len(timestamps):
        return np.zeros((series, len(instants)), dtype=np.int64)
    if len(timestamps) > _LONG * series:
        found = [
            begin + np.searchsorted(timestamps[begin:end], instants, side="right")
            for begin, end in pairwise(offsets.tolist())
        ]
        return np.array(found, dtype=np.int64)
    # Short series one by one cost a call each: they are laid on one line of time, one behind the other.
    earliest = min(int(timestamps.min()), int(instants[0]))
    length = max(int(timestamps.max()), int(instants[-1])) - earliest + 1
    begins = length * np.arange(series, dtype=np.int64)
    line = np.repeat(begins, np.diff(offsets)) + (timestamps - earliest)
    return np.searchsorted(line, begins[:, None] + (instants - earliest), side="right")


@dataclass(frozen=True)
class _Windows:
    """Window k holds values[first[k]:end[k]], at least one; windows may overlap."""

    values: Floats
    first: Ints
    end: Ints

    def reduce(self, how: np.ufunc, values: Floats | None = None) -> Floats:
        values = self.values if values is None else values
        # Every second of the spans that reduceat sees lies between two windows.
        cuts = np.column_stack([self.first, self.end]).ravel()
        with np.errstate(invalid="ignore", over="ignore"):
            reduced: Floats = how.reduceat(np.append(values, 0.0), cuts)[::2]
        return reduced

    def parts(self) -> Iterator[tuple[slice, Floats, Ints, Ints]]:
        """A slice of the windows, their values one window after the other, each one's first place and its number."""
        counts = self.end - self.first
        edges = np.searchsorted(np.cumsum(counts), np.arange(0, int(counts.sum()), _LAID_OUT), side="right")
        for part in (slice(a, b) for a, b in pairwise([*edges.tolist(), len(counts)]) if a < b):
            sizes = counts[part]
            begins = np.cumsum(sizes) - sizes
            places = np.arange(int(sizes.sum())) + np.repeat(self.first[part] - begins, sizes)
            yield part, self.values[places], begins, np.repeat(np.arange(len(sizes)), sizes)


def _average(windows: _Windows) -> Floats:
    return windows.reduce(np.add) / (windows.end - windows.first)


def _deviation(windows: _Windows) -> Floats:
    answer = np.empty(len(windows.first))
    with np.errstate(invalid="ignore", over="ignore"):
        means = _average(windows)
        for part, values, begins, number in windows.parts():
            squares = np.add.reduceat((values - means[part][number]) ** 2, begins)
            answer[part] = np.sqrt(squares / (windows.end - windows.first)[part])
    return answer


def _quantile(windows: _Windows, quantile: float) -> Floats:
    """Linear between the two nearest ranks; of a quantile outside of 0 to 1 the infinity on its side."""
    if not 0 <= quantile <= 1:
        return np.full(len(windows.first), np.nan if np.isnan(quantile) else np.copysign(np.inf, quantile))
    answer = np.empty(len(windows.first))
    for part, values, begins, number in windows.parts():
        ranked = values[np.lexsort((values, number))]
        rank = quantile * ((windows.end - windows.first)[part] - 1)
        below = np.floor(rank).astype(np.int64)
        weight = rank - below
        low, high = ranked[begins + below], ranked[begins + np.ceil(rank).astype(np.int64)]
        with np.errstate(invalid="ignore"):
            answer[part] = np.where(weight > 0, low * (1 - weight) + high * weight, low)
    return answer


_AGGREGATES: dict[str, Callable[[_Windows], Floats]] = {
    "avg": _average,
    "min": lambda windows: windows.reduce(np.minimum),
    "max": lambda windows: windows.reduce(np.maximum),
    "sum": lambda windows: windows.reduce(np.add),
    "last": lambda windows: windows.values[windows.end - 1],
    "stddev": _deviation,
}
_EXTRAPOLATED = ("rate", "increase", "delta")
ACROSS = ("count", "quantile", *_AGGREGATES)
OVER_TIME = (*ACROSS, *_EXTRAPOLATED)


def _aggregate(how: str, quantile: float) -> Callable[[_Windows], Floats]:
    if how == "quantile":
        return lambda windows: _quantile(windows, quantile)
    if how not in _AGGREGATES:
        raise ValueError(f"no aggregate is called {how!r}; send one of: {', '.join(OVER_TIME)}")
    return _AGGREGATES[how]


def _extrapolated(how: str, windows: _Windows, timestamps: Ints, until: Ints, window_ms: int) -> Floats:
    """The difference of the last and the first sample, stretched to the window: as far as its end where samples stood
    within 1.1 of their usual distance of it, else by half of that distance; of counters never to below zero."""
    first, last = windows.first, windows.end - 1
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = windows.values[last] - windows.values[first]
        if how != "delta":
            difference = difference + _fallen(windows)
        sampled = (timestamps[last] - timestamps[first]).astype(np.float64)
        usual = sampled / (last - first)
        before = (timestamps[first] - (until - window_ms)).astype(np.float64)
        before = np.where(before >= 1.1 * usual, usual / 2, before)
        if how != "delta":
            to_zero = sampled * (windows.values[first] / difference)
            before = np.where((difference > 0) & (windows.values[first] >= 0), np.fmin(before, to_zero), before)
        after = (until - timestamps[last]).astype(np.float64)
        after = np.where(after >= 1.1 * usual, usual / 2, after)
        whole = difference * ((sampled + before + after) / sampled)
        return whole / (window_ms / 1000) if how == "rate" else whole


def _fallen(windows: _Windows) -> Floats:
    """What each window's counter had reached whenever it began again."""
    lost = np.zeros(len(windows.values))
    falls = windows.values[1:] < windows.values[:-1]
    if not falls.any():
        return np.zeros(len(windows.first))
    lost[1:][falls] = windows.values[:-1][falls]
    # The first sample of a window did not fall within it.
    return _Windows(lost, windows.first + 1, windows.end).reduce(np.add)
