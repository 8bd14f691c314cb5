"""When a target is read: at its own slots of its interval, so that many spread out and nothing drifts. Pure: no Django,
no clock."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def offset_of(identity: str, interval: timedelta) -> timedelta:
    """Where in the interval the slots of a target lie: anywhere, and always at the same place."""
    drawn = int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest())
    return timedelta(microseconds=drawn % (interval // _MICROSECOND))


def next_slot(identity: str, interval: timedelta, now: datetime) -> datetime:
    """The first slot after `now`. Slots that were missed are over: nothing is made up for."""
    offset = offset_of(identity, interval)
    passed = (now - _EPOCH - offset) // interval
    return _EPOCH + offset + (passed + 1) * interval
