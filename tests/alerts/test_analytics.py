"""What analytics say of stored alerts, and that they say nothing of what is not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts import analytics
from alerts.models import AlertInstance

pytestmark = pytest.mark.usefixtures("database")
# A Saturday, in the season.
SATURDAY = datetime(2026, 6, 13, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def analysed() -> dict:
    return analytics.analyse(AlertInstance.objects.all(), SATURDAY)


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
