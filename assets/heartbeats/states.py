"""How a heartbeat stands: what a ping changes, and what time alone does. Pure: no Django, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    NEW = "new"  # never finished a run
    UP = "up"
    LATE = "late"  # expected, and still within the grace
    DOWN = "down"
    PAUSED = "paused"


class Ping(StrEnum):
    """What a job says of itself."""

    SUCCESS = "success"
    START = "start"
    FAIL = "fail"
    LOG = "log"


# When the job is expected after a moment: a period later, or at the next time of a cron expression.
NextDue = Callable[[datetime], datetime]


@dataclass(frozen=True)
class Standing:
    """What is known of a heartbeat. `expected_from` is the moment from which the next success is reckoned: the last
    success, or when it was resumed; None before both."""

    expected_from: datetime | None = None
    started_at: datetime | None = None  # of a run that has not ended
    has_failed: bool = False  # the last run that ended
    is_paused: bool = False
    due_at: datetime | None = None
    down_at: datetime | None = None


def state_of(standing: Standing, now: datetime) -> State:
    """How it stands at `now`."""
    if standing.is_paused:
        return State.PAUSED
    if standing.has_failed or (standing.down_at is not None and now >= standing.down_at):
        return State.DOWN
    if standing.due_at is None:
        return State.NEW
    return State.UP if now < standing.due_at else State.LATE


def reckoned(standing: Standing, next_due: NextDue, grace: timedelta) -> Standing:
    """The same with its deadlines: when it is due, and when it is down unless something comes. A run that started has
    the grace to end."""
    due_at = next_due(standing.expected_from) if standing.expected_from is not None else None
    ends = [moment + grace for moment in (due_at, standing.started_at) if moment is not None]
    return replace(standing, due_at=due_at, down_at=min(ends, default=None))


def after_ping(standing: Standing, ping: Ping, now: datetime) -> Standing:
    """What `ping` at `now` makes of it; the deadlines are to be reckoned anew."""
    if ping == Ping.START:
        return replace(standing, started_at=now)
    if ping == Ping.SUCCESS:
        return replace(standing, expected_from=now, started_at=None, has_failed=False)
    if ping == Ping.FAIL:
        return replace(standing, started_at=None, has_failed=True)
    return standing


def resumed(standing: Standing, now: datetime) -> Standing:
    """Monitoring begins anew: what was missed while it was paused is nobody's alarm."""
    began = now if standing.expected_from is not None else None
    return replace(standing, is_paused=False, expected_from=began, started_at=None)


def next_change(standing: Standing, now: datetime) -> datetime | None:
    """When its state changes by time alone; None where it does not."""
    if standing.is_paused or standing.has_failed:
        return None
    coming = [moment for moment in (standing.due_at, standing.down_at) if moment is not None and moment > now]
    return min(coming, default=None)


# What the series `heartbeat_up` says; a state that is not here has no sample.
UP_VALUES = {State.UP: 1.0, State.LATE: 1.0, State.DOWN: 0.0}
