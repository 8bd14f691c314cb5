"""What is expected of an hour, from the hours before it; and many streams followed side by side."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.anomaly import bands, score
from alerts.anomaly.bands import Hours, Surprises
from alerts.anomaly.fleet import STEP_SECONDS, Fleet, filled

MONDAY = 494_520  # 2026-06-01 00:00 UTC, in hours since 1970


def hours(mean: list[float], spread: float = 0.0, until: int = MONDAY, counter: bool = False) -> Hours:
    """Hours up to the one before `until`, whose samples are `spread` around the mean."""
    table = np.array(mean, dtype=float)
    return Hours(
        until - 1,
        np.array([table, table - spread, table + spread, np.full(len(table), 360.0)])[:, None, :],
        np.array([counter]),
    )


def at(known: Hours, how: str = "avg", sensitivity: str = "medium") -> tuple[float, float, float]:
    band = bands.expected(known, how, sensitivity, 300)
    return float(band.lower[0]), float(band.expected[0]), float(band.upper[0])


def test_an_hour_is_expected_to_be_as_it_was_on_other_days():
    midnight_rush = [90.0 if hour % 24 == 0 else 10.0 for hour in range(8 * 24)]
    assert at(hours(midnight_rush))[1] == 90
    assert at(hours([*midnight_rush[1:], 90.0], until=MONDAY + 1))[1] == 10


def test_weekends_are_compared_with_weekends_and_mondays_with_mondays_once_there_are_three():
    weekday = [hour // 24 % 7 for hour in range(5 * 168)]  # they begin on a Monday
    mondays = [80.0 if day == 0 else 5.0 if day >= 5 else 50.0 for day in weekday]
    assert at(hours(mondays))[1] == 80
    assert at(hours(mondays[-10 * 24 :]))[1] == 50  # one Monday says nothing; seven working days do
    assert at(hours(mondays[: 12 * 24], until=MONDAY - 23 * 24))[1] == 50  # of one weekend nothing is known on Saturday
    assert at(hours(mondays[: 19 * 24], until=MONDAY - 16 * 24))[1] == 5


@pytest.mark.parametrize(("low", "high"), [("low", "medium"), ("medium", "high")])
def test_more_sensitivity_is_a_narrower_band(low, high):
    known = hours([20 + hour % 5 for hour in range(8 * 24)], 6.0)
    wide, narrow = at(known, sensitivity=low), at(known, sensitivity=high)
    assert wide[0] < narrow[0] < narrow[2] < wide[2]


def test_an_outage_yesterday_is_not_normal_today():
    known = np.full(8 * 24, 20.0)
    known[-26:-20] = 0.0
    assert at(hours(known.tolist(), 1.0)) == pytest.approx(at(hours([20.0] * 192, 1.0)))


def test_a_few_days_that_were_alike_do_not_make_a_narrow_band():
    """The other hours of the series vary by some 10."""
    known = np.random.default_rng(3).normal(100, 10, 8 * 24)
    known[::24] = 100.0
    low, _, high = at(hours(known.tolist()))
    assert low < 70 < 130 < high


def test_the_highest_of_a_window_may_be_as_high_as_hours_were():
    known = hours([20.0] * 192, 15.0)
    assert at(known, "max")[2] > 35 > 20 > at(known, "max")[0]
    assert at(known, "min")[0] < 5


def test_what_was_never_negative_is_not_expected_to_be():
    assert at(hours([1.0] * 192, 0.9))[0] == 0
    assert at(hours([1.0] * 192, 3.0))[0] < 0


def test_nothing_is_expected_where_nothing_is_known():
    assert all(np.isnan(one) for one in at(hours([np.nan] * 192)))
    nobody = Hours(MONDAY, np.empty((4, 0, 192)), np.empty(0, dtype=bool))
    assert len(bands.expected(nobody, "avg", "medium", 300).lower) == 0
    assert hours([np.nan] * 192).days().tolist() == [0]
    assert hours([np.nan] * 24 + [1.0] * 168).days().tolist() == [7]
    assert hours([1.0] + [np.nan] * 190 + [1.0]).days().tolist() == [4 / 24]


@pytest.mark.parametrize(
    ("value", "surprise", "direction", "found"),
    [
        (41, 0.0, "both", True),
        (41, 0.0, "down", False),
        (20, 0.6, "both", True),
        (20, 0.4, "both", False),
        (20, 0.6, "up", True),
        (20, 0.6, "down", False),
    ],
)
def test_unusual_is_what_is_outside_of_the_band_or_a_surprise(value, surprise, direction, found):
    band = bands.expected(hours([20.0] * 192, 1.0), "avg", "medium", 300)
    told = Surprises(np.array([surprise]), np.array([21.0]))
    assert band.unusual(np.array([float(value)]), told, "medium", direction).tolist() == [found]


def test_streams_side_by_side_get_the_scores_that_each_would_get_alone():
    source, points = np.random.default_rng(5), 700
    values = source.normal(size=(3, points))
    values[0, 650] = 12.0
    values[1, 600:] += 8.0
    values[2, 300:303] = np.nan
    fleet, got = Fleet(3), []
    for at_point in range(points):
        if at_point == 400:  # streams come and go
            fleet = fleet.arranged(np.array([2, -1, 0, 1])).arranged(np.array([2, 3, 0]))
        got.append(fleet.update(values[:, at_point]))
    times = STEP_SECONDS * np.arange(points, dtype=float)
    alone = np.array([score(times, one) for one in filled(values)])
    assert pytest.approx(alone, abs=1e-9) == np.array(got).T
    assert alone[0, 650] > 0.5 < alone[1, 600:605].max()


def test_a_gap_is_filled_for_an_hour_and_no_longer():
    gap = filled(np.array([[np.nan, 1.0, *[np.nan] * 14, 2.0]]))[0]
    assert np.isnan(gap[[0, 14, 15]]).all()
    assert gap[1:14].tolist() == [1.0] * 13
