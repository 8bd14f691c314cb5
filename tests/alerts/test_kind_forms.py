"""The console's forms for absence and composite rules."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from alerts.models import AlertRule
from tests.pages import opened
from wedsync_monitor.policy import Role


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("absence", {"metric_name": "cpu_usage_percent", "when": "stopped"}),
        ("composite", {"require": "any", "parts": [{"kind": "check", "check_name": "home"}]}),
    ],
)
def test_absence_and_composite_rules_are_written_on_their_own_forms(sre, kind, config):
    new = reverse("console:rule-new") + f"?type={kind}"
    assert f"Type: {kind.capitalize()}" not in opened(sre, new).text  # it is not there yet
    body = {"rule_name": kind, "severity": "high", "evaluation_frequency": 60, "consecutive_breaches": 2,
            "is_enabled": "on", f"{kind}_config": json.dumps(config)}  # fmt: skip
    answer = sre.post(new, body)
    assert answer.status_code == 302
    rule = AlertRule.objects.get()
    assert (rule.alert_type, getattr(rule, f"{kind}_config"), rule.metric_conditions) == (kind, config, [])
    assert rule.threshold_config == {"consecutive_breaches": 2}
    page = reverse("console:rule", args=[rule.pk])
    assert f"Type: {kind.capitalize()}" in opened(sre, page).text
    wrong = sre.post(page, body | {f"{kind}_config": "{}"})
    assert (wrong.status_code, "Send" in wrong.content.decode()) == (422, True)
    assert kind in opened(sre, reverse("console:rules")).text
