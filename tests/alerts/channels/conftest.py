"""A message as channels get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.channels import Message

MOMENT = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
OPENED = Message(
    delivery_id="9d0c0d0a-0000-4000-8000-000000000001",
    event="opened",
    at=MOMENT,
    alert_key="rule:asset",
    alert_id="9d0c0d0a-0000-4000-8000-000000000002",
    title="CPU usage is 93 % on web-01",
    description="It is.",
    severity="high",
    status="open",
    asset_name="web-01",
    environment="production",
    rule_name="High CPU usage",
    trigger_value=93.0,
    threshold_value=80.0,
    first_triggered_at=MOMENT,
    actor="",
    note="",
    runbook_url="",
    business_impact="",
    link="http://127.0.0.1:8000/admin/monitoring/alerts/1",
)


@pytest.fixture
def message() -> Callable[..., Message]:
    """Make a message: `message(event="resolved")`."""

    def make(**columns: Any) -> Message:
        return replace(OPENED, **columns)

    return make
