"""Baselines that are due are calculated from what is stored, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import baseline_schedule, tasks
from alerts.models import PerformanceBaseline
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def baseline(committed, now):
    def make(asset: Any, **columns: Any) -> PerformanceBaseline:
        defaults = {"metric_name": "cpu_usage_percent", "time_period": "hourly", "last_calculated": now,
                    "next_calculation": now, "calculation_frequency": 3600}  # fmt: skip
        return PerformanceBaseline.objects.create(asset=asset, **(defaults | columns))

    return make


def hourly(asset: Any, values: list[float], now: Any) -> None:
    """One sample in each of the last whole hours, the newest last."""
    hour = now.replace(minute=0, second=0)
    key = SeriesKey("cpu_usage_percent", "gauge", "percent", {}, "push")
    samples = [
        Sample(str(asset.pk), key, int((hour - timedelta(hours=ago, minutes=-10)).timestamp() * 1000), value)
        for ago, value in enumerate(reversed(values), start=1)
    ]
    assert ingestion.store_samples(samples, now).refusals == []


def test_a_baseline_says_what_was_normal_and_when_it_is_due_again(asset, baseline, now):
    web = asset()
    hourly(web, [10, 20, 30, 40, 50], now)
    row = baseline(web, time_period="daily")
    assert baseline_schedule.calculate_due(now) == 1
    row.refresh_from_db()
    assert (row.statistical_data["count"], row.statistical_data["median"]) == (5, 30)
    assert (row.last_calculated, row.next_calculation) == (now, now + timedelta(hours=1))
    assert baseline_schedule.calculate_due(now) == 0


@pytest.mark.parametrize(
    ("kind", "config", "shown"),
    [
        ("trend", {}, {"slope": 240.0}),
        ("custom", {"lower": 5, "upper": 60}, {"lower": 5, "upper": 60}),
        ("custom", {"days": 1, "lower": "low"}, {"count": 5}),
    ],
)
def test_each_type_says_its_own(asset, baseline, now, kind, config, shown):
    web = asset()
    hourly(web, [10, 20, 30, 40, 50], now)
    row = baseline(web, baseline_type=kind, baseline_config=config)
    baseline_schedule.calculate_due(now)
    row.refresh_from_db()
    told = row.statistical_data | {"slope": (row.statistical_data.get("trend") or {}).get("slope_per_day")}
    assert {name: told[name] for name in shown} == {name: pytest.approx(value) for name, value in shown.items()}


def test_a_seasonal_one_has_the_hours_of_the_week(asset, baseline, now):
    web = asset()
    hourly(web, [10, 20], now)
    row = baseline(web, baseline_type="seasonal")
    tasks.calculate_due_baselines()
    row.refresh_from_db()
    assert len(row.seasonal_patterns["hours_of_week"]) == 168


def test_without_data_it_says_so_and_what_overflows_stops_no_other(asset, baseline, now):
    empty, huge, well = asset("empty"), asset("huge"), asset("well")
    hourly(huge, [1.5e308] * 3, now)
    hourly(well, [10, 10], now)
    rows = [baseline(one) for one in (empty, huge, well)]
    baseline_schedule.calculate_due(now)
    for row in rows:
        row.refresh_from_db()
    assert [row.statistical_data.get("count") for row in rows] == [0, None, 2]
    assert {row.next_calculation for row in rows} == {now + timedelta(hours=1)}


def test_one_that_is_off_or_not_due_or_taken_is_left(asset, baseline, now):
    web = asset()
    baseline(web, is_active=False)
    baseline(web, time_period="daily", next_calculation=now + timedelta(minutes=1))
    assert baseline_schedule.calculate_due(now) == 0


def test_the_number_of_queries_is_a_few_for_each(asset, baseline, now):
    for number in range(10):
        baseline(asset(f"web-{number}"))
    with CaptureQueriesContext(connection) as queries:
        baseline_schedule.calculate_due(now)
    # Taken, read, three of the samples, and one for each row that is written.
    assert len(queries) <= 10 + 8
