"""Samples that roll on, compared with samples that are put together anew."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.metrics import rolling
from assets.metrics.rolling import Rolling
from assets.metrics.samples import Series, assemble, nothing

ASSET = UUID(int=1)
COUNT = 4


def series(number: int, kind: str = "gauge") -> Series:
    return Series(number, ASSET, "m", kind, "", {})


CELLS = st.lists(
    st.tuples(st.integers(0, COUNT - 1), st.integers(0, 60), st.integers(-5, 5).map(float)),
    max_size=40,
    unique_by=lambda cell: cell[:2],
)


def columns(cells):
    found = np.array(cells, dtype=np.float64).reshape(-1, 3)
    return found[:, 0].astype(np.int64), found[:, 1].astype(np.int64), found[:, 2]


def together(cells, kinds=("gauge",) * COUNT):
    return assemble([series(number, kinds[number]) for number in range(COUNT)], *columns(cells))


def rows(samples):
    owner = np.repeat([one.id for one in samples.series], np.diff(samples.offsets))
    return list(zip(owner.tolist(), samples.timestamps.tolist(), samples.values.tolist(), strict=True))


@given(CELLS, st.permutations(range(40)), st.integers(1, 5), st.integers(-1, 60))
def test_cells_that_come_in_any_order_and_twice_make_the_same_samples(cells, order, parts, cutoff):
    shuffled = [cells[at] for at in order if at < len(cells)]
    samples = rolling.widen(nothing(), [series(number) for number in range(COUNT)])
    everything = np.full(COUNT, cutoff)
    for at in range(parts):
        # The end of the part before is read again.
        mine = shuffled[max(at * len(shuffled) // parts - 2, 0) : (at + 1) * len(shuffled) // parts]
        samples = rolling.merge(samples, *columns(mine), everything)
    assert rows(samples) == rows(together([cell for cell in cells if cell[1] > cutoff]))


def test_what_is_old_falls_out_where_nothing_is_new():
    nobody = columns([])
    samples = rolling.merge(together([(0, 1, 1.0), (0, 5, 2.0), (2, 3, 3.0)]), *nobody, np.full(COUNT, 3))
    assert rows(samples) == [(0, 5, 2.0)]
    assert rolling.merge(samples, *nobody, np.full(COUNT, 3)) is samples


def test_further_series_have_no_samples_yet_and_leave_the_others_theirs():
    samples = rolling.widen(rolling.part(together([(1, 1, 1.0), (3, 2, 3.0)]), 1, 4), [series(0), series(9)])
    assert [one.id for one in samples.series] == [0, 1, 2, 3, 9]
    assert rows(samples) == [(1, 1, 1.0), (3, 2, 3.0)]


@given(CELLS, st.integers(0, 60), st.integers(1, 60), st.sampled_from(["avg", "max", "min", "sum", "count"]))
def test_a_window_is_aggregated_as_plain_samples_are(cells, start, length, how):
    samples = together(cells)
    found = Rolling(samples).aggregate(how, start, start + length, 0)
    np.testing.assert_allclose(found, samples.aggregate(how, start, start + length))


@given(CELLS, st.integers(0, 60), st.integers(1, 60), st.integers(0, 30))
def test_counters_are_rated_since_a_sample_within_reach(cells, start, length, reach):
    kinds = ("counter", "gauge", "counter", "gauge")
    within = [cell for cell in cells if start - reach < cell[1]]
    found = Rolling(together(cells, kinds)).aggregate("max", start, start + length, reach)
    np.testing.assert_allclose(found, together(within, kinds).rates().aggregate("max", start, start + length))


def test_a_counter_that_falls_began_again_at_zero():
    samples = together([(0, 0, 100.0), (0, 1000, 20.0)], ("counter",) * COUNT)
    assert Rolling(samples).aggregate("max", 0, 1000, 5000)[0] == pytest.approx(20)
