"""What analytics say of stored alerts, and that they say nothing of what is not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts import analytics
from alerts.models import AlertInstance
from assets.spans import Span
from tests.pages import opened, queries_of
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
# A Saturday, in the season.
SATURDAY = datetime(2026, 6, 13, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MONTH = Span(SATURDAY - timedelta(days=30), SATURDAY)
PAGE = "/admin/monitoring/alerts/analytics"


def analysed() -> dict:
    return analytics.analyse(AlertInstance.objects.all(), MONTH)


def resolved_after(minutes: float, began: datetime, **columns) -> dict:
    end = began + minutes * MINUTE
    return {"first_triggered_at": began, "status": "resolved", "resolved_at": end} | columns


def test_without_alerts_what_is_not_known_is_null():
    assert analysed() == {
        "alert_statistics": {
            "total_alerts_30d": 0,
            "avg_alerts_per_day": 0.0,
            "mean_time_to_acknowledge": None,
            "mean_time_to_resolve": None,
            "escalation_rate": None,
            "false_positive_rate": None,
        },
        "top_alerting_assets": [],
        "alert_patterns": [],
        "noise_analysis": {"noisy_rules": [], "alert_storms": []},
    }


def test_the_statistics_are_of_the_last_thirty_days(alert):
    began = SATURDAY - timedelta(days=3)
    alert(**resolved_after(60, began, acknowledged_at=began + 10 * MINUTE, resolution_type="manual"))
    alert(**resolved_after(2, began, resolution_type="auto"))
    alert(first_triggered_at=began, escalation_level=2)
    alert(first_triggered_at=began, status="pending")
    alert(first_triggered_at=SATURDAY - timedelta(days=31))
    assert analysed()["alert_statistics"] == {
        "total_alerts_30d": 3,
        "avg_alerts_per_day": 0.1,
        "mean_time_to_acknowledge": 10.0,
        "mean_time_to_resolve": 31.0,
        "escalation_rate": 33.33,
        "false_positive_rate": 50.0,
    }


def test_the_assets_with_the_most_alerts_come_first(alert, asset):
    web, database = asset("web"), asset("database")
    alert(web, first_triggered_at=SATURDAY)
    alert(database, **resolved_after(30, SATURDAY - timedelta(hours=1), severity="critical"))
    alert(database, first_triggered_at=SATURDAY)
    alert(None, first_triggered_at=SATURDAY)
    assert analysed()["top_alerting_assets"] == [
        {"asset_name": "database", "alert_count": 2, "critical_alerts": 1, "avg_resolution_time": 30.0},
        {"asset_name": "web", "alert_count": 1, "critical_alerts": 0, "avg_resolution_time": None},
    ]


def test_a_rule_that_opens_too_much_is_noisy_and_told_why(alert, rule):
    calm, flapping = rule("calm"), rule("flapping")
    alert(alert_rule=calm, first_triggered_at=SATURDAY)
    for number in range(90):
        alert(alert_rule=flapping, **resolved_after(1, SATURDAY - number * timedelta(hours=7), resolution_type="auto"))
    (noisy,) = analysed()["noise_analysis"]["noisy_rules"]
    assert (noisy["rule_name"], noisy["trigger_frequency"], noisy["resolution_rate"]) == ("flapping", 3.0, 0.0)
    assert "breaches in a row" in noisy["recommendation"]


def test_openings_close_together_are_a_storm(alert, asset):
    began = SATURDAY - timedelta(hours=5)
    for number in range(10):
        alert(asset(f"web-{number}"), first_triggered_at=began + number * MINUTE)
    alert(first_triggered_at=began + timedelta(hours=1))
    assert analysed()["noise_analysis"]["alert_storms"] == [
        {"timestamp": "2026-06-13T07:00:00Z", "duration_minutes": 9.0, "alert_count": 10, "affected_assets": 10}
    ]


def test_what_recurs_at_an_hour_and_on_a_day_is_a_pattern(alert):
    for week in range(4):
        for number in range(3):
            alert(first_triggered_at=SATURDAY - timedelta(days=7 * week, hours=2) + number * MINUTE)
    hour, day = analysed()["alert_patterns"]
    assert (hour["pattern_type"], hour["frequency"], hour["impact_score"]) == ("time_of_day", 12, 1.0)
    assert hour["description"] == "12 of 12 alerts began from 10:00 to 10:59 UTC."
    assert (day["pattern_type"], day["description"]) == ("day_of_week", "12 of 12 alerts began on Saturdays (UTC).")


def test_an_alert_that_a_person_marked_is_a_false_positive_however_long_it_lasted(alert):
    alert(**resolved_after(60, SATURDAY - timedelta(days=1), resolution_type="manual", false_positive=True))
    alert(**resolved_after(60, SATURDAY - timedelta(days=1), resolution_type="manual"))
    assert analysed()["alert_statistics"]["false_positive_rate"] == 50.0


def test_rules_that_open_together_are_a_pattern_and_those_that_meet_by_chance_are_not(alert, rule):
    cpu, disk, lone = rule("cpu"), rule("disk"), rule("lone")
    for day in range(12):
        began = SATURDAY - timedelta(days=2 * day + 1, hours=day)
        alert(alert_rule=cpu, first_triggered_at=began)
        alert(alert_rule=disk, first_triggered_at=began + MINUTE)
        alert(alert_rule=lone, first_triggered_at=began + timedelta(hours=6))
    (found,) = [one for one in analysed()["alert_patterns"] if one["pattern_type"] == "co_occurrence"]
    assert (found["frequency"], found["impact_score"]) == (12, 1.0)
    assert {"cpu", "disk"} <= set(found["description"].split())


def test_days_without_alerts_count_none_and_have_no_times(alert):
    alert(**resolved_after(30, SATURDAY - timedelta(days=1), resolution_type="auto"))
    week = Span(SATURDAY - timedelta(days=7), SATURDAY)
    rows = AlertInstance.objects.all()
    alerts, _ = analytics.chart(rows, week, "alerts")["series"]
    assert [value for _, value in alerts["points"]] == [0, 0, 0, 0, 0, 0, 1, 0]
    assert [len(one["points"]) for one in analytics.chart(rows, week, "times")["series"]] == [0, 1]


def test_the_page_shows_the_span_of_its_address_and_gives_each_table_as_csv(alert, asset, signed_in):
    where = asset("=web")
    alert(where, first_triggered_at=SATURDAY - timedelta(days=1))
    client = signed_in(Role.VIEWER)
    query = {"from": "2026-06-01T00:00:00Z", "to": "2026-06-30T00:00:00Z"}
    page = opened(client, PAGE, query)
    assert "=web" in page.text
    assert "Mean time to resolve –" in page.text
    assert "None in this time" in opened(client, PAGE, {"range": "24h"}).text
    assert "send one of" in opened(client, PAGE, {"range": "1y"}).text
    rows = client.get(f"{PAGE}/export", query | {"table": "assets"}).content.decode().splitlines()
    assert rows == ["asset_name,alert_count,critical_alerts,avg_resolution_time", "'=web,1,0,"]
    for refused in ({"range": "1y"}, {"table": "nothing"}):
        assert client.get(f"{PAGE}/export", refused).status_code == 400
    assert queries_of(client, PAGE) <= 16


def test_what_cannot_be_analysed_says_what_to_send(api):
    client = api(Role.VIEWER)
    for url in ("?range=1y", "?day=1", "/chart?chart=x", "/chart?from=2026-01-01"):
        assert client.get(f"/api/monitoring/alerts/analytics{url}").status_code == 400
    assert client.get("/api/monitoring/alerts/analytics/chart?range=7d").json()["series"][0]["label"] == "Alerts"
