"""Webhooks as an Alertmanager sends them (payload version 4), for receivers that are there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.channels import webhook
from alerts.channels.base import Message
from alerts.external.wire import fingerprint


def payload(message: Message) -> dict[str, Any]:
    status = "resolved" if message.event == "resolved" else "firing"
    labels = dict(message.labels) | {"alertname": message.rule_name, "severity": message.severity}
    labels |= {"environment": message.environment} if message.environment else {}
    if message.asset_name:
        labels.setdefault("instance", message.asset_name)
    annotations = {"summary": message.title, "description": message.description}
    annotations |= {"runbook_url": message.runbook_url} if message.runbook_url else {}
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": message.first_triggered_at,
        "endsAt": message.at if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": message.link,
        "fingerprint": fingerprint({"alert_key": message.alert_key})[:16],
    }
    return {
        "version": "4",
        "groupKey": message.alert_key,
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "wedsync-monitor",
        "groupLabels": {"alertname": message.rule_name},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": message.link.partition("/admin/")[0],
        "alerts": [alert],
    }


def send(config: Mapping[str, Any], message: Message) -> None:
    headers = {**config.get("headers", {}), "Content-Type": "application/json"}
    webhook.post(config["url"], msgspec.json.encode(payload(message)), headers)
