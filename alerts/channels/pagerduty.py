"""PagerDuty Events API v2: trigger, acknowledge and resolve under one dedup_key per alert."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.channels import webhook
from alerts.channels.base import Message, NotDelivered

URL = "https://events.pagerduty.com/v2/enqueue"
ACTIONS = {
    "opened": "trigger",
    "unsuppressed": "trigger",
    "flapping": "trigger",
    "acknowledgement_expired": "trigger",
    "escalated": "trigger",
    "acknowledged": "acknowledge",
    "resolved": "resolve",
}
SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}


def dedup_key(alert_key: str) -> str:
    """At most 255 characters, stable for an alert."""
    return alert_key if len(alert_key) <= 255 else hashlib.sha256(alert_key.encode()).hexdigest()


def payload(config: Mapping[str, Any], message: Message, action: str) -> dict[str, Any]:
    details = {
        "description": message.description,
        "rule": message.rule_name,
        "environment": message.environment,
    }
    return {
        "routing_key": config["routing_key"],
        "event_action": action,
        "dedup_key": dedup_key(message.alert_key),
        "links": [{"href": message.link, "text": "Open the alert"}],
        "payload": {
            "summary": message.title[:1024],
            "source": message.asset_name or message.rule_name,
            "severity": SEVERITIES[message.severity],
            "timestamp": message.at.isoformat(),
            "custom_details": details,
        },
    }


def send(config: Mapping[str, Any], message: Message) -> None:
    action = ACTIONS.get(message.event)
    if action is None:
        raise NotDelivered(f"PagerDuty has no word for {message.event}", permanent=True)
    event = payload(config, message, action)
    webhook.post(URL, msgspec.json.encode(event), {"Content-Type": "application/json"})
