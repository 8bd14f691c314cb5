"""What a live alert waits for, in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from alerts import explanation
from alerts.models import AlertInstance, AlertRule
from tests.pages import opened
from wedsync_monitor.policy import Role

AT = datetime(2026, 6, 6, 12, 0, tzinfo=UTC)
CPU = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80}


@pytest.mark.parametrize(
    ("rule", "alert", "text"),
    [
        ({"threshold_config": {"consecutive_breaches": 5}}, {"status": "pending", "breach_count": 3},
         "3 of 5 breaches in a row."),
        ({"threshold_config": {"recovery_threshold": 70}}, {"status": "open"}, "Recovers at 70 % or below."),
        ({"threshold_config": {"keep_firing_seconds": 120}}, {"status": "open"},
         "Recovers at 80 % or below for 2 min."),
        ({"threshold_config": {"keep_firing_seconds": 120}}, {"status": "acknowledged", "clear_since": AT},
         "Recovered since 2026-06-06 12:00:00 UTC; ends at 2026-06-06 12:02:00 UTC."),
        ({"metric_conditions": [CPU | {"operator": "lte", "threshold": 5}]}, {"status": "open"}, "Recovers above 5 %."),
        ({}, {"status": "open", "missing_since": AT},
         "Recovers at 80 % or below; without data since 2026-06-06 12:00:00 UTC."),
        ({"auto_resolve_timeout": 3600}, {"status": "suppressed", "opened_at": AT},
         "Recovers at 80 % or below. Ends at 2026-06-06 13:00:00 UTC whatever happens."),
        ({"metric_conditions": [CPU, {"metric_name": "memory_usage_percent", "operator": "gte", "threshold": 90}]},
         {"status": "open"}, "Recovers CPU usage at 80 % or below or Memory usage below 90 %."),
        ({"alert_type": "absence"}, {"status": "open"}, "Recovers when data is back."),
        ({"alert_type": "composite"}, {"status": "open"}, "Recovers when its parts no longer hold."),
        ({}, {"status": "resolved"}, ""),
    ],
)  # fmt: skip
def test_an_alert_says_what_it_waits_for(rule, alert, text):
    columns = {"metric_conditions": [CPU]} | rule
    assert explanation.of_alert(AlertInstance(**alert), AlertRule(**columns)) == text


def test_it_stands_on_the_alert_and_on_its_rule(signed_in, asset, rule, alert):
    cpu = rule("cpu", threshold_config={"recovery_threshold": 70, "consecutive_breaches": 5})
    shown = alert(asset("web"), alert_rule=cpu)
    alert(asset("db"), alert_rule=cpu, status="pending", breach_count=3)
    sre = signed_in(Role.SRE)
    assert "Recovers at 70 % or below." in opened(sre, reverse("console:alert", args=[shown.pk])).text
    page = opened(sre, reverse("console:rule", args=[cpu.pk])).text
    assert "Recovers at 70 % or below." in page
    assert "3 of 5 breaches in a row." in page
    told = sre.get(f"/api/monitoring/alerts/instances/{shown.pk}").json()
    assert told["explanation"] == "Recovers at 70 % or below."
