"""Whom a step of an escalation reaches: its channels, its people, and whoever is on call by its schedules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from alerts import naming, rosters
from alerts.conditions import BusinessHours, EscalationStep
from alerts.hours import Hours, hours_of
from alerts.models import ContactPreference, Severity
from wedsync_monitor.models import User


@dataclass(frozen=True)
class Asked:
    """A person whom a step names, by a schedule or (empty) by name: the keys of the channels that tell them, until
    when their quiet hours hold that, or the reason why nothing does."""

    person: str
    schedule: str
    channels: tuple[str, ...] = ()
    until: datetime | None = None
    reason: str = ""


@dataclass
class Reached:
    """The channels to be told by and when, and in words whom that reaches and whom it does not.

    `asked` says the same of each person, `on_call` who was on call by each schedule (None: nobody).
    """

    told: list[tuple[dict[str, Any], datetime]] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    on_call: dict[str, str | None] = field(default_factory=dict)


class Directory:
    """The people and schedules that some steps name, read at once: four queries."""

    def __init__(self, steps: Collection[EscalationStep], now: datetime):
        self.now = now
        self.on_call = rosters.who_is_on_call({name for step in steps for name in step.schedules}, now)
        names = {name for step in steps for name in step.users}
        names |= {shift.person for shift in self.on_call.values() if shift}
        people = User.objects.filter(username__in=names, is_active=True).select_related("contact_preference")
        self.people = {person.username: person for person in people}

    def reach(self, step: EscalationStep, channels: Sequence[dict[str, Any]], severity: str) -> Reached:
        """Whom `step` tells now of an alert of `severity`; `channels` are the step's own as they are stored."""
        found = Reached([(channel, self.now) for channel in channels])
        for name in dict.fromkeys(step.users):
            self._add(found, name, "", severity)
        for schedule in dict.fromkeys(step.schedules):
            shift = self.on_call.get(schedule)
            found.on_call[schedule] = shift.person if shift else None
            if shift is None:
                known = schedule in self.on_call
                found.unreached.append(f"nobody is on call by {schedule}" if known else f"no schedule {schedule}")
            else:
                self._add(found, shift.person, schedule, severity)
        return found

    def _add(self, found: Reached, username: str, schedule: str, severity: str) -> None:
        shown = f"{username} (on call by {schedule})" if schedule else username
        person = self.people.get(username)
        preference: ContactPreference | None = getattr(person, "contact_preference", None)
        channels = channels_of(person, preference) if person else []
        if reason := _refusal(person, preference, channels, severity):
            found.unreached.append(f"{shown}: {reason}")
            found.asked.append(Asked(username, schedule, reason=reason))
            return
        at = told_at(preference, severity, self.now)
        found.told += [(channel, at) for channel in channels]
        found.people.append(shown if at == self.now else f"{shown}, after quiet hours at {at:%Y-%m-%d %H:%M} UTC")
        keys = tuple(naming.channel_key(channel) for channel in channels)
        found.asked.append(Asked(username, schedule, keys, at if at > self.now else None))


def _refusal(
    person: User | None, preference: ContactPreference | None, channels: Sequence[dict[str, Any]], severity: str
) -> str:
    """Why a person is not told; empty where they are."""
    if person is None:
        return "no active account has this name"
    if preference and _rank(severity) < _rank(preference.minimum_severity):
        return f"wants to be told from severity {preference.minimum_severity} on"
    return "" if channels else "the account has no email address"


def _rank(severity: str) -> int:
    return Severity.values.index(severity)


def channels_of(person: User, preference: ContactPreference | None) -> list[dict[str, Any]]:
    """The channels by which one person is reached."""
    if preference and preference.channels:
        return list(preference.channels)
    return [{"type": "email", "config": {"recipients": [person.email]}}] if person.email else []


def told_at(preference: ContactPreference | None, severity: str, now: datetime) -> datetime:
    """`now`, or the end of the person's quiet hours; critical alerts pass them."""
    if preference is None or severity == Severity.CRITICAL:
        return now
    quiet = quiet_hours(preference)
    if quiet is None:
        return now
    return quiet.over_at(now)


def quiet_hours(preference: ContactPreference) -> Hours | None:
    """The person's quiet hours; None where there are none."""
    said = msgspec.convert(preference.quiet_hours, BusinessHours)
    if said.start is None and said.end is None:
        return None
    return hours_of(said.timezone, said.days, said.start, said.end)
