"""Channels by their type: how a message travels, one module each. Whether to send is alerts.notification's to say."""

from alerts.channels import email, pagerduty, slack, webhook
from alerts.channels.base import Channel, Message, NotDelivered

CHANNELS: dict[str, Channel] = {
    "email": email.send,
    "slack": slack.send,
    "pagerduty": pagerduty.send,
    "webhook": webhook.send,
}

__all__ = ["CHANNELS", "Channel", "Message", "NotDelivered"]
