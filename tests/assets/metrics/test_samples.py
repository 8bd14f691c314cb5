"""Samples of many series are put in order and thinned as one by one."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets.metrics.samples import Series, assemble

LOOSE = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 60), st.floats(-9, 9) | st.sampled_from([np.inf, -np.inf])), max_size=80
)


def put_together(loose):
    series = [Series(number, UUID(int=0), f"m{number}", "gauge", "", {}) for number in (3, 1, 2)]
    ids, timestamps, values = zip(*loose, strict=True) if loose else ((), (), ())
    return assemble(series, np.array(ids, np.int64), np.array(timestamps, np.int64), np.array(values, np.float64))


@given(LOOSE)
def test_loose_samples_are_put_in_order_and_the_later_of_two_stays(loose):
    samples = put_together(loose)
    for place, series in enumerate(samples.series):
        expected = sorted({at: value for number, at, value in loose if number == series.id}.items())
        assert list(zip(*(part.tolist() for part in samples.of(place)), strict=True)) == expected


@given(LOOSE, st.integers(2, 12))
def test_thinning_keeps_every_peak_in_at_most_so_many_points(loose, points):
    samples = put_together(loose)
    thinned = samples.thinned(points)
    assert thinned.series == samples.series
    for place in range(len(samples.series)):
        timestamps, values = samples.of(place)
        timestamps, values = timestamps[np.isfinite(values)], values[np.isfinite(values)]
        kept = dict(zip(*(part.tolist() for part in thinned.of(place)), strict=True))
        assert len(kept) <= points
        assert kept.items() <= dict(zip(timestamps.tolist(), values.tolist(), strict=True)).items()
        assert list(kept) == sorted(kept)
        if not len(values):
            continue
        buckets = points // 2 if len(values) > points else len(values)
        owner = (timestamps - timestamps[0]) * buckets // (timestamps[-1] - timestamps[0] + 1)
        for bucket in set(owner.tolist()):
            inside = values[owner == bucket]
            assert {inside.min(), inside.max()} <= {kept.get(at) for at in timestamps[owner == bucket].tolist()}
