"""Samples that roll on: what is new is merged in, what is old falls out, windows at the end are aggregated. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assets.metrics.samples import Floats, Ints, Samples, Series

_NEVER = np.iinfo(np.int64).min


def merge(samples: Samples, slots: Ints, timestamps: Ints, values: Floats, cutoff: Ints) -> Samples:
    """`samples` with k more cells (place of the series, milliseconds, value) in any order, without what is not newer
    than its series' `cutoff`. What is there already stays as it is: a sample that is sent again counts once."""
    order = np.lexsort((timestamps, slots))
    slots, timestamps, values = slots[order], timestamps[order], values[order]
    at = _places(samples, slots, timestamps)
    fresh = timestamps > cutoff[slots]
    fresh[1:] &= (slots[1:] != slots[:-1]) | (timestamps[1:] != timestamps[:-1])
    inside = np.flatnonzero(at < samples.offsets[slots + 1])
    fresh[inside] &= samples.timestamps[at[inside]] != timestamps[inside]
    slots, timestamps, values, at = slots[fresh], timestamps[fresh], values[fresh], at[fresh]
    sizes = np.diff(samples.offsets)
    kept = samples.timestamps > np.repeat(cutoff, sizes)
    if not len(at) and kept.all():
        return samples
    dropped = np.concatenate([[0], np.cumsum(~kept)])
    sizes = np.diff(samples.offsets - dropped[samples.offsets]) + np.bincount(slots, minlength=len(sizes))
    at = at - dropped[at]
    return Samples(
        samples.series,
        _offsets(sizes),
        np.insert(samples.timestamps[kept], at, timestamps),
        np.insert(samples.values[kept], at, values),
    )


def _places(samples: Samples, slots: Ints, timestamps: Ints) -> Ints:
    """Where in `samples` each cell belongs: the first place of its series that is not before it, by bisection of all at
    once."""
    low, high = samples.offsets[slots], samples.offsets[slots + 1]
    # Most cells are newer than what is there.
    newest = np.maximum(high - 1, low)
    known = high > low
    after = np.ones(len(slots), dtype=bool)
    after[known] = samples.timestamps[newest[known]] < timestamps[known]
    low = np.where(after, high, low)
    while (open_ := low < high).any():
        middle = (low[open_] + high[open_]) // 2
        before = samples.timestamps[middle] < timestamps[open_]
        low[open_] = np.where(before, middle + 1, low[open_])
        high[open_] = np.where(before, high[open_], middle)
    return low


def _offsets(sizes: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def order_of(series: Series) -> tuple[str, int]:
    """Series of one metric stand together, in an order that does not depend on when each was met."""
    return series.metric_name, series.id


def widen(samples: Samples, more: Sequence[Series]) -> Samples:
    """`samples` with further series, which have no samples yet; all in order_of."""
    series = sorted([*samples.series, *more], key=order_of)
    there = {one.id for one in samples.series}
    old = np.fromiter((one.id in there for one in series), dtype=bool, count=len(series))
    sizes = np.zeros(len(series), dtype=np.int64)
    sizes[old] = np.diff(samples.offsets)
    return Samples(series, _offsets(sizes), samples.timestamps, samples.values)


def part(samples: Samples, first: int, last: int) -> Samples:
    """The series from `first` to `last` (exclusive), without copying their samples."""
    begin, end = samples.offsets[first], samples.offsets[last]
    offsets = samples.offsets[first : last + 1] - begin
    return Samples(samples.series[first:last], offsets, samples.timestamps[begin:end], samples.values[begin:end])


@dataclass(frozen=True)
class Rolling:
    """The samples of a metric, ready to be aggregated over windows; counters count as their increase per second."""

    samples: Samples

    @cached_property
    def _rated(self) -> tuple[Floats, Ints | None]:
        """Values, and of each the time of the sample that it is the rate since; None without counters.

        A counter that falls has begun again at zero.
        """
        samples = self.samples
        is_counter = np.array([series.metric_type == "counter" for series in samples.series], dtype=bool)
        if not is_counter.any():
            return samples.values, None
        counted = np.repeat(is_counter, np.diff(samples.offsets))
        since = np.where(counted, np.roll(samples.timestamps, 1), samples.timestamps)
        first = samples.offsets[:-1][np.diff(samples.offsets) > 0]
        since[first[counted[first]]] = _NEVER
        step = np.diff(samples.values, prepend=samples.values[:1])
        step = np.where(step < 0, samples.values, step)
        seconds = np.diff(samples.timestamps, prepend=0) / 1000
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(counted, step / seconds, samples.values), since

    def aggregate(self, how: str, start_ms: int, end_ms: int, reach_ms: int) -> Floats:
        """One value per series over (start_ms, end_ms]: avg, max, min, sum, last or count; NaN without a sample (count:
        0).

        The rate of a counter's first sample in the window is since a sample that is at most `reach_ms` before it.
        """
        first, last = self._bounds(start_ms, end_ms, reach_ms)
        values, there = self._rated[0], last > first
        counts = last - first
        if how == "count":
            return counts.astype(np.float64)
        result = np.full(len(first), np.nan)
        if not there.any():
            return result
        if how == "last":
            result[there] = values[last[there] - 1]
            return result
        pairs = np.column_stack([first[there], last[there]]).ravel()
        # The end of the last window may be the end of all: reduceat has no place for it.
        pairs = pairs[:-1] if pairs[-1] == len(values) else pairs
        result[there] = _REDUCE[how].reduceat(values, pairs)[::2]
        return result / np.maximum(counts, 1) if how == "avg" else result

    def _bounds(self, start_ms: int, end_ms: int, reach_ms: int) -> tuple[Ints, Ints]:
        samples = self.samples
        first, last = self._after(start_ms), self._after(end_ms)
        since = self._rated[1]
        if since is not None:
            there = np.flatnonzero(last > first)
            alone = since[first[there]] <= start_ms - reach_ms
            # Of series that are no counters a value stands for itself.
            counted = since[first[there]] != samples.timestamps[first[there]]
            first[there[alone & counted]] += 1
        return first, last

    def _after(self, moment_ms: int) -> Ints:
        """Of each series the place of the first sample after `moment_ms`."""
        offsets = self.samples.offsets
        until = np.concatenate([[0], np.cumsum(self.samples.timestamps <= moment_ms)])
        counted: Ints = offsets[:-1] + until[offsets[1:]] - until[offsets[:-1]]
        return counted


_REDUCE = {"avg": np.add, "sum": np.add, "min": np.minimum, "max": np.maximum}
