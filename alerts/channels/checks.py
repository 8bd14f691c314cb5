"""What is wrong with channels beyond their structure, wherever they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from django.core.exceptions import ValidationError

from alerts.channels import templates, webhook
from alerts.channels.base import Message
from wedsync_monitor import secrets

# What a webhook's template may say.
PLACEHOLDERS = frozenset(one.name for one in fields(Message)) - webhook.UNSAID | {"version", "headline"}


def check_channels(value: Any) -> None:
    """Raises ValidationError where a channel somewhere in `value` could never send."""
    for kind, config in _channels_in(value):
        if kind == "apprise" and (problem := _problem_with_url(config["url"])):
            raise ValidationError(f"{problem} - at `$.config.url`", code="channel")
        if (template := config.get("template")) and (problem := templates.problem_with(template, PLACEHOLDERS)):
            raise ValidationError(f"{problem} - at `$.config.template`", code="channel")


def _channels_in(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and isinstance(value.get("config"), dict) and "type" in value:
        yield value["type"], value["config"]
    for item in items:
        yield from _channels_in(item)


def _problem_with_url(url: str) -> str | None:
    # Most processes never see such a channel, and the package is slow to load.
    from alerts.channels import apprise

    try:
        return apprise.problem_with(secrets.open_text(url))
    except secrets.Unreadable:
        return None  # whoever sends says so
