"""Signed webhooks: JSON by POST, with X-WedSync-Signature: t=<unix seconds>,v1=<HMAC-SHA256 of "t.body">."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from alerts.channels import templates
from alerts.channels.base import Message, NotDelivered
from wedsync_monitor import outgoing

# Of a message, what a body does not say.
UNSAID = frozenset({"earlier", "labels"})


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The signature header of `body` sent at `timestamp`."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def values_of(message: Message) -> dict[str, Any]:
    """What a body may say, by its name."""
    values: dict[str, Any] = msgspec.to_builtins(message)
    for ours in UNSAID:
        values.pop(ours)
    return {"version": 1, **values, "headline": message.headline()}


def body_of(config: Mapping[str, Any], message: Message) -> bytes:
    values = values_of(message)
    if template := config.get("template"):
        return msgspec.json.encode(templates.fill(template, values))
    values.pop("headline")
    return msgspec.json.encode(values)


def send(config: Mapping[str, Any], message: Message) -> None:
    body = body_of(config, message)
    headers = {
        **config.get("headers", {}),
        "Content-Type": "application/json",
        "X-WedSync-Event": message.event,
        "X-WedSync-Delivery": message.delivery_id,
    }
    if secret := config.get("secret"):
        headers["X-WedSync-Signature"] = sign(secret, int(time.time()), body)
    post(config["url"], body, headers)


def post(url: str, body: bytes, headers: Mapping[str, str]) -> outgoing.Answer:
    """POST and judge the answer. Raises NotDelivered."""
    try:
        answer = outgoing.request("POST", url, body=body, headers=headers)
    except (outgoing.Forbidden, outgoing.Unreachable) as error:
        # What is forbidden may be allowed, and resolve to something else, a minute later.
        raise NotDelivered(str(error)) from error
    if problem := failure(answer):
        raise problem
    return answer


def failure(answer: outgoing.Answer) -> NotDelivered | None:
    """2xx arrived; 408, 425, 429 and 5xx are worth another try; others are not."""
    if 200 <= answer.status < 300:
        return None
    again = answer.status in (408, 425, 429) or answer.status >= 500
    wish = answer.headers.get("retry-after", "")
    pause = timedelta(seconds=min(int(wish), 3600)) if wish.isdigit() else None
    return NotDelivered(f"the receiver answered {answer.status}", permanent=not again, retry_after=pause)
