"""Window aggregates are what a loop over every series and step would say."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.metrics import windows
from assets.metrics.windows import Grid

NUMBERS = st.one_of(st.integers(-1000, 1000).map(float), st.floats(-1e6, 1e6, width=32), st.just(math.nan))
SERIES = st.lists(st.tuples(st.integers(0, 400), NUMBERS), max_size=40)
GRIDS = st.builds(Grid, st.integers(-50, 300), st.integers(0, 500), st.integers(1, 90), st.integers(1, 200))


def part(*samples: tuple[int, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([at for at, _ in samples], np.int64), np.array([value for _, value in samples], np.float64)


def naive_windows(samples: list[tuple[int, float]], grid: Grid) -> list[list[tuple[int, float]]]:
    kept = sorted({at: value for at, value in samples if not math.isnan(value)}.items())
    return [[(at, v) for at, v in kept if t - grid.window_ms < at <= t] for t in grid.instants().tolist()]


def naive_extrapolated(how: str, inside: list[tuple[int, float]], until: int, window: int) -> float:
    if len(inside) < 2:
        return math.nan
    values = [value for _, value in inside]
    whole = values[-1] - values[0]
    if how != "delta":
        whole += sum(before for before, after in pairwise(values) if after < before)
    sampled = inside[-1][0] - inside[0][0]
    usual = sampled / (len(inside) - 1)
    before, after = inside[0][0] - (until - window), until - inside[-1][0]
    before = usual / 2 if before >= 1.1 * usual else before
    if how != "delta" and whole > 0 and values[0] >= 0:
        before = min(before, sampled * (values[0] / whole))
    after = usual / 2 if after >= 1.1 * usual else after
    whole *= (sampled + before + after) / sampled
    return whole / (window / 1000) if how == "rate" else whole


def naive(how: str, values: list[float], q: float) -> float:
    if how == "count":
        return len(values)
    if not values:
        return math.nan
    plain = {"avg": np.mean, "min": min, "max": max, "sum": sum, "last": lambda v: v[-1], "stddev": np.std}
    return float(np.quantile(values, q) if how == "quantile" else plain[how](values))


@given(st.lists(SERIES, max_size=5), GRIDS, st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_every_window_says_what_its_samples_say(series, grid, q):
    columns = windows.gather([part(*samples) for samples in series])
    for how in windows.OVER_TIME:
        answer = windows.over_time(how, columns, grid, q)
        assert answer.shape == (len(series), len(grid))
        for row, samples in zip(answer, series, strict=True):
            found = list(zip(grid.instants().tolist(), naive_windows(samples, grid), strict=True))
            expected = [
                naive_extrapolated(how, inside, t, grid.window_ms)
                if how in ("rate", "increase", "delta")
                else naive(how, [value for _, value in inside], q)
                for t, inside in found
            ]
            np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-6)


@given(st.integers(0, 6), st.integers(0, 5), st.floats(0, 1), st.data())
@settings(max_examples=60, deadline=None)
def test_every_group_says_what_its_rows_say(rows, steps, q, data):
    cells = st.lists(NUMBERS, min_size=steps, max_size=steps)
    table = np.array(data.draw(st.lists(cells, min_size=rows, max_size=rows)), np.float64).reshape(rows, steps)
    names = data.draw(st.lists(st.sampled_from("abc"), min_size=rows, max_size=rows))
    groups, keys = windows.group([{"name": name} for name in names], by=("name",))
    for how in windows.ACROSS:
        answer = windows.across(how, table, groups, q)
        assert answer.shape == (len(keys), steps)
        for number, key in enumerate(keys):
            members = table[[name == key["name"] for name in names]]
            expected = [naive(how, column[~np.isnan(column)].tolist(), q) for column in members.T]
            np.testing.assert_allclose(answer[number], expected, rtol=1e-9, atol=1e-6)


def test_a_window_is_open_at_its_start_and_closed_at_its_end():
    columns = windows.gather([part((100, 1), (200, 2), (300, 3))])
    assert windows.over_time("sum", columns, Grid(300, 300, 1, 200)).tolist() == [[5]]


def test_a_gap_and_a_series_without_samples_say_nothing_and_count_none():
    columns = windows.gather([part((10, 4), (500, 6)), part(), part((20, math.nan))])
    grid = Grid(100, 300, 100, 50)
    assert np.isnan(windows.over_time("last", columns, grid)).all()
    assert windows.over_time("count", columns, grid).tolist() == [[0, 0, 0]] * 3


def test_a_sample_that_came_twice_counts_once_and_the_later_one_stays():
    columns = windows.gather([part((20, 7), (10, 1), (10, 3))])
    assert windows.over_time("sum", columns, Grid(20, 20, 1, 20)).tolist() == [[10]]


def test_a_counter_that_begins_again_has_grown_by_what_it_had_and_what_it_has():
    columns = windows.gather([part((0, 90), (10_000, 100), (20_000, 5), (30_000, 15))])
    grid = Grid(30_000, 30_000, 1, 30_001)
    assert windows.over_time("increase", columns, grid)[0, 0] == pytest.approx(25 * 30_001 / 30_000)
    assert windows.over_time("rate", columns, grid)[0, 0] == pytest.approx(25 * 30_001 / 30_000 / 30.001)
    assert windows.over_time("delta", columns, grid)[0, 0] < 0


def test_a_reset_before_the_window_is_none_of_its_business():
    columns = windows.gather([part((0, 1e18), (10_000, 5), (20_000, 7))])
    assert windows.over_time("increase", columns, Grid(20_000, 20_000, 1, 15_000))[0, 0] == pytest.approx(3)


def test_a_counter_is_not_stretched_to_before_it_was_zero():
    columns = windows.gather([part((50_000, 1), (60_000, 11))])
    # Two seconds at most before the first sample it stood at zero: 1 / 10 of the sampled 10 s.
    assert windows.over_time("increase", columns, Grid(60_000, 60_000, 1, 15_000))[0, 0] == pytest.approx(11)


def test_infinities_of_one_window_do_not_reach_the_next():
    columns = windows.gather([part((10, math.inf), (20, -math.inf), (30, 1), (40, 2))])
    answer = windows.over_time("sum", columns, Grid(20, 40, 20, 20))
    assert np.isnan(answer[0, 0])
    assert answer[0, 1] == 3


def test_windows_that_overlap_much_are_laid_out_part_by_part(monkeypatch):
    source = np.random.default_rng(1)
    columns = windows.gather([(np.arange(50) * 10, source.normal(size=50)) for _ in range(3)])
    grid = Grid(0, 500, 10, 300)
    expected = windows.over_time("quantile", columns, grid, 0.9), windows.over_time("stddev", columns, grid)
    monkeypatch.setattr(windows, "_LAID_OUT", 100)
    assert np.array_equal(windows.over_time("quantile", columns, grid, 0.9), expected[0], equal_nan=True)
    assert np.array_equal(windows.over_time("stddev", columns, grid), expected[1], equal_nan=True)


def test_quantiles_out_of_range_are_infinite_as_prometheus_has_them():
    columns = windows.gather([part((10, 5))])
    grid = Grid(10, 10, 1, 10)
    found = [windows.over_time("quantile", columns, grid, q)[0, 0] for q in (-1, 2)]
    assert found == [-math.inf, math.inf]


def test_groups_are_by_labels_or_without_them():
    labels = [{"host": "a", "core": "0"}, {"host": "a", "core": "1"}, {"core": "0"}]
    groups, keys = windows.group(labels, by=("host",))
    assert (groups.tolist(), keys) == ([0, 0, 1], [{"host": "a"}, {}])
    groups, keys = windows.group(labels, without=("host",))
    assert (groups.tolist(), keys) == ([0, 1, 0], [{"core": "0"}, {"core": "1"}])


def test_an_unknown_aggregate_and_an_empty_step_are_refused():
    with pytest.raises(ValueError, match="send one of: count"):
        windows.over_time("median", windows.gather([part((1, 1))]), Grid(1, 1, 1, 1))
    with pytest.raises(ValueError, match="at least one millisecond"):
        Grid(0, 1, 0, 1)
