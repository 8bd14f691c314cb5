"""When a check runs at a location: at its own slots of its frequency, so that many spread out and nothing drifts. Pure:
no Django, no clock.

Slots lie on a grid that the check's and the location's names choose; the next one is always of the grid, however late a
run was. A slot that was missed is counted, and never made up for.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from assets.scraping import schedule

# Between the attempts of one run.
RETRY_PAUSE_SECONDS = 1.0
# What a run takes beyond its attempts: to be stored.
_GRACE = timedelta(seconds=15)


def slot_after(check_id: object, location: str, every: timedelta, now: datetime) -> datetime:
    """The first slot of the check at the location after `now`."""
    return schedule.next_slot(f"{check_id} {location}", every, now)


def offset_of(check_id: object, location: str, every: timedelta) -> timedelta:
    """Where the slots lie: whole intervals after 1970 and so much more."""
    return schedule.offset_of(f"{check_id} {location}", every)


def missed_slots(due_at: datetime, now: datetime, every: timedelta) -> int:
    """How many slots have passed from the one that was due until the one that is run now."""
    return max((now - due_at) // every, 0)


def longest_run(timeout_seconds: int, retry_attempts: int) -> timedelta:
    """How long a run takes at most, with all of its attempts."""
    return timedelta(seconds=(timeout_seconds + RETRY_PAUSE_SECONDS) * (retry_attempts + 1))


def lease(timeout_seconds: int, retry_attempts: int) -> timedelta:
    """How long nobody else runs what was claimed: where its runner dies, it is due again after that."""
    return longest_run(timeout_seconds, retry_attempts) + _GRACE
