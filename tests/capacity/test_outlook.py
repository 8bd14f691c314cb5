"""What a stored forecast says of the days to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from capacity.outlook import outlook_of

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)


def forecast(*values: float, **thresholds: float):
    points = [
        {"timestamp": (BEGIN + timedelta(days=day)).isoformat(), "value": value} for day, value in enumerate(values)
    ]
    return outlook_of(points, thresholds)


@pytest.mark.parametrize(
    ("values", "trend", "growth"),
    [
        ((), None, None),
        ((50,), None, None),
        ((50, 75), "increasing", 50.0),
        ((50, 90, 51), "stable", 2.0),
        ((50, 25), "decreasing", -50.0),
        ((0, 0), "stable", None),
        ((0, 10), "increasing", None),
        ((-10, 10), "increasing", None),
    ],
)
def test_the_trend_is_from_the_first_point_to_the_last(values, trend, growth):
    assert (forecast(*values).trend, forecast(*values).growth_percent) == (trend, growth)


def test_the_threshold_is_reached_on_the_first_day_at_it():
    rising = forecast(70, 79, 80, 95, critical_threshold=80)
    assert rising.days_until_threshold(BEGIN) == 2.0
    assert rising.days_until_threshold(BEGIN + timedelta(days=9)) == 0
    assert forecast(70, 79, critical_threshold=80).days_until_threshold(BEGIN) is None
    assert forecast(70, 99).days_until_threshold(BEGIN) is None


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ({"warning_threshold": 70, "critical_threshold": 90, "maximum_capacity": 100}, 90),
        ({"warning_threshold": 70, "maximum_capacity": 100}, 100),
        ({"warning_threshold": 70, "critical_threshold": None}, 70),
        ({"critical_threshold": 0}, 0),
        ({}, None),
    ],
)
def test_the_threshold_is_the_critical_one_where_there_is_one(thresholds, said):
    assert forecast(1, **thresholds).threshold == said


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ((60, 65), None),
        ((60, 75), ("warning", BEGIN + timedelta(days=1))),
        ((60, 75, 92), ("critical", BEGIN + timedelta(days=2))),
    ],
)
def test_it_warns_of_the_worst_that_it_reaches(values, warning):
    assert forecast(*values, warning_threshold=70, critical_threshold=90).warning() == warning


def test_points_are_put_in_order_and_those_without_a_time_left_out():
    points = [
        {"timestamp": "2026-06-02T00:00:00Z", "value": 20},
        {"timestamp": "some day", "value": 99},
        {"timestamp": "2026-06-01", "value": 10},
    ]
    read = outlook_of(points, {})
    assert [point.value for point in read.points] == [10, 20]
    assert read.points[0].at == BEGIN
    assert read.peak == 20
