"""Forecasts of series whose truth is known, and of series that break forecasters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.forecasters import METHODS
from capacity.forecasting import forecast, predict
from capacity.spacing import seasons_of, spaced, step_seconds

HOUR, DAY = 3600, 86_400


def times(count: int, step: int = DAY):
    return 1_700_000_000 + step * np.arange(count, dtype=float)


def noise(count: int, size: float = 1.0, seed: int = 0):
    return np.random.default_rng(seed).normal(0, size, count)


@pytest.mark.parametrize("method", ["linear", "auto"])
def test_a_disk_that_fills_steadily_is_full_on_the_day_that_it_will_be(method):
    used = 20 + 0.4 * np.arange(120) + noise(120, 0.5)
    made = predict(times(120), used, 120, "D", method)
    truth = 20 + 0.4 * np.arange(120, 240)
    full = 90
    day, early, late = (int(np.argmax(line >= full)) for line in (made.mean, made.hi95, made.lo95))
    assert early <= np.argmax(truth >= full) <= late
    assert abs(day - np.argmax(truth >= full)) <= 6


@pytest.mark.parametrize("method", ["seasonal", "arima", "ml", "auto"])
def test_a_day_and_a_week_come_again(method):
    hours = np.arange(4 * 168 + 48)
    load = 100 + 40 * np.sin(2 * np.pi * hours / 24) - 30 * (hours // 24 % 7 >= 5)
    known = load[:-48] + noise(4 * 168)
    made = forecast(times(4 * 168, HOUR), known, 48, "h", method)
    assert np.abs(made["mean"] - load[-48:]).mean() < 4
    assert np.mean((load[-48:] >= made["lo95"]) & (load[-48:] <= made["hi95"])) >= 0.9


def test_a_level_that_jumped_stays_where_it_is():
    made = predict(times(400, HOUR), np.r_[np.full(300, 10.0), np.full(100, 20.0)] + noise(400, 0.1), 48, "h")
    assert np.abs(made.mean - 20).max() < 1


def test_a_disk_that_is_cleaned_every_week_is_not_full_for_good():
    days = np.arange(20 * 7 + 14)
    used = 30 + 8.0 * (days % 7)
    made = predict(times(140), used[:140] + noise(140, 0.3), 14, "D")
    assert np.abs(made.mean - used[140:]).max() < 3


def test_a_percentage_never_passes_100():
    made = predict(times(120), 40 + 0.5 * np.arange(120) + noise(120), 90, "D", lower=0, upper=100)
    assert made.mean.max() == made.hi95.max() == 100
    assert made.lo95[0] > 90


def test_growth_by_a_share_does_not_go_on_for_ever():
    made = predict(times(100), 10 * np.exp(np.arange(100) / 25), 365, "D")
    assert made.mean.max() < 10 * np.exp(100 / 25) * 6


def test_a_constant_stays_itself_without_doubt():
    made = predict(times(200, HOUR), np.full(200, 7.0), 24, "h")
    assert np.array_equal(made.mean, np.full(24, 7.0))
    assert np.array_equal(made.lo95, made.hi95)


def test_one_lost_spike_is_not_forecast_and_zeros_stay_zeros():
    values = np.zeros(300)
    values[200] = 1e9
    assert not predict(times(300, HOUR), values, 24, "h").mean.any()


def test_gaps_are_filled_and_told():
    hours = np.arange(400)
    load = 50 + 10 * np.sin(2 * np.pi * hours / 24)
    known = load.copy()
    known[100:140] = np.nan
    even = spaced(times(400, HOUR), known, "h")
    assert np.abs(even.history.values - load).max() < 0.5
    assert even.notes == ("40 of 400 steps had no value and were filled in",)


def test_a_gap_at_the_end_does_not_move_the_forecast_to_another_hour():
    hours = np.arange(290)
    load = 50 + 10 * np.sin(2 * np.pi * hours / 24)
    known = np.where(hours < 235, load, np.nan)
    said = forecast(times(240, HOUR), known[:240], 50, "h")["mean"]
    assert np.abs(said - load[240:]).max() < 2


def test_uneven_values_are_averaged_into_steps_and_told():
    even = spaced([0, 10, 60, 119, 181], [1.0, 3.0, 5.0, 7.0, 9.0], "min")
    assert even.history.values.tolist() == [2, 5, 7, 9]
    assert even.notes == ("uneven values were averaged into steps of min",)


def test_the_order_of_the_values_is_their_time():
    assert spaced([120, 0, 60], [3.0, 1.0, 2.0], "min").history.values.tolist() == [1, 2, 3]


def test_a_short_history_widens_the_interval_and_says_so():
    values = 50 + noise(60)
    widths = []
    for count, note in ((4, "too few to test"), (12, "short history"), (60, "")):
        made = predict(times(count), values[:count], 3, "D")
        assert any(note in one for one in made.notes) or not note
        widths.append(float((made.hi95 - made.lo95)[-1]))
    assert min(widths[:2]) > 2 * widths[2]
    assert predict(times(4), values[:4], 3, "D").accuracy is None


def test_a_horizon_that_cannot_be_tested_is_told_and_widens():
    made = predict(times(60), 50 + noise(60), 60, "D")
    assert made.notes == ("tested 15 of 60 steps ahead; beyond them the interval is extrapolated",)
    widths = made.hi95 - made.lo95
    assert widths[59] == pytest.approx(2 * widths[14])


def test_the_accuracy_of_the_backtest_comes_with_the_forecast():
    made = predict(times(200), 100 + np.arange(200) + noise(200), 14, "D")
    assert made.accuracy.owa < 0.5
    assert 0 < made.accuracy.smape < 2
    assert made.accuracy.coverage > 0.8
    assert sum(made.weights.values()) == pytest.approx(1)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60),
    horizon=st.integers(1, 30),
    method=st.sampled_from(sorted(METHODS)),
    freq=st.sampled_from(["h", "D", "W", "6h"]),
)
def test_every_forecast_is_finite_in_order_and_the_same_again(values, horizon, method, freq):
    first, again = (forecast(times(len(values), step_seconds(freq)), values, horizon, freq, method) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert all(len(line) == horizon and np.isfinite(line).all() for line in first.values())
    assert (first["lo95"] <= first["mean"]).all()
    assert (first["mean"] <= first["hi95"]).all()


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_neither_tiny_nor_huge_values_leave_the_range_of_numbers(size):
    made = predict(times(60), size * (1 + 0.1 * noise(60)), 5, "D")
    assert np.isfinite(made.hi95).all()
    assert np.abs(made.mean / size - 1).max() < 0.5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"horizon": 0}, "1 to 10000 steps"),
        ({"method": "prophet"}, "choose from linear, seasonal, arima, ml, auto"),
        ({"freq": "month"}, "'30min'"),
        ({"freq": "0h"}, "'30min'"),
        ({"values": [1.0]}, "same length"),
        ({"values": [np.nan] * 3}, "at least one that is a number"),
        ({"timestamps": [0, np.nan, 1]}, "epoch seconds"),
        ({"timestamps": [0, 86_400_000, 172_800_000]}, "timestamps in seconds"),
        ({"values": [1.0, np.nan, np.nan], "timestamps": [0, 1, 1e9]}, "up to the last timestamp"),
        ({"lower": 5, "upper": 5}, "not below"),
    ],
)
def test_bad_input_is_told_what_to_send_instead(changed, said):
    given = {"timestamps": times(3), "values": [1.0, 2.0, 3.0], "horizon": 2, "freq": "D"} | changed
    with pytest.raises(ValueError, match=said):
        predict(**given)


def test_seasons_are_whole_numbers_of_steps():
    found = {freq: seasons_of(step_seconds(freq)) for freq in ("5min", "h", "6h", "5h", "D", "W")}
    assert found == {"5min": (288, 2016), "h": (24, 168), "6h": (4, 28, 1461), "5h": (1753,), "D": (7, 365), "W": (52,)}
