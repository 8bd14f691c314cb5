"""What tests of alerting share: a receiver of webhooks, a rule, alerts of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from alerts.channels import slack
from alerts.models import AlertInstance, AlertRule
from tests.receivers import Receiver, Slack


def _served(server: Receiver) -> Iterator[Any]:
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    yield from _served(Receiver())


@pytest.fixture
def slack_api(settings, monkeypatch) -> Iterator[Slack]:
    """Slack's Web API, where the channel looks for it."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    server = Slack()
    monkeypatch.setattr(slack, "API", f"http://127.0.0.1:{server.server_port}/api")
    yield from _served(server)


@pytest.fixture
def rule(database: None) -> Callable[..., AlertRule]:
    """Make a rule: `rule("cpu", severity="critical")`."""

    def make(name: str = "cpu", **columns: Any) -> AlertRule:
        condition = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80}
        return AlertRule.objects.create(rule_name=name, **({"metric_conditions": [condition]} | columns))

    return make


@pytest.fixture
def alert(rule: Callable[..., AlertRule], now: Any) -> Callable[..., AlertInstance]:
    """Make an alert that began five minutes ago: `alert(asset, status="resolved", resolved_at=now)`."""

    def make(asset: Any = None, **columns: Any) -> AlertInstance:
        defaults = {
            "alert_rule": columns.get("alert_rule") or AlertRule.objects.filter(rule_name="cpu").first() or rule("cpu"),
            "alert_key": str(uuid4()),
            "alert_title": "CPU is high",
            "alert_description": "It is at 93 %.",
            "severity": "high",
            "first_triggered_at": now - timedelta(minutes=5),
            "last_triggered_at": now,
        }
        return AlertInstance.objects.create(asset=asset, **(defaults | columns))

    return make
