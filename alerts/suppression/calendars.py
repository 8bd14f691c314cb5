"""Maintenance windows as iCalendar (RFC 5545): read by people's calendars, and taken from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
from django.core.exceptions import ValidationError
from django.db import transaction
from rest_framework import serializers
from rest_framework.exceptions import ValidationError as Refusal

from alerts.models import MaintenanceWindow, WindowStatus
from alerts.suppression.windows import schedule_of
from wedsync_monitor.models import User

MOST_BYTES = 1024 * 1024
MOST_EVENTS = 2000
# How long an event without an end lasts: RFC 5545, section 3.6.1.
_DAY = timedelta(days=1)
_STATUSES = {WindowStatus.CANCELLED: "CANCELLED"}


def of_windows(windows: Iterable[MaintenanceWindow], now: datetime) -> bytes:
    """A calendar with an event per window, at the wall-clock times of its zone."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//WedSync Monitor//Maintenance//EN")
    calendar.add("version", "2.0")
    for window in windows:
        calendar.add_component(_event(window, now))
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def _event(window: MaintenanceWindow, now: datetime) -> icalendar.Event:
    schedule, event = schedule_of(window), icalendar.Event()
    zone = ZoneInfo(schedule.zone)
    event.add("uid", window.calendar_uid or f"{window.pk}@wedsync-monitor")
    event.add("dtstamp", now)
    event.add("summary", window.window_name)
    event.add("dtstart", window.start_time.astimezone(zone))
    event.add("dtend", window.end_time.astimezone(zone))
    event.add("status", _STATUSES.get(WindowStatus(window.status), "CONFIRMED"))
    if window.description:
        event.add("description", window.description)
    if schedule.rrule:
        event.add("rrule", icalendar.vRecur.from_ical(schedule.rrule.upper().removeprefix("RRULE:")))
    return event


@dataclass
class Imported:
    """How an import went."""

    created: int = 0
    updated: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)


class _RefusedSerializer(serializers.Serializer[Any]):
    uid = serializers.CharField()
    reason = serializers.CharField()


class ImportedSerializer(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    refused = _RefusedSerializer(many=True)


def take_windows(body: bytes, person: User, now: datetime) -> Imported:
    """Make or change the windows of a calendar's events, each by its UID; an event that cannot be followed is refused
    by itself. Raises ValidationError where the body is no calendar."""
    if len(body) > MOST_BYTES:
        raise Refusal(f"send a calendar of at most {MOST_BYTES} bytes")
    try:
        events = icalendar.Calendar.from_ical(body).walk("VEVENT")
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise Refusal(f"the body is not an iCalendar file: {error}") from error
    if len(events) > MOST_EVENTS:
        raise Refusal(f"send at most {MOST_EVENTS} events in one calendar")
    taken = Imported()
    for event in events:
        uid = str(event.get("uid", ""))[:500]
        try:
            with transaction.atomic():
                created = _take(event, uid, person)
        except (ValidationError, ValueError, TypeError, AttributeError, KeyError) as error:
            taken.refused.append({"uid": uid, "reason": _said(error)})
        else:
            taken.created, taken.updated = taken.created + created, taken.updated + (not created)
    return taken


def _take(event: icalendar.Component, uid: str, person: User) -> bool:
    if not uid:
        raise ValueError("an event needs a UID, by which it is known when it comes again")
    known = MaintenanceWindow.objects.select_for_update().filter(calendar_uid=uid).first()
    window = known or MaintenanceWindow(calendar_uid=uid, created_by=person)
    start, zone = _moment(event.decoded("dtstart"))
    window.window_name = str(event.get("summary", "")) or "Maintenance"
    window.description = str(event.get("description", "")) or None
    window.start_time, window.end_time = start, _end(event, start)
    window.recurrence_config = _recurrence(event, zone)
    if str(event.get("status", "")).upper() == "CANCELLED":
        window.status = WindowStatus.CANCELLED
    window.full_clean()
    window.save()
    return known is None


def _moment(given: date) -> tuple[datetime, str]:
    """In UTC, and the zone in which it was written. A day begins, and a time without a zone is, in UTC."""
    moment = given if isinstance(given, datetime) else datetime.combine(given, time(), UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC), str(getattr(moment.tzinfo, "key", "UTC"))


def _end(event: icalendar.Component, start: datetime) -> datetime:
    if "dtend" in event:
        return _moment(event.decoded("dtend"))[0]
    lasting = event.decoded("duration") if "duration" in event else _DAY
    return start + lasting


def _recurrence(event: icalendar.Component, zone: str) -> dict[str, str] | None:
    if any(name in event for name in ("exdate", "rdate", "recurrence-id")):
        raise ValueError("dates that are left out or added (EXDATE, RDATE, RECURRENCE-ID) are not followed")
    if "rrule" not in event:
        return None
    rule: Any = event["rrule"]
    return {"rrule": rule.to_ical().decode(), "timezone": zone}


def _said(error: Exception) -> str:
    return "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)[:500]
