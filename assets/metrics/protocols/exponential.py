"""Exponential histograms as cumulative buckets with bounds that stay. Pure.

A sender changes its resolution (scale) with what it sees. Buckets that are finer than two to a doubling are merged,
which is exact, so that the bounds are powers of √2 whatever the scale was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

FINEST_SCALE = 1
_LEAST_SCALE, _GREATEST_SCALE = -16, 32
_Buckets = tuple[int, Sequence[int]]  # offset of the first, counts


def cumulative_buckets(
    scale: int, negative: _Buckets, zero: tuple[float, int], positive: _Buckets, most: int
) -> Iterator[tuple[float, float]]:
    """(upper bound, how many are at most that), ascending; the last bound is infinite. Raises ValueError."""
    if not _LEAST_SCALE <= scale <= _GREATEST_SCALE:
        raise ValueError(f"send a scale from {_LEAST_SCALE} to {_GREATEST_SCALE}")
    if max(len(negative[1]), len(positive[1])) > most:
        raise ValueError(f"send at most {most} buckets")
    kept = min(scale, FINEST_SCALE)
    total = 0
    for index, count in sorted(_merged(scale, negative).items(), reverse=True):
        total += count
        yield -_power(kept, index), float(total)
    threshold, count = zero
    total += count
    if count or negative[1]:
        yield max(threshold, 0.0), float(total)
    for index, count in sorted(_merged(scale, positive).items()):
        total += count
        yield _power(kept, index + 1), float(total)
    yield math.inf, float(total)


def _merged(scale: int, buckets: _Buckets) -> Counter[int]:
    """Counts by bucket at no finer than FINEST_SCALE: bucket i holds what is above base^i and at most base^(i+1)."""
    offset, counts = buckets
    shift = max(scale - FINEST_SCALE, 0)
    merged: Counter[int] = Counter()
    for position, count in enumerate(counts):
        merged[(offset + position) >> shift] += count
    return merged


def _power(scale: int, index: int) -> float:
    """base^index, as near as a float comes."""
    exponent = index * 2.0**-scale
    return math.exp2(min(max(exponent, -1074.0), 1023.0))
