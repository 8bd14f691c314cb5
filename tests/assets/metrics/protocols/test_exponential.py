"""Exponential histograms as cumulative buckets: whatever the sender's resolution, the bounds are the same."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.metrics.protocols.exponential import cumulative_buckets

values = st.floats(1e-6, 1e6)


def sent(observed: list[float], scale: int) -> tuple[int, list[int]]:
    """Offset and counts, as a sender files values that are above zero: bucket i ends at base^(i+1)."""
    indexes = [math.ceil(math.log2(value) * 2.0**scale) - 1 for value in observed]
    first = min(indexes, default=0)
    counts = [0] * (max(indexes, default=-1) - first + 1)
    for index in indexes:
        counts[index - first] += 1
    return first, counts


@given(st.lists(values, max_size=20), st.lists(values, max_size=20), st.integers(-4, 3), st.integers(0, 5))
def test_every_bound_counts_what_is_at_most_that(positive, negative, scale, zeros):
    buckets = list(cumulative_buckets(scale, sent(negative, scale), (0.0, zeros), sent(positive, scale), 10_000))
    observed = positive + [-value for value in negative] + [0.0] * zeros
    bounds = [bound for bound, _ in buckets]
    assert bounds == sorted(set(bounds))
    assert buckets[-1] == (math.inf, len(observed))
    for bound, count in buckets:
        # A value on a bound may be filed on either side of it, for logarithms are rounded.
        surely = sum(value < bound - abs(bound) * 1e-9 for value in observed)
        perhaps = sum(value <= bound + abs(bound) * 1e-9 for value in observed)
        assert surely <= count <= perhaps


@given(st.lists(values, min_size=1, max_size=20))
def test_a_finer_scale_has_the_same_bounds(observed):
    coarse = list(cumulative_buckets(1, (0, []), (0.0, 0), sent(observed, 1), 10_000))
    fine = list(cumulative_buckets(6, (0, []), (0.0, 0), sent(observed, 6), 10_000))
    assert {bound for bound, _ in fine} == {bound for bound, _ in coarse}


def test_what_cannot_be_is_refused_before_it_is_counted():
    for scale in (-17, 33, -(2**31), 2**31 - 1):
        with pytest.raises(ValueError):
            list(cumulative_buckets(scale, (0, []), (0.0, 0), (0, [1]), 10))
    with pytest.raises(ValueError):
        list(cumulative_buckets(0, (0, []), (0.0, 0), (0, [1] * 11), 10))


def test_bounds_past_what_a_float_holds_stay_finite():
    buckets = list(cumulative_buckets(-16, (2**31 - 1, [1]), (0.0, 0), (-(2**31), [1, 1]), 10))
    assert all(math.isfinite(bound) for bound, _ in buckets[:-1])
