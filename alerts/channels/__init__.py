"""Channels by their type: how a message travels, one module each. Whether to send is alerts.notification's to say."""

from collections.abc import Mapping
from typing import Any

from alerts.channels import alertmanager, email, pagerduty, slack, webhook
from alerts.channels.base import Channel, Message, NotDelivered


def _apprise(config: Mapping[str, Any], message: Message) -> None:
    # Most processes never send by it, and the package is slow to load.
    from alerts.channels import apprise

    apprise.send(config, message)


CHANNELS: dict[str, Channel] = {
    "email": email.send,
    "slack": slack.send,
    "pagerduty": pagerduty.send,
    "webhook": webhook.send,
    "apprise": _apprise,
    "alertmanager": alertmanager.send,
}

__all__ = ["CHANNELS", "Channel", "Message", "NotDelivered"]
