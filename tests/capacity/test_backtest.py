"""The measures of forecasts, by hand; the origins of backtests; weights and widths that follow from them."""

from __future__ import annotations

import numpy as np
import pytest

from capacity import backtest, ensemble, intervals
from capacity.forecasters.base import History, TooShort
from capacity.forecasters.seasonal import last_value

ACTUAL, SAID = np.array([10.0, 20.0, 0.0]), np.array([12.0, 15.0, 0.0])


def test_the_measures_are_those_of_the_m4_competition():
    assert backtest.smape(ACTUAL, SAID) == pytest.approx((200 * 2 / 22 + 200 * 5 / 35) / 3)
    assert backtest.mase(ACTUAL, SAID, np.array([1.0, 3.0, 2.0, 6.0]), season=2) == pytest.approx((7 / 3) / 2)
    assert backtest.coverage(ACTUAL, SAID - 2, SAID + 2) == pytest.approx(2 / 3)
    assert backtest.owa(ACTUAL, SAID, SAID) == pytest.approx(1)
    assert backtest.owa(ACTUAL, ACTUAL, SAID) == pytest.approx(0)


def test_the_error_of_a_constant_stays_finite():
    assert backtest.naive_error(np.full(9, 3.0), season=2) == 1


def test_naive2_knows_the_season_where_there_is_one():
    season = np.tile([5.0, 9.0, 4.0, 2.0], 10)
    assert backtest.naive2(History(season, (4,)), 4) == pytest.approx(season[:4])
    walk = np.cumsum(np.random.default_rng(1).normal(size=40))
    assert (backtest.naive2(History(walk, ()), 3) == walk[-1]).all()


def test_origins_are_a_horizon_apart_and_nearer_where_the_history_is_short():
    assert backtest.rolling_origins(1000, 50) == (950, 900, 850, 800, 750)
    assert backtest.rolling_origins(100, 24) == (76, 70, 64, 58, 52)
    assert backtest.rolling_origins(9, 2) == ()


def test_nothing_after_an_origin_is_seen_before_it():
    history = History(np.arange(100.0))
    found = backtest.run(history, {"last": last_value}, 10)
    assert found.forecasts["last"][:, 0].tolist() == [origin - 1 for origin in found.origins]
    assert found.actual[:, 0].tolist() == list(found.origins)


def test_the_better_forecaster_counts_more_and_one_that_cannot_say_counts_little():
    def never(history, horizon):
        raise TooShort

    line = {"last": last_value, "line": lambda history, horizon: history.values[-1] + np.arange(1, horizon + 1)}
    weights = ensemble.weigh(backtest.run(History(np.arange(100.0)), line | {"never": never}, 10))
    assert weights["line"] > 0.99
    assert sum(weights.values()) == pytest.approx(1)


def test_a_forecaster_that_runs_away_does_not_move_the_median():
    said = np.array([[1.0, 2.0], [1.2, 2.2], [1e9, -1e9], [np.nan, np.nan]])
    assert ensemble.combine(said, np.array([0.3, 0.3, 0.3, 0.1])).tolist() == [1.2, 2.0]


def test_an_interval_never_narrows_and_holds_95_of_100_of_many_errors():
    rng = np.random.default_rng(3)
    growing = np.sqrt(np.arange(1, 41))
    widths = intervals.half_widths(rng.normal(size=(5, 40)) * growing, 60)
    assert (np.diff(widths) >= 0).all()
    fresh = np.abs(rng.normal(size=(2000, 40)) * growing)
    assert 0.94 <= np.mean(fresh <= widths[:40]) <= 0.995


def test_fewer_origins_give_a_wider_interval_for_the_same_errors():
    errors = np.ones((5, 4))
    widths = [intervals.half_widths(errors[:count], 4)[0] for count in range(1, 6)]
    assert widths == sorted(widths, reverse=True)
