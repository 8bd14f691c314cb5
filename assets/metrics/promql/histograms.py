"""Quantiles of classic histograms: cumulative buckets by `le`. Pure: NumPy only.

Source: Prometheus promql/quantile.go (bucketQuantile).
"""

from __future__ import annotations

import numpy as np

from assets.metrics.promql.vectors import Vector, dropped, grouped, key_of
from assets.metrics.samples import Floats


def quantile(q: Floats, buckets: Vector) -> Vector:
    """One row of each histogram, without `le`; q is (T,). Rows without a usable `le` are passed over."""
    bounds = np.array([_bound(labels.get("le", "")) for labels in buckets.labels])
    usable = buckets.take(np.flatnonzero(~np.isnan(bounds)))
    bounds = bounds[~np.isnan(bounds)]
    kept = [dropped(labels, ("le",)) for labels in usable.labels]
    groups, firsts = grouped(map(key_of, kept))
    steps = usable.values.shape[1]
    values, there = np.full((len(firsts), steps), np.nan), np.zeros((len(firsts), steps), dtype=bool)
    for group in range(len(firsts)):
        rows = np.flatnonzero(groups == group)
        rows = rows[np.argsort(bounds[rows], kind="stable")]
        there[group] = usable.there[rows].any(axis=0)
        # Which buckets there are hardly ever changes between instants.
        patterns, which = np.unique(usable.there[rows], axis=1, return_inverse=True)
        for number, pattern in enumerate(patterns.T):
            at = np.flatnonzero(which.ravel() == number)
            if pattern.any():
                values[group, at] = _quantile(q[at], bounds[rows[pattern]], usable.values[np.ix_(rows[pattern], at)])
    return Vector([kept[first] for first in firsts], values, there)


def _bound(le: str) -> float:
    try:
        return float(le)
    except ValueError:
        return np.nan


def _quantile(q: Floats, bounds: Floats, counts: Floats) -> Floats:
    """The q-quantile (T,) of cumulative counts (b, T) up to ascending bounds (b,), the last of which is +Inf."""
    bounds, first = np.unique(bounds, return_index=True)
    if len(bounds) < 2 or bounds[-1] != np.inf:
        return np.full(counts.shape[1], np.nan)
    # Buckets are scraped one after the other: what is not monotonic is made so.
    counts = np.maximum.accumulate(np.add.reduceat(counts, first, axis=0), axis=0)
    steps = np.arange(counts.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = counts[-1]
        rank = q * observed
        place = np.minimum((counts[:-1] < rank).sum(axis=0), len(bounds) - 1)
        below = np.maximum(place - 1, 0)
        lower = np.where(place > 0, bounds[below], 0.0)
        base = np.where(place > 0, counts[below, steps], 0.0)
        upper = bounds[np.minimum(place, len(bounds) - 2)]
        found = lower + (upper - lower) * ((rank - base) / (counts[place, steps] - base))
    found = np.where((place == 0) & (bounds[0] <= 0), bounds[0], found)
    found = np.where(place == len(bounds) - 1, bounds[-2], found)
    return np.select(
        [np.isnan(q), q < 0, q > 1, (observed == 0) | np.isnan(observed)], [np.nan, -np.inf, np.inf, np.nan], found
    )
