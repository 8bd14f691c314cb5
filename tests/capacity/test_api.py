"""Stored forecasts over REST."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from capacity.models import CapacityForecast
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/api/monitoring/capacity/forecasts"


@pytest.fixture
def viewer(api):
    return api(Role.VIEWER)


@pytest.fixture
def forecast(now):
    def make(asset, *values: float, **columns) -> CapacityForecast:
        points = [
            {"timestamp": (now + timedelta(days=day)).isoformat(), "value": value} for day, value in enumerate(values)
        ]
        defaults = {
            "metric_name": "disk_usage_percent",
            "forecast_horizon_days": 30,
            "historical_data_points": 90,
            "forecast_values": points,
            "capacity_thresholds": {"warning_threshold": 70.0, "critical_threshold": 90.0},
            "calculated_at": now,
            "valid_until": now + timedelta(days=7),
        }
        return CapacityForecast.objects.create(asset=asset, **(defaults | columns))

    return make


def names(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [one["asset_name"] for one in answer.json()["forecasts"]]


def test_the_list_has_the_specifications_envelope(viewer, forecast, asset, now):
    made = forecast(asset("db-01"), 60, 75, 92.5, accuracy_score=0.87)
    body = viewer.get(URL).json()
    assert body["forecasts"] == [
        {
            "id": str(made.pk),
            "asset_id": str(made.asset_id),
            "asset_name": "db-01",
            "metric_name": "disk_usage_percent",
            "forecast_horizon_days": 30,
            "forecast_algorithm": "linear",
            "current_value": None,
            "forecasted_peak": 92.5,
            "capacity_threshold": 90,
            "utilization_trend": "increasing",
            "days_until_threshold": 2.0,
            "confidence_score": 0.87,
            "last_calculated": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
            "valid_until": f"{now + timedelta(days=7):%Y-%m-%dT%H:%M:%S.%fZ}",
        }
    ]
    day = now + timedelta(days=2)
    assert body["capacity_alerts"] == [
        {
            "asset_name": "db-01",
            "metric_name": "disk_usage_percent",
            "alert_type": "approaching_capacity",
            "severity": "critical",
            "projected_date": f"{day:%Y-%m-%dT%H:%M:%SZ}",
            "recommendation": f"Make room or use less before {day:%Y-%m-%d}.",
        }
    ]
    assert body["growth_analysis"] == {
        "fastest_growing_assets": [
            {
                "asset_name": "db-01",
                "metric_name": "disk_usage_percent",
                "growth_rate_percent": 54.17,
                "time_period": "30 days",
            }
        ],
        "resource_optimization_opportunities": [],
    }


def test_without_forecasts_nothing_is_made_up(viewer):
    growth = {"fastest_growing_assets": [], "resource_optimization_opportunities": []}
    assert viewer.get(URL).json() == {"forecasts": [], "capacity_alerts": [], "growth_analysis": growth}


def test_what_a_forecast_does_not_say_is_null(viewer, forecast, asset):
    forecast(asset("db-01"), capacity_thresholds={})
    (shown,) = viewer.get(URL).json()["forecasts"]
    unknown = ("current_value", "forecasted_peak", "capacity_threshold", "utilization_trend", "days_until_threshold")
    assert {shown[name] for name in (*unknown, "confidence_score")} == {None}


def test_the_current_value_is_the_newest_sample_of_the_fullest_series(committed, viewer, forecast, asset, now):
    database = asset("db-01")
    made = forecast(database, 60)

    def sample(mount: str, seconds_ago: int, value: float) -> Sample:
        key = SeriesKey("disk_usage_percent", "gauge", "percent", {"mount": mount}, "push")
        return Sample(str(database.pk), key, int(now.timestamp() - seconds_ago) * 1000, value)

    samples = [sample("/", 120, 99.0), sample("/", 60, 41.0), sample("/data", 60, 62.5)]
    assert ingestion.store_samples(samples, now).accepted == 3
    assert viewer.get(URL).json()["forecasts"][0]["current_value"] == 62.5
    assert viewer.get(f"{URL}/{made.pk}").json()["current_value"] == 62.5


def test_a_newer_forecast_replaces_the_earlier_one(viewer, forecast, asset, now):
    database = asset("db-01")
    forecast(database, 60, 95, calculated_at=now - timedelta(days=1))
    newest = forecast(database, 50, 51)
    body = viewer.get(URL).json()
    assert [one["id"] for one in body["forecasts"]] == [str(newest.pk)]
    history = viewer.get(URL, {"history": "true"}).json()
    assert len(history["forecasts"]) == 2
    assert (body["capacity_alerts"], history["capacity_alerts"]) == ([], [])


def test_a_forecast_that_has_run_out_warns_nobody(viewer, forecast, asset, now):
    past = {"calculated_at": now - timedelta(days=9), "valid_until": now - timedelta(days=2)}
    forecast(asset("db-01"), 60, 95, **past)
    body = viewer.get(URL).json()
    assert len(body["forecasts"]) == 1
    assert (body["capacity_alerts"], body["growth_analysis"]["fastest_growing_assets"]) == ([], [])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"metric": "memory_usage_percent"}, ["web"]),
        ({"algorithm": "arima"}, ["web"]),
        ({"ordering": "last_calculated"}, ["db", "web"]),
        ({"ordering": "-metric_name"}, ["web", "db"]),
        ({"page_size": 1, "page": 2}, ["db"]),
    ],
)
def test_forecasts_are_filtered_and_ordered(viewer, forecast, asset, now, query, found):
    forecast(asset("db"), 1, calculated_at=now - timedelta(hours=1))
    forecast(asset("web"), 1, metric_name="memory_usage_percent", forecast_algorithm="arima")
    assert names(viewer.get(URL, query)) == found


def test_forecasts_are_found_by_asset(viewer, forecast, asset):
    database = asset("db")
    forecast(database, 1)
    forecast(asset("web"), 1)
    assert names(viewer.get(URL, {"asset": database.pk})) == ["db"]


@pytest.mark.parametrize(
    "query", [{"colour": "red"}, {"asset": "db-01"}, {"metric": "\0"}, {"history": "2"}, {"algorithm": "guess"}]
)
def test_a_query_parameter_that_is_not_understood_is_refused(viewer, query):
    assert fields_of(viewer.get(URL, query)) == set(query)


def test_one_forecast_is_shown_with_its_values(viewer, forecast, asset):
    made = forecast(asset("db"), 60, 75)
    body = viewer.get(f"{URL}/{made.pk}").json()
    assert body["forecast_values"] == made.forecast_values
    assert (body["historical_data_points"], body["forecasted_peak"]) == (90, 75)
    assert is_problem(viewer.get(f"{URL}/{uuid4()}"), 404)


def test_forecasts_are_not_made_or_changed_over_rest_yet(api, forecast, asset):
    sre, one = api(Role.SRE), f"{URL}/{forecast(asset('db'), 1).pk}"
    assert is_problem(sre.post(URL, {}, format="json"), 405)
    for method in ("put", "patch", "delete"):
        assert is_problem(getattr(sre, method)(one, {}, format="json"), 405)


def test_every_role_reads_forecasts_and_nobody_else(api, client, forecast, asset):
    one = f"{URL}/{forecast(asset('db'), 1).pk}"
    for role in Role:
        assert [api(role).get(url).status_code for url in (URL, one)] == [200, 200]
    for url in (URL, one):
        assert is_problem(api().get(url), 403)
        assert is_problem(client.get(url), 401)


def test_the_number_of_queries_does_not_grow_with_the_forecasts(viewer, forecast, asset):
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            forecast(asset(f"db-{number}"), 60, 95)

    grow(0, 2)
    few = queries_of(viewer, URL)
    grow(2, 20)
    assert queries_of(viewer, URL) == few <= 7
