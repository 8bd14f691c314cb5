"""Each forecaster alone: what it is for, and that it cannot run away."""

from __future__ import annotations

import numpy as np
import pytest

from capacity.forecasters import METHODS
from capacity.forecasters.arima import Arima
from capacity.forecasters.base import History, TooShort
from capacity.forecasters.linear import robust_slope
from capacity.forecasters.ml import Autoregression, lags_of
from capacity.forecasters.seasonal import Usual, smoothed_level


@pytest.mark.parametrize("name", METHODS["auto"])
@pytest.mark.parametrize("kind", ["explosive", "noise", "step"])
def test_a_forecast_stays_within_reach_of_its_history(name, kind):
    values = {
        "explosive": np.exp(np.linspace(0, 8, 90)),
        "noise": 5 + np.random.default_rng(0).normal(size=90),
        "step": np.r_[np.full(80, 1.0), np.full(10, 100.0)],
    }[kind]
    said = METHODS["auto"][name](History(values, (7, 28)), 200)
    reach = np.ptp(values) * (0.5 + 200 / 90)
    assert len(said) == 200
    assert values.min() - reach - 1e-9 <= said.min()
    assert said.max() <= values.max() + reach + 1e-9


def test_auto_is_every_forecaster_of_the_other_methods():
    assert set(METHODS["auto"]) == {name for one in ("linear", "seasonal", "arima", "ml") for name in METHODS[one]}


def test_a_slope_does_not_mind_a_third_of_wild_values():
    values = 3 * np.arange(300.0)
    values[::3] += 1e6 * np.random.default_rng(0).random(100)
    assert robust_slope(3 * np.arange(300.0)) == pytest.approx(3)
    assert robust_slope(values) == pytest.approx(3, abs=0.2)
    with pytest.raises(TooShort):
        robust_slope(np.ones(1))


def test_what_is_usual_needs_a_whole_season():
    history = History(np.array([1.0, 2.0, 9.0, 2.0, 1.0, 4.0]), (2, 50))
    assert Usual(rank=0, rounds=3)(history, 3).tolist() == [1, 2, 1]
    with pytest.raises(TooShort):
        Usual(rank=1, rounds=1)(history, 3)


def test_a_smoothed_level_follows_a_step_and_averages_noise():
    assert smoothed_level(np.r_[np.zeros(50), np.full(50, 8.0)]) == pytest.approx(8)
    assert smoothed_level(np.tile([1.0, -1.0], 60)) == pytest.approx(0, abs=0.2)


def test_arima_finds_the_way_back_of_an_autoregression():
    rng = np.random.default_rng(2)
    values = np.zeros(600)
    for at in range(1, 600):
        values[at] = 0.8 * values[at - 1] + rng.normal()
    values[-1] = 5
    said = Arima(0)(History(values), 5)
    assert said == pytest.approx(5 * 0.8 ** np.arange(1, 6), abs=0.6)


def test_a_robust_autoregression_learns_nothing_from_outages():
    hours = np.arange(600)
    truth = 50 + 10 * np.sin(2 * np.pi * hours / 24)
    known = truth[:552].copy()
    known[[100, 250, 251, 400]] = 1
    history = History(known, (24,))
    robust, plain = (np.abs(Autoregression(robust=one)(history, 48) - truth[552:]).max() for one in (True, False))
    assert robust < 3 < plain


@pytest.mark.parametrize(
    ("seasons", "length", "lags"),
    [
        ((24, 168), 700, [1, 2, 3, 23, 24, 25, 48, 167, 168, 169]),
        ((24, 168), 200, [1, 2, 3, 23, 24, 25, 48]),
        ((7,), 100, [1, 2, 3, 6, 7, 8, 14, 21, 28]),
        ((), 10, [1, 2, 3]),
    ],
)
def test_lags_reach_as_far_back_as_leaves_enough_to_learn_from(seasons, length, lags):
    assert lags_of(seasons, length).tolist() == lags
