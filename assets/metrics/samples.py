"""Samples of many series as NumPy arrays, and what is computed from them. Pure: no Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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
        return Samples(self.series, _offsets(owner[kept], len(self.series)), self.timestamps[kept], values[kept])

    def thinned(self, points: int) -> Samples:
        """At most `points` finite samples of each series, in which every minimum and maximum survives: the lowest and
        the highest of each of points / 2 equal spans of the series' time."""
        owner = np.repeat(np.arange(len(self.series)), np.diff(self.offsets))
        kept = np.isfinite(self.values)
        if not kept.all():
            owner, timestamps, values = owner[kept], self.timestamps[kept], self.values[kept]
            return Samples(self.series, _offsets(owner, len(self.series)), timestamps, values).thinned(points)
        sizes = np.diff(self.offsets)
        if not (sizes > points).any():
            return self
        kept = (sizes <= points)[owner]
        kept[self._extremes(owner, max(points // 2, 1))] = True
        return Samples(self.series, _offsets(owner[kept], len(sizes)), self.timestamps[kept], self.values[kept])

    def _extremes(self, owner: Ints, buckets: int) -> Ints:
        """Where the lowest and the highest value of each of `buckets` equal spans of each series stand."""
        there = np.diff(self.offsets) > 0
        first, last = np.zeros((2, len(there)), np.int64)
        first[there] = self.timestamps[self.offsets[:-1][there]]
        last[there] = self.timestamps[self.offsets[1:][there] - 1]
        bucket = (self.timestamps - first[owner]) * buckets // (last - first + 1)[owner]
        begins = np.flatnonzero(np.diff(owner * buckets + bucket, prepend=-1))
        sizes = np.diff(np.append(begins, len(owner)))
        found = []
        for reduce in (np.minimum.reduceat, np.maximum.reduceat):
            equal = np.flatnonzero(self.values == np.repeat(reduce(self.values, begins), sizes))
            # Of a value that a span has more than once the first.
            found.append(equal[np.searchsorted(equal, begins)])
        return np.concatenate(found)


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


def assemble(series: list[Series], ids: Ints, timestamps: Ints, values: Floats) -> Samples:
    """Loose samples, by the ids of their series, as Samples; of an instant that a series has twice the later stays.

    What is in order already costs least.
    """
    owner = _owners(series, ids)
    if len(owner) and owner.min() < 0:
        # A series that was made after `series` was read is not known here.
        known = owner >= 0
        owner, timestamps, values = owner[known], timestamps[known], values[known]
    if not _in_order(owner, timestamps):
        order = _order(owner, timestamps)
        owner, timestamps, values = owner[order], timestamps[order], values[order]
        last = np.ones(len(owner), dtype=bool)
        last[:-1] = (owner[1:] != owner[:-1]) | (timestamps[1:] != timestamps[:-1])
        if not last.all():
            owner, timestamps, values = owner[last], timestamps[last], values[last]
    return Samples(series, _offsets(owner, len(series)), timestamps, values)


def _owners(series: list[Series], ids: Ints) -> Ints:
    """The place of each sample's series, -1 where it is none of `series`; looked up once for each run of samples."""
    places = {one.id: place for place, one in enumerate(series)}
    begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])
    found = np.array([places.get(one, -1) for one in ids[begins].tolist()], dtype=np.int64)
    return np.repeat(found, np.diff(np.append(begins, len(ids))))


def _in_order(owner: Ints, timestamps: Ints) -> bool:
    back = np.flatnonzero(timestamps[1:] <= timestamps[:-1])
    # Few instants are followed by an earlier one; only there another series may begin.
    return bool((owner[back] < owner[back + 1]).all() and (owner[1:] >= owner[:-1]).all())


def _order(owner: Ints, timestamps: Ints) -> Ints:
    """By owner and time, what is equal as it stands: by one sort of one number, which uses the order that is there."""
    first, last = int(timestamps.min()), int(timestamps.max())
    span = last - first + 1
    if (int(owner.max()) + 1) * span >= 2**63:
        return np.lexsort((timestamps, owner))
    return np.argsort(owner * span + (timestamps - first), kind="stable")


def _offsets(owner: Ints, size: int) -> Ints:
    return np.append(0, np.cumsum(np.bincount(owner, minlength=size))).astype(np.int64)


def nothing() -> Samples:
    """No series and no samples."""
    return assemble([], np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
