"""Slack in Block Kit: by an incoming webhook, or by a bot that keeps one message per alert up to date.

A bot's first message of an alert is changed with every later one, which also appears in its thread; in the channel
itself only where people are asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from alerts.channels import webhook
from alerts.channels.base import Message, NotDelivered
from wedsync_monitor import outgoing

API = "https://slack.com/api"
# Answers that another try does not change.
FINAL = frozenset(
    {"account_inactive", "channel_not_found", "invalid_auth", "invalid_blocks", "is_archived", "missing_scope"}
    | {"no_permission", "not_authed", "not_in_channel", "restricted_action", "token_expired", "token_revoked"}
)
# The alert's message is not there any more: it begins anew.
GONE = frozenset({"cant_update_message", "edit_window_closed", "message_not_found", "thread_not_found"})
ASKS_AGAIN = frozenset({"unsuppressed", "flapping", "acknowledgement_expired"})


def blocks(message: Message) -> list[dict[str, Any]]:
    facts = " · ".join(part for part in (message.environment, message.rule_name) if part)
    place = _escape(f"*{message.asset_name}* · {facts}" if message.asset_name else facts)
    said = [{"type": "mrkdwn", "text": f"<{message.link}|Open the alert>"}]
    if message.acknowledge_link:
        said.append({"type": "mrkdwn", "text": f"<{message.acknowledge_link}|Acknowledge>"})
    if message.note:
        said.append({"type": "mrkdwn", "text": _escape(f"{message.actor}: {message.note}".removeprefix(": "))[:2000]})
    return [
        {"type": "header", "text": {"type": "plain_text", "text": message.headline()[:150]}},
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": f"{place}\n{_escape(message.description[:2000])}"[:3000]},
        },
        {"type": "context", "elements": said},
    ]


def payload(config: Mapping[str, Any], message: Message) -> dict[str, Any]:
    named = {"channel": config["channel"]} if config.get("channel") else {}
    return {"text": _escape(message.headline()), "blocks": blocks(message), **named}


def _escape(text: str) -> str:
    """Text in which Slack finds no mention: a name like <!channel> would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def send(config: Mapping[str, Any], message: Message) -> str | None:
    """Answers what the bot's message is known by, channel and time stamp; nothing for an incoming webhook."""
    if config.get("bot_token"):
        return _keep_up(config, message)
    body = msgspec.json.encode(payload(config, message))
    webhook.post(config["webhook_url"], body, {"Content-Type": "application/json"})
    return None


def _keep_up(config: Mapping[str, Any], message: Message) -> str:
    channel, _, stamp = message.earlier.partition(":")
    if not stamp:
        return _begin(config, message)
    now = payload({"channel": channel}, message)
    try:
        # The change first: it can be repeated, the line in the thread cannot.
        _call("chat.update", config["bot_token"], now | {"ts": stamp})
    except _Gone:
        return _begin(config, message)
    again = {"reply_broadcast": True} if message.event in ASKS_AGAIN else {}
    _call("chat.postMessage", config["bot_token"], now | {"thread_ts": stamp} | again)
    return message.earlier


def _begin(config: Mapping[str, Any], message: Message) -> str:
    answer = _call("chat.postMessage", config["bot_token"], payload(config, message))
    return f"{answer.get('channel', config['channel'])}:{answer.get('ts', '')}"


class _Gone(NotDelivered):
    """The message that was to be changed is not there."""


def _call(method: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
    """Slack says in the body whether it took what it answers 200 to. Raises NotDelivered."""
    headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": f"Bearer {token}"}
    said = _read(webhook.post(f"{API}/{method}", msgspec.json.encode(body), headers))
    if said.get("ok") is True:
        return said
    error = str(said.get("error", "something that is not understood"))[:100]
    if error in GONE:
        raise _Gone(f"Slack answered {error}")
    pause = timedelta(seconds=30) if error in ("ratelimited", "rate_limited") else None
    raise NotDelivered(f"Slack answered {error}", permanent=error in FINAL, retry_after=pause)


def _read(answer: outgoing.Answer) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
