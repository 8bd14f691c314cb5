"""Loose samples become instants, and none is lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assets.metrics.grouping import group

samples = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.floats(allow_nan=False)), max_size=60)


def arrays(rows):
    """Series 0 to 5, of which even ones belong to asset 0 and odd ones to asset 1."""
    series = np.array([one for one, _, _ in rows], dtype=np.int64)
    timestamps = np.array([at for _, at, _ in rows], dtype=np.int64)
    return series % 2, series, timestamps, np.array([value for _, _, value in rows], dtype=np.float64)


@given(samples)
def test_every_sample_is_in_one_instant_and_of_duplicates_the_last(rows):
    expected = {(series, at): value for series, at, value in rows}
    found = {}
    for one in group(*arrays(rows)):
        assert list(one.series) == sorted(set(one.series))
        assert {series % 2 for series in one.series} == {one.asset}
        for row, at in enumerate(one.timestamps):
            for column, series in enumerate(one.series):
                assert (series, at) not in found
                found[series, int(at)] = one.values[row, column]
    assert found == expected


def test_series_that_are_reported_together_share_an_instant():
    (one,) = group(*arrays([(2, 10, 1.0), (0, 10, 2.0), (0, 20, 3.0), (2, 20, 4.0)]))
    assert one.series == (0, 2)
    assert one.timestamps.tolist() == [10, 20]
    assert one.values.tolist() == [[2.0, 1.0], [3.0, 4.0]]
