"""Stored on-call schedules, ready to be followed; and their shifts as iCalendar (RFC 5545)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import icalendar
import msgspec

from alerts import oncall
from alerts.models import OnCallOverride, OnCallSchedule
from alerts.suppression.recurrence import Span

# So much of a schedule is in its calendar.
PAST, AHEAD = timedelta(days=14), timedelta(days=92)


def who_is_on_call(names: Iterable[str], at: datetime) -> dict[str, oncall.Shift | None]:
    """Of each schedule that exists among `names`, who is on call at `at`: two queries."""
    rows = list(OnCallSchedule.objects.filter(schedule_name__in=list(names)))
    around = Span(at - oncall.AROUND, at + oncall.AROUND)
    return {row.schedule_name: oncall.on_call(one, at) for row, one in followed(rows, around)}


def followed(rows: Sequence[OnCallSchedule], within: Span) -> list[tuple[OnCallSchedule, oncall.Schedule]]:
    """Schedules with the overrides that overlap `within`, ready to be followed in it: one query."""
    found: dict[Any, list[OnCallOverride]] = defaultdict(list)
    overlapping = OnCallOverride.objects.filter(schedule__in=rows, starts_at__lt=within.end, ends_at__gt=within.start)
    # Of two that overlap the later made counts.
    for one in overlapping.select_related("person").order_by("created_at", "pk") if rows else ():
        found[one.schedule_id].append(one)
    return [(row, _schedule(row, found[row.pk])) for row in rows]


def _schedule(row: OnCallSchedule, overrides: Iterable[OnCallOverride]) -> oncall.Schedule:
    layers = msgspec.convert(row.layers, oncall.Layers)
    over = [oncall.Override(one.person.username, Span(one.starts_at, one.ends_at)) for one in overrides]
    return oncall.Schedule(row.timezone, layers, over)


def calendar(row: OnCallSchedule, now: datetime) -> bytes:
    """A calendar with an event per shift, the last two weeks and the next three months."""
    within = Span(now - PAST, now + AHEAD)
    ((_, schedule),) = followed([row], within)
    found = icalendar.Calendar()
    found.add("prodid", "-//WedSync Monitor//On call//EN")
    found.add("version", "2.0")
    for shift in oncall.shifts(schedule, within):
        event = icalendar.Event()
        event.add("uid", f"{row.pk}-{shift.end:%Y%m%dT%H%M%S}@wedsync-monitor")
        event.add("dtstamp", now)
        event.add("summary", f"{shift.person} on call: {row.schedule_name}")
        event.add("dtstart", shift.start)
        event.add("dtend", shift.end)
        found.add_component(event)
    return bytes(found.to_ical())
