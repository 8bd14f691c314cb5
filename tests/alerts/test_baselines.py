"""What is normal: robust statistics, hours of the week, trends, and what is far from it."""

from __future__ import annotations

import numpy as np
import pytest

from alerts import baselines
from alerts.baselines import DAY_MS, HOUR_MS

MONDAY_MS = 1_780_272_000_000  # 2026-06-01 00:00 UTC


def test_one_wild_value_does_not_move_what_is_normal():
    values = np.append(np.random.default_rng(1).normal(50, 2, 5000), 1e6)
    found = baselines.statistics(values, 0.95)
    assert found["median"] == pytest.approx(50, abs=0.3)
    assert found["robust_std"] == pytest.approx(2, rel=0.1)
    assert (found["lower"], found["upper"]) == (pytest.approx(46.1, abs=0.6), pytest.approx(53.9, abs=0.6))
    assert found["count"] == 5001


def test_what_never_changes_has_a_band_of_no_width():
    found = baselines.statistics(np.full(10, 7.0), 1)
    assert (found["lower"], found["upper"], found["robust_std"]) == (7, 7, 0)


def test_the_week_is_told_by_its_hours():
    starts = MONDAY_MS + HOUR_MS * np.arange(4 * 168, dtype=np.int64)
    values = np.where((starts // HOUR_MS) % 24 == 9, 90.0, 10.0)
    values[-1] = 500
    week = baselines.hours_of_week(starts, values)
    assert (week[9]["median"], week[24 + 9]["median"], week[10]["median"]) == (90, 90, 10)
    assert (week[167]["median"], week[167]["count"]) == (10, 4)
    assert baselines.hours_of_week(starts[:168], values[:168]) == [None] * 168


def test_a_trend_is_its_slope_a_day():
    starts = MONDAY_MS + HOUR_MS * np.arange(240, dtype=np.int64)
    found = baselines.trend(starts, 5 + 2 * (starts - starts[0]) / DAY_MS)
    assert (found["slope_per_day"], found["level"]) == (pytest.approx(2), pytest.approx(5 + 2 * 239 / 24))
    assert found["robust_std"] == pytest.approx(0, abs=1e-9)
    assert baselines.trend(starts[:2], np.ones(2)) is None


@pytest.mark.parametrize("seed", range(20))
def test_should_detect_anomalies_in_metrics(seed):
    values = np.append(50 + 10 * np.random.default_rng(seed).random(100), 95)
    found = baselines.anomalies(values, "medium")
    assert values[found].tolist() == [95]


@pytest.mark.parametrize(
    ("sensitivity", "direction", "found"),
    [("medium", "both", [9, 8]), ("medium", "up", [9]), ("medium", "down", [8]), ("low", "both", []),
     ("high", "both", [9, 8, 7])],
)  # fmt: skip
def test_sensitivity_and_direction_say_what_is_told(sensitivity, direction, found):
    values = np.array([-2, -1, -1, 0, 0, 1, 1, 6, -7.6, 7.8])
    assert baselines.anomalies(values, sensitivity, direction).tolist() == found
    assert baselines.anomalies(np.empty(0)).tolist() == []
