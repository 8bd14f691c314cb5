"""A configuration with a row of every kind, and files of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from alerts.models import AlertRule, EscalationPolicy, MaintenanceWindow, OnCallSchedule
from remediation.models import RemediationAction
from synthetic.models import SyntheticCheck
from wedsync_monitor.configuration import applying, entries
from wedsync_monitor.configuration.applying import Change, Order

TOKEN = "xoxb-a-token-that-nobody-sees"


@pytest.fixture
def furnished(asset, person, now):
    """A row of every kind, which name one another, an asset and a person."""
    person(username="ada")
    web = asset("web-01")
    OnCallSchedule.objects.create(
        schedule_name="platform", layers=[{"users": ["ada"], "starts_at": "2026-01-05T09:00"}]
    )
    policy = EscalationPolicy.objects.create(
        policy_name="night shift",
        escalation_steps=[{"delay_minutes": 5, "schedules": ["platform"]}],
        business_hours={"timezone": "Europe/Berlin", "days": ["mon"], "start": "09:30", "end": "17:00"},
    )
    slack = {"type": "slack", "config": {"bot_token": TOKEN, "channel": "#ops"}}
    condition = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 90}
    AlertRule.objects.create(
        rule_name="High CPU", severity="high", metric_conditions=[condition], escalation_policy=policy,
        rule_description="Busy.\nLook at the queue first.", notification_channels=[slack],
        asset_filter={"tags": {"tier": "web"}, "environments": ["production"]},
    )  # fmt: skip
    AlertRule.objects.create(
        rule_name="A busy host that is down", alert_type="composite", metric_conditions=[],
        composite_config={"parts": [{"kind": "rule", "rule_name": "High CPU", "on": "upstream"}]},
    )  # fmt: skip
    MaintenanceWindow.objects.create(
        window_name="upgrade", start_time=now + timedelta(days=1), end_time=now + timedelta(days=1, hours=2),
        affected_assets=[str(web.pk)], recurrence_config={"rrule": "FREQ=WEEKLY", "timezone": "Europe/London"},
    )  # fmt: skip
    MaintenanceWindow.objects.create(
        window_name="long ago", start_time=now - timedelta(days=2), end_time=now - timedelta(days=1)
    )
    SyntheticCheck.objects.create(
        check_name="home", check_type="http", target_url="https://example.com", check_config={"headers": {"X": TOKEN}}
    )
    undo = RemediationAction.objects.create(
        action_name="scale down", action_type="scale_resource", action_config={"resource_type": "web"}
    )
    RemediationAction.objects.create(
        action_name="restart", action_type="restart_service", action_config={"service_name": "web"},
        target_assets=[str(web.pk)], rollback_action=undo,
    )  # fmt: skip


@pytest.fixture
def files(now) -> Callable[..., list[Change]]:
    """Apply the text of a file, or plan it."""

    def run(said: str, do: Any = applying.apply, prune: bool = False, **more: Any) -> list[Change]:
        order = {"person": None, "variables": {}} | more
        return do(Order(entries.read([("rules.yaml", said)]), prune, now=now, **order))

    return run
