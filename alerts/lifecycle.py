"""An alert's life as one table of transitions and two pure decisions. No Django, no clock: `now` is an argument.

inactive → pending → open → acknowledged → resolved, `suppressed` beside them. Missing data is a state of its own: it
neither resets a pending alert nor resolves an open one. What flaps is one alert that is suppressed until it settles:
clear values do not end it before, and what is bad then is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from alerts.flapping import Flips, Marks


class State(StrEnum):
    INACTIVE = "inactive"
    PENDING = "pending"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SUPPRESSED = "suppressed"
    RESOLVED = "resolved"


class Event(StrEnum):
    """What may happen to an alert; the values are the kinds of AlertEvent rows."""

    PENDING = "pending"
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement_expired"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    DATA_MISSING = "data_missing"
    DATA_BACK = "data_back"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    SNOOZED = "snoozed"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    FLAPPING = "flapping"


class Finding(StrEnum):
    """What an evaluation found: the condition holds, is over, is between the two thresholds, or has no data."""

    BREACHED = "breached"
    CLEARED = "cleared"
    BETWEEN = "between"
    MISSING = "missing"


class Refused(Exception):
    """An operator's action that the alert's state does not allow; the text says why."""


TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.INACTIVE, Event.PENDING): State.PENDING,
        (State.INACTIVE, Event.OPENED): State.OPEN,
        (State.INACTIVE, Event.SUPPRESSED): State.SUPPRESSED,
        (State.PENDING, Event.OPENED): State.OPEN,
        (State.PENDING, Event.SUPPRESSED): State.SUPPRESSED,
        (State.OPEN, Event.ACKNOWLEDGED): State.ACKNOWLEDGED,
        (State.OPEN, Event.SUPPRESSED): State.SUPPRESSED,
        (State.OPEN, Event.RESOLVED): State.RESOLVED,
        (State.OPEN, Event.DATA_MISSING): State.OPEN,
        (State.OPEN, Event.DATA_BACK): State.OPEN,
        (State.ACKNOWLEDGED, Event.ACKNOWLEDGED): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Event.ACKNOWLEDGEMENT_EXPIRED): State.OPEN,
        (State.ACKNOWLEDGED, Event.SUPPRESSED): State.SUPPRESSED,
        (State.ACKNOWLEDGED, Event.RESOLVED): State.RESOLVED,
        (State.ACKNOWLEDGED, Event.DATA_MISSING): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Event.DATA_BACK): State.ACKNOWLEDGED,
        (State.SUPPRESSED, Event.UNSUPPRESSED): State.OPEN,
        (State.SUPPRESSED, Event.RESOLVED): State.RESOLVED,
        (State.SUPPRESSED, Event.DATA_MISSING): State.SUPPRESSED,
        (State.SUPPRESSED, Event.DATA_BACK): State.SUPPRESSED,
        **{(state, Event.FLAPPING): State.SUPPRESSED for state in (State.INACTIVE, State.PENDING, State.SUPPRESSED)},
        (State.OPEN, Event.ESCALATED): State.OPEN,
        (State.OPEN, Event.SNOOZED): State.SUPPRESSED,
        (State.ACKNOWLEDGED, Event.SNOOZED): State.SUPPRESSED,
        (State.SUPPRESSED, Event.SNOOZED): State.SUPPRESSED,
        **{(state, Event.ASSIGNED): state for state in (State.OPEN, State.ACKNOWLEDGED, State.SUPPRESSED)},
        **{
            (state, Event.COMMENTED): state
            for state in (State.OPEN, State.ACKNOWLEDGED, State.SUPPRESSED, State.RESOLVED)
        },
    }
)


@dataclass(frozen=True)
class Terms:
    """What a rule says about opening and ending."""

    consecutive_breaches: int = 1
    keep_firing: timedelta = timedelta(0)
    auto_resolve: timedelta | None = None
    # A pending alert without data for so long is given up: it had not been told to anybody.
    patience: timedelta = timedelta(minutes=15)
    flapping: Marks | None = None


@dataclass(frozen=True)
class Snapshot:
    """A live alert as the last evaluation left it."""

    state: State
    breach_count: int = 0
    opened_at: datetime | None = None
    clear_since: datetime | None = None
    missing_since: datetime | None = None
    acknowledged_until: datetime | None = None
    snoozed_until: datetime | None = None
    flips: Flips = ()  # when the trouble began and ended lately, over all its alerts
    flapping_since: datetime | None = None


@dataclass(frozen=True)
class Observation:
    """What this evaluation found, and why nobody is to be told now (empty where people are)."""

    finding: Finding
    suppressed: str = ""


@dataclass(frozen=True)
class Transition:
    """The next state, the events that lead there in order, and the columns that change; `gone` drops the row."""

    state: State
    events: tuple[Event, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    resolution_type: str | None = None
    gone: bool = False
    note: str = ""


def follow(state: State, event: Event) -> State:
    """The state after `event`. Raises Refused where the table has no such transition."""
    try:
        return TRANSITIONS[state, event]
    except KeyError as error:
        raise Refused(f"an alert that is {state} cannot be {event.replace('_', ' ')}") from error


def decide(
    snapshot: Snapshot | None, seen: Observation, terms: Terms, now: datetime, flips: Flips = ()
) -> Transition | None:
    """What an evaluation does to an alert; None where nothing is to be written. `flips` are those of earlier alerts of
    the same trouble, where this one is not open yet."""
    if snapshot is None or snapshot.state is State.PENDING:
        return _before_opening(snapshot, seen, terms, now, flips)
    if _run_out(snapshot, terms, now):
        # Nothing says that the trouble is over: what opens next is no change.
        changes = {"flips": ()} if snapshot.flips else {}
        return Transition(follow(snapshot.state, Event.RESOLVED), (Event.RESOLVED,), changes, resolution_type="timeout")
    if snapshot.flapping_since is not None:
        return _while_flapping(snapshot, seen, terms, now)
    ended = _ending(snapshot, seen, terms, now)
    if ended is not None:
        return ended
    return _living_on(snapshot, seen, terms, now)


def _before_opening(
    snapshot: Snapshot | None, seen: Observation, terms: Terms, now: datetime, flips: Flips
) -> Transition | None:
    state = snapshot.state if snapshot else State.INACTIVE
    if seen.finding is Finding.BREACHED:
        count = (snapshot.breach_count if snapshot else 0) + 1
        changes: dict[str, Any] = {"breach_count": count, "missing_since": None}
        if count < terms.consecutive_breaches:
            events = () if snapshot else (Event.PENDING,)
            return Transition(State.PENDING, events, changes)
        changes |= {"opened_at": now} | _flipped(flips, terms, now)
        if not seen.suppressed and terms.flapping and terms.flapping.begins(changes["flips"], now):
            return _begins_to_flap(state, changes, terms.flapping, now)
        event = Event.SUPPRESSED if seen.suppressed else Event.OPENED
        return Transition(follow(state, event), (event,), changes, note=seen.suppressed)
    if snapshot is None:
        return None
    if seen.finding is not Finding.MISSING:
        return Transition(State.INACTIVE, gone=True)
    if snapshot.missing_since is None:
        return Transition(State.PENDING, changes={"missing_since": now})
    return Transition(State.INACTIVE, gone=True) if now - snapshot.missing_since > terms.patience else None


def _flipped(flips: Flips, terms: Terms, now: datetime) -> dict[str, Any]:
    return {"flips": (*terms.flapping.recent(flips, now), now)} if terms.flapping else {}


def _begins_to_flap(state: State, changes: dict[str, Any], marks: Marks, now: datetime) -> Transition:
    changes |= {"flapping_since": now}
    note = marks.reason(changes["flips"], now)
    return Transition(follow(state, Event.FLAPPING), (Event.FLAPPING,), changes, note=note)


def _while_flapping(snapshot: Snapshot, seen: Observation, terms: Terms, now: datetime) -> Transition | None:
    """Nothing is told until so few changes are left that it has settled. What is good then is over, once it is for the
    keep-firing time; what is bad is told; what is not known is waited for."""
    changes, flips = _marks(snapshot, seen, now), snapshot.flips
    was_bad, is_clear = snapshot.clear_since is None, seen.finding is Finding.CLEARED
    if seen.finding is not Finding.MISSING and was_bad == is_clear:
        changes |= _flipped(flips, terms, now)
        flips = changes.get("flips", flips)
    settled = terms.flapping is None or terms.flapping.is_over(flips, now)
    if settled and (ended := _ending(snapshot, seen, terms, now)):
        return replace(ended, changes={**changes, **ended.changes, "flips": flips, "flapping_since": None})
    events = tuple(_data_events(snapshot, seen))
    if settled and seen.finding in (Finding.BREACHED, Finding.BETWEEN):
        changes["flapping_since"] = None
        if not seen.suppressed and not _snoozed(snapshot, now):
            events += (Event.UNSUPPRESSED,)
            changes["snoozed_until"] = None
    state = State.OPEN if Event.UNSUPPRESSED in events else snapshot.state
    return Transition(state, events, changes) if events or changes else None


def _run_out(snapshot: Snapshot, terms: Terms, now: datetime) -> bool:
    opened = snapshot.opened_at
    return terms.auto_resolve is not None and opened is not None and now - opened >= terms.auto_resolve


def _ending(snapshot: Snapshot, seen: Observation, terms: Terms, now: datetime) -> Transition | None:
    """The alert is over once it has been clear without a break for the keep-firing time."""
    if seen.finding is not Finding.CLEARED:
        return None
    since = snapshot.clear_since if snapshot.clear_since and snapshot.clear_since <= now else now
    if now - since < terms.keep_firing:
        return None
    changes = {"clear_since": since, "missing_since": None} | _flipped(snapshot.flips, terms, now)
    return Transition(follow(snapshot.state, Event.RESOLVED), (Event.RESOLVED,), changes, resolution_type="auto")


def _living_on(snapshot: Snapshot, seen: Observation, terms: Terms, now: datetime) -> Transition | None:
    state, events, changes = snapshot.state, [], _marks(snapshot, seen, now)
    due = _due_events(snapshot, seen, now)
    if Event.UNSUPPRESSED in due and terms.flapping and terms.flapping.begins(snapshot.flips, now):
        # What began to flap while it was held back for another reason.
        changes["flips"] = snapshot.flips
        return _begins_to_flap(state, changes, terms.flapping, now)
    for event in due:
        state = follow(state, event)
        events.append(event)
        if event is Event.ACKNOWLEDGEMENT_EXPIRED:
            changes["acknowledged_until"] = None
        if event is Event.UNSUPPRESSED and snapshot.snoozed_until is not None:
            changes["snoozed_until"] = None
    note = seen.suppressed if Event.SUPPRESSED in events else ""
    return Transition(state, tuple(events), changes, note=note) if events or changes else None


def _due_events(snapshot: Snapshot, seen: Observation, now: datetime) -> list[Event]:
    due = _data_events(snapshot, seen)
    if seen.suppressed and snapshot.state is not State.SUPPRESSED:
        due.append(Event.SUPPRESSED)
    elif not seen.suppressed and snapshot.state is State.SUPPRESSED and not _snoozed(snapshot, now):
        due.append(Event.UNSUPPRESSED)
    elif _acknowledgement_over(snapshot, now):
        due.append(Event.ACKNOWLEDGEMENT_EXPIRED)
    return due


def _data_events(snapshot: Snapshot, seen: Observation) -> list[Event]:
    if seen.finding is Finding.MISSING:
        return [Event.DATA_MISSING] if snapshot.missing_since is None else []
    return [Event.DATA_BACK] if snapshot.missing_since is not None else []


def _acknowledgement_over(snapshot: Snapshot, now: datetime) -> bool:
    until = snapshot.acknowledged_until
    return snapshot.state is State.ACKNOWLEDGED and until is not None and until <= now


def _snoozed(snapshot: Snapshot, now: datetime) -> bool:
    return snapshot.snoozed_until is not None and snapshot.snoozed_until > now


def _marks(snapshot: Snapshot, seen: Observation, now: datetime) -> dict[str, Any]:
    """The columns that remember since when the alert is clear or without data."""
    wanted = {
        "missing_since": (snapshot.missing_since or now) if seen.finding is Finding.MISSING else None,
        # A gap in the data leaves the clear time standing; a value that is not clear begins it anew.
        "clear_since": {
            Finding.CLEARED: snapshot.clear_since or now,
            Finding.MISSING: snapshot.clear_since,
        }.get(seen.finding),
    }
    marks = {name: value for name, value in wanted.items() if getattr(snapshot, name) != value}
    if seen.finding is Finding.BREACHED:
        marks["last_triggered_at"] = now
    return marks


def decide_acknowledge(snapshot: Snapshot, minutes: int | None, now: datetime) -> Transition:
    """A person takes the alert on, for `minutes` at most where given. Raises Refused."""
    until = now + timedelta(minutes=minutes) if minutes else None
    state = follow(snapshot.state, Event.ACKNOWLEDGED)
    return Transition(state, (Event.ACKNOWLEDGED,), {"acknowledged_at": now, "acknowledged_until": until})


def decide_resolve(snapshot: Snapshot, resolution_type: str) -> Transition:
    """A person says that it is over. Raises Refused."""
    changes = {"flips": ()} if snapshot.flips else {}
    return Transition(
        follow(snapshot.state, Event.RESOLVED), (Event.RESOLVED,), changes, resolution_type=resolution_type
    )


def decide_snooze(snapshot: Snapshot, until: datetime, now: datetime) -> Transition:
    """Nobody is told until then; it comes back by itself. Raises Refused."""
    if until <= now:
        raise Refused("an alert cannot be snoozed until a time that has passed; send a later one")
    return Transition(follow(snapshot.state, Event.SNOOZED), (Event.SNOOZED,), {"snoozed_until": until})


def decide_remark(snapshot: Snapshot, event: Event) -> Transition:
    """Something is said about the alert, or it is given to somebody, and it stays as it is. Raises Refused."""
    return Transition(follow(snapshot.state, event), (event,))
