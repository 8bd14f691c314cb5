"""Slack incoming webhooks (Block Kit)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.channels import webhook
from alerts.channels.base import Message


def payload(config: Mapping[str, Any], message: Message) -> dict[str, Any]:
    facts = _escape(f"*{message.asset_name}* · {message.environment} · {message.rule_name}")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.headline()[:150]}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": f"{facts}\n{_escape(message.description[:2000])}"[:3000]},
        },
        {"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{message.link}|Open the alert>"}]},
    ]
    named = {"channel": config["channel"]} if config.get("channel") else {}
    return {"text": _escape(message.headline()), "blocks": blocks, **named}


def _escape(text: str) -> str:
    """Text in which Slack finds no mention: a name like <!channel> would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def send(config: Mapping[str, Any], message: Message) -> None:
    body = msgspec.json.encode(payload(config, message))
    webhook.post(config["webhook_url"], body, {"Content-Type": "application/json"})
