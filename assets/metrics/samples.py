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
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=len(self.series)))])
        return Samples(self.series, offsets.astype(np.int64), self.timestamps[kept], values[kept])


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
    places = {one.id: place for place, one in enumerate(series)}
    if len(ids):
        unique, inverse = np.unique(ids, return_inverse=True)
        # A series that was made after `series` was read is not known here.
        owner = np.array([places.get(series_id, -1) for series_id in unique.tolist()], dtype=np.int64)[inverse]
        owner, timestamps, values = owner[owner >= 0], timestamps[owner >= 0], values[owner >= 0]
        order = np.lexsort((timestamps, owner))
        owner, timestamps, values = owner[order], timestamps[order], values[order]
        last = np.ones(len(owner), dtype=bool)
        last[:-1] = (owner[1:] != owner[:-1]) | (timestamps[1:] != timestamps[:-1])
        owner, timestamps, values = owner[last], timestamps[last], values[last]
    else:
        owner = ids
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(series)))]).astype(np.int64)
    return Samples(series, offsets, timestamps, values)


def nothing() -> Samples:
    """No series and no samples."""
    return assemble([], np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def thin(timestamps: Ints, values: Floats, points: int) -> tuple[Ints, Floats]:
    """At most `points` of the samples, in which every minimum and maximum survives: the lowest and highest of each of
    points / 2 equal spans of time."""
    if len(timestamps) <= points:
        return timestamps, values
    buckets = max(points // 2, 1)
    edges = np.linspace(timestamps[0], timestamps[-1] + 1, buckets + 1)
    owner = np.clip(np.searchsorted(edges, timestamps, side="right") - 1, 0, buckets - 1)
    order = np.lexsort((values, owner))
    first = np.flatnonzero(np.diff(owner[order], prepend=-1))
    last = np.append(first[1:], len(order)) - 1
    kept = np.unique(np.concatenate([order[first], order[last]]))
    return timestamps[kept], values[kept]
