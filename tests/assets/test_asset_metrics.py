"""An asset's metrics, chart and health over REST, and the background assessment: all from stored samples."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assets import agents, assessment
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from assets.models import AgentHealth, AssetHealth, MonitoringAgent
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")
URL = "/api/monitoring/assets"


@pytest.fixture
def viewer(api):
    return api(Role.VIEWER)


def report(asset, now: datetime, name: str, *values: float, every: int = 60, kind: str = "gauge", **labels: str):
    """The last of `values` is reported at `now`, the others every `every` seconds before it."""
    key = SeriesKey(name, kind, "percent", labels, "push")
    newest = int(now.timestamp() * 1000)
    samples = [
        Sample(str(asset.pk), key, newest - (len(values) - 1 - place) * every * 1000, value)
        for place, value in enumerate(values)
    ]
    assert ingestion.store_samples(samples, now).accepted == len(values)


@pytest.fixture
def recent() -> datetime:
    """A moment ago, so that what is asked for until now has it."""
    from datetime import UTC

    return (datetime.now(UTC) - timedelta(seconds=5)).replace(microsecond=0)


def test_metrics_have_the_specifications_shape(viewer, asset, recent):
    web = asset("web-01")
    report(web, recent, "cpu_usage_percent", 10, 20, 30)
    report(web, recent, "disk_usage_percent", 50, mount="/")
    report(web, recent, "disk_usage_percent", 70, mount="/data")
    report(web, recent, "network_io_mbps", 4, interface="eth0")
    report(web, recent, "network_io_mbps", 3, interface="eth1")
    report(web, recent, "response_time_ms", 100, 200)
    body = viewer.get(f"{URL}/{web.pk}/metrics").json()
    assert body["asset_info"] == {
        "id": str(web.pk), "asset_name": "web-01", "asset_type": "server", "environment": "production",
    }  # fmt: skip
    current = body["current_metrics"]
    assert datetime.fromisoformat(current.pop("last_updated")) == recent
    assert current == {
        "cpu_usage_percent": 30, "disk_usage_percent": 70, "network_io_mbps": 7, "response_time_ms": 200,
    }  # fmt: skip
    history = body["metric_history"]
    assert all(moment.endswith("Z") for moment in history["time_range"].values())
    assert [point["value"] for point in history["metrics"]["cpu_usage_percent"]] == [10, 20, 30]
    assert [point["value"] for point in history["metrics"]["disk_usage_percent"]] == [70]
    assert [point["value"] for point in history["metrics"]["disk_usage_percent{mount=/}"]] == [50]
    assert [point["value"] for point in history["metrics"]["network_io_mbps"]] == [7]
    assert body["performance_indicators"]["availability_percentage"] == 100
    assert body["performance_indicators"]["mean_response_time"] == 150
    assert body["performance_indicators"]["error_budget_remaining"] == 100


def test_what_is_not_known_is_null_and_not_invented(viewer, asset):
    body = viewer.get(f"{URL}/{asset('web-01').pk}/metrics").json()
    assert body["current_metrics"] == {"last_updated": None}
    assert body["metric_history"]["metrics"] == {}
    assert set(body["performance_indicators"].values()) == {None}


def test_availability_counts_all_reports_whatever_metric_is_asked_for(viewer, asset, recent):
    web = asset("web-01")
    report(web, recent, "cpu_usage_percent", *range(13), every=300)
    report(web, recent, "response_time_ms", 5)
    for query in ({}, {"metric": "response_time_ms"}):
        shown = viewer.get(f"{URL}/{web.pk}/metrics", query | {"range": "6h"}).json()["performance_indicators"]
        assert shown["availability_percentage"] == 100
    # Six silent hours after the hour of reports.
    later = {"from": (recent - timedelta(hours=2)).isoformat(), "to": "2199-01-01T00:00:00Z"}
    assert viewer.get(f"{URL}/{web.pk}/metrics", later | {"to": ""}).status_code == 200


def test_an_asset_that_fell_silent_before_the_range_was_not_available(viewer, asset, now):
    web = asset("web-01")
    report(web, now - timedelta(hours=2), "cpu_usage_percent", 10)
    shown = viewer.get(f"{URL}/{web.pk}/metrics", {"range": "1h"}).json()["performance_indicators"]
    assert shown["availability_percentage"] == 0


def test_more_series_than_one_answer_can_hold_are_refused_with_what_to_narrow(viewer, asset, recent, monkeypatch):
    web = asset("web-01")
    for name in ("cpu_usage_percent", "memory_usage_percent", "disk_usage_percent"):
        report(web, recent, name, 1)
    monkeypatch.setattr("assets.api.MAX_READ_SERIES", 2)
    for part in ("metrics", "chart"):
        refused = viewer.get(f"{URL}/{web.pk}/{part}")
        assert refused.status_code == 400
        assert "3 series; name fewer metrics" in refused.json()["detail"]
        assert viewer.get(f"{URL}/{web.pk}/{part}", {"metric": "cpu_usage_percent"}).status_code == 200


def test_the_systems_own_health_score_is_no_report_of_the_asset(asset, now):
    web = asset("web-01")
    report(web, now - timedelta(minutes=9), "cpu_usage_percent", 10)
    assert assessment.assess_all(now - timedelta(minutes=8)) == 1
    assessment.assess_all(now)
    held = AssetHealth.objects.get()
    assert held.last_metric_timestamp == now - timedelta(minutes=9)
    assert held.health_status == "degraded"


def test_history_is_thinned_and_keeps_the_peak(viewer, asset, recent):
    web = asset("web-01")
    report(web, recent, "cpu_usage_percent", *[1.0] * 200, 99.0, *[1.0] * 200, every=5)
    shown = viewer.get(f"{URL}/{web.pk}/metrics", {"points": 20, "metric": "cpu_usage_percent"}).json()
    values = [point["value"] for point in shown["metric_history"]["metrics"]["cpu_usage_percent"]]
    assert len(values) <= 20
    assert max(values) == 99


def test_counters_are_shown_as_rates(viewer, asset, recent):
    web = asset("web-01")
    report(web, recent, "network_receive_bytes", 0, 600, 1800, kind="counter")
    shown = viewer.get(f"{URL}/{web.pk}/metrics").json()["metric_history"]["metrics"]
    assert [point["value"] for point in shown["network_receive_bytes"]] == [10, 20]


@pytest.mark.parametrize(
    "query", [{"range": "2w"}, {"from": "x"}, {"points": "many"}, {"points": "1"}, {"metric": "a\0"}, {"colour": "red"}]
)
@pytest.mark.parametrize("view", ["metrics", "chart"])
def test_a_query_that_is_not_understood_is_refused_by_name(viewer, asset, view, query):
    answer = viewer.get(f"{URL}/{asset('web-01').pk}/{view}", query)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


@pytest.mark.parametrize("view", ["metrics", "chart", "health"])
def test_an_asset_that_is_not_there_is_a_404(viewer, view):
    assert viewer.get(f"{URL}/{uuid4()}/{view}").status_code == 404


def test_a_chart_has_series_and_the_thresholds_of_what_is_drawn(viewer, asset, recent):
    web = asset("web-01")
    report(web, recent, "cpu_usage_percent", 10, 20)
    body = viewer.get(f"{URL}/{web.pk}/chart", {"metric": "cpu_usage_percent", "range": "1h"}).json()
    newest = int(recent.timestamp() * 1000)
    assert body["series"] == [
        {"label": "cpu_usage_percent", "unit": "percent", "points": [[newest - 60_000, 10], [newest, 20]]}
    ]
    assert [line["value"] for line in body["thresholds"]] == [80, 95]
    assert body["annotations"] == []
    begin, end = body["span"]
    assert end - begin == 3_600_000
    assert begin <= newest <= end


def test_a_single_sample_does_not_turn_the_health_of_an_asset(viewer, asset, recent):
    web = asset("web-01")
    report(web, recent, "cpu_usage_percent", 20, 20, 20, 99)
    report(web, recent - timedelta(minutes=6), "memory_usage_percent", 10, 30)
    factors = {one["factor"]: one for one in viewer.get(f"{URL}/{web.pk}/health").json()["health_factors"]}
    assert (factors["cpu"]["status"], factors["cpu"]["value"]) == ("healthy", 39.75)
    assert factors["memory"]["value"] == 30


def test_health_has_the_specifications_shape(viewer, asset, recent):
    web = asset("web-01")
    report(web, recent, "cpu_usage_percent", 97)
    assessment.assess_all(recent)
    body = viewer.get(f"{URL}/{web.pk}/health").json()
    assert (body["asset_id"], body["overall_health"]) == (str(web.pk), "unhealthy")
    assert 0 <= body["health_score"] <= 40
    cpu = next(one for one in body["health_factors"] if one["factor"] == "cpu")
    assert set(cpu) == {"factor", "status", "value", "threshold", "impact_weight", "description"}
    assert (cpu["status"], cpu["value"], cpu["threshold"]) == ("critical", 97, 95)
    assert set(body["recommendations"][0]) == {"priority", "category", "description", "estimated_impact"}
    assert body["active_alerts"] == []
    assert [set(one) for one in body["health_trend"]] == [{"timestamp", "health_score"}]


def test_health_without_data_is_unknown(viewer, asset):
    body = viewer.get(f"{URL}/{asset('web-01').pk}/health").json()
    assert (body["overall_health"], body["health_score"], body["health_factors"]) == ("unknown", None, [])


def test_all_active_assets_are_assessed_in_a_fixed_number_of_queries(asset, now):
    def assess() -> int:
        with CaptureQueriesContext(connection) as caught:
            assessment.assess_all(now)
        return len(caught)

    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            report(asset(f"web-{number:02}"), now, "cpu_usage_percent", number)

    grow(0, 3)
    few = assess()
    grow(3, 30)
    assert assess() <= few
    assert AssetHealth.objects.filter(health_status="healthy", last_metric_timestamp=now).count() == 30


def test_the_score_is_kept_as_a_series_once_a_minute(asset, now):
    web = asset("web-01")
    minute = now.replace(second=0)
    report(web, minute, "cpu_usage_percent", 10)
    for second in (1, 16, 31, 46):
        assessment.assess_all(minute + timedelta(seconds=second))
    assert len(assessment.trend(web.pk, minute - timedelta(hours=1), minute + timedelta(minutes=1))) == 1


def test_an_asset_that_is_switched_off_is_unknown(asset, now):
    web = asset("web-01")
    report(web, now, "cpu_usage_percent", 10)
    assessment.assess_all(now)
    web.is_active = False
    web.save()
    asset("web-02")
    assessment.assess_all(now)
    held = AssetHealth.objects.get(asset=web)
    assert (held.health_status, held.health_score) == ("unknown", None)


def test_an_agent_that_falls_silent_is_unknown(asset, now):
    web = asset("web-01")
    for name, age in (("quiet", 300), ("lively", 10)):
        MonitoringAgent.objects.create(
            agent_name=name, asset=web, health_status="healthy", last_heartbeat=now - timedelta(seconds=age)
        )
    assert agents.mark_silent(now) == 1
    assert MonitoringAgent.objects.get(agent_name="quiet").health_status == AgentHealth.UNKNOWN
