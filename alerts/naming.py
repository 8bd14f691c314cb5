"""Channels as they are told apart and shown."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import msgspec

from alerts import conditions
from wedsync_monitor import secrets


def channel_key(channel: dict[str, Any]) -> str:
    """A channel by its type and a digest of its address: the same receiver wherever it stands on the rule."""
    address = msgspec.convert(channel, conditions.Channel).config.address
    # What cannot be opened tells receivers apart as it is: the message is tried, and says what is wrong.
    with suppress(secrets.Unreadable):
        address = secrets.reveal(address)
    return f"{channel['type']}-{hashlib.sha256(repr(address).encode()).hexdigest()[:8]}"


def shown_channel(channel: dict[str, Any]) -> str:
    """A channel as people know it, its address masked: "email o…@example.com"."""
    return f"{channel['type']} {msgspec.convert(channel, conditions.Channel).config.shown}".strip()
