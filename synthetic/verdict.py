"""From results to a verdict: at one location after the check's thresholds, and over its locations by quorum. Pure: no
Django, no clock.

1. A result that says nothing about the target (its prober is cut off, the check cannot be run as it is written) leaves
   the verdict as it is. A location whose last result is too old is unknown: a prober that died is no target that is
   down, and its last verdict is none that still holds.
2. Over several locations a check is down where at least half of those that know say so, and at least two of them: one
   location alone is confirmed by another first. Where only one knows, its verdict counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

# What a location may be late beyond its turns: queues, clocks, the way of an agent's results.
_SLACK = timedelta(seconds=60)


class State(StrEnum):
    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Seen(StrEnum):
    """What a result says of its target."""

    GOOD = "good"
    BAD = "bad"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Thresholds:
    """How many failures in a row make a target down, and how many successes in a row make it up again."""

    failures: int = 1
    successes: int = 1


@dataclass(frozen=True)
class Verdict:
    """How a target stands, as seen from one location."""

    state: State = State.UNKNOWN
    since: datetime | None = None
    failures_in_a_row: int = 0
    successes_in_a_row: int = 0


# The state after so many results of a kind in a row as its threshold says; what is not here changes nothing.
_AFTER: Mapping[tuple[State, Seen], State] = {
    (State.UNKNOWN, Seen.GOOD): State.UP,
    (State.UNKNOWN, Seen.BAD): State.DOWN,
    (State.UP, Seen.BAD): State.DOWN,
    (State.DOWN, Seen.GOOD): State.UP,
}


def after(verdict: Verdict, seen: Seen, thresholds: Thresholds, at: datetime) -> Verdict:
    """The verdict after one more result. What was never seen before is up with its first success."""
    if seen is Seen.NOTHING:
        return verdict
    is_good = seen is Seen.GOOD
    counted = replace(
        verdict,
        failures_in_a_row=0 if is_good else verdict.failures_in_a_row + 1,
        successes_in_a_row=verdict.successes_in_a_row + 1 if is_good else 0,
    )
    successes = 1 if verdict.state is State.UNKNOWN else thresholds.successes
    enough = counted.successes_in_a_row >= successes if is_good else counted.failures_in_a_row >= thresholds.failures
    state = _AFTER.get((verdict.state, seen), verdict.state) if enough else verdict.state
    return counted if state is verdict.state else replace(counted, state=state, since=at)


def stale_after(every: timedelta, longest_run: timedelta) -> timedelta:
    """How old the last result of a location may be while its verdict still holds: one turn may be missed."""
    return 2 * every + longest_run + _SLACK


def over(states: Iterable[State]) -> State:
    """The verdict over all locations of a check."""
    known = [state for state in states if state is not State.UNKNOWN]
    if not known:
        return State.UNKNOWN
    down = known.count(State.DOWN)
    needed = 1 if len(known) == 1 else max(2, -(-len(known) // 2))
    return State.DOWN if down >= needed else State.UP
