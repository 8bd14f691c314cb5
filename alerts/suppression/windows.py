"""Maintenance windows: when they run, what they cover, and how people begin, prolong and end them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from alerts.models import MaintenanceWindow, WindowStatus
from alerts.suppression.recurrence import Schedule, Span, Unusable

# An occurrence that was begun early or prolonged lies at most this far from its planned time.
REACH = timedelta(days=31)


class Refused(Exception):
    """What a person asks of a window that its state does not allow; the text says why."""


def schedule_of(window: MaintenanceWindow) -> Schedule:
    """When `window` is planned."""
    recurrence = window.recurrence_config or {}
    first = Span(window.start_time, window.end_time)
    return Schedule(first, recurrence.get("rrule", ""), recurrence.get("timezone", "UTC"))


def running(window: MaintenanceWindow, now: datetime) -> Span | None:
    """The occurrence of `window` that runs at `now`, with its actual times. Raises Unusable."""
    if window.status in (WindowStatus.CANCELLED, WindowStatus.COMPLETED):
        return None
    return next((span for span in _around(window, now) if now in span), None)


def _around(window: MaintenanceWindow, now: datetime) -> list[Span]:
    """The occurrences near `now`: the one that was begun early, and the one that was prolonged or ended early, by
    their actual times."""
    schedule, early, ended = schedule_of(window), window.actual_start_time, window.actual_end_time
    moved = early is not None or ended is not None
    planned = schedule.occurrences(Span(now - REACH, now + REACH)) if moved else None
    if planned is None:
        current = schedule.current(now)
        return [current] if current else []
    begun = next((place for place, span in enumerate(planned) if early and early < span.end), None)
    if begun is not None and early is not None:
        planned[begun] = replace(planned[begun], start=early)
    if ended is not None:
        # The one that had begun by then.
        before = [place for place, span in enumerate(planned) if span.start <= ended]
        if before:
            planned[before[-1]] = replace(planned[before[-1]], end=ended)
    return planned


def possibly_running(now: datetime) -> QuerySet[MaintenanceWindow]:
    """Windows that may run at `now`: those that recur, and single ones by their times."""
    started = Q(start_time__lte=now) | Q(actual_start_time__lte=now)
    lasting = Q(end_time__gt=now) | Q(actual_end_time__gt=now) | Q(recurrence_config__isnull=False)
    waiting = [WindowStatus.SCHEDULED, WindowStatus.ACTIVE]
    return MaintenanceWindow.objects.filter(started, lasting, status__in=waiting)


def start(window: MaintenanceWindow, now: datetime) -> None:
    """Begin the next occurrence now, before its time. Raises Refused."""
    if running(window, now):
        raise Refused(f"{window.window_name} runs already")
    following = schedule_of(window).following(now) if window.status != WindowStatus.CANCELLED else None
    if following is None:
        raise Refused(f"{window.window_name} has no occurrence ahead; plan a new window")
    if following.start - now > REACH:
        raise Refused(f"{window.window_name} is next at {following.start:%Y-%m-%d %H:%M} UTC; change its start instead")
    window.actual_start_time, window.actual_end_time, window.status = now, None, WindowStatus.ACTIVE
    window.save()


def end(window: MaintenanceWindow, now: datetime, notes: str) -> None:
    """End the occurrence that runs. One that does not recur is completed. Raises Refused."""
    if running(window, now) is None:
        raise Refused(f"{window.window_name} does not run now")
    window.actual_end_time, window.completion_notes = now, notes or window.completion_notes
    window.status = WindowStatus.SCHEDULED if window.recurrence_config else WindowStatus.COMPLETED
    window.save()


def extend(window: MaintenanceWindow, until: datetime, now: datetime) -> None:
    """Prolong the occurrence that runs. Raises Refused."""
    current = running(window, now)
    if current is None:
        raise Refused(f"{window.window_name} does not run now")
    if not current.end < until <= now + REACH:
        raise Refused(f"send a time after {current.end:%Y-%m-%d %H:%M} UTC and within {REACH.days} days")
    window.actual_end_time = until
    window.save()


def cancel(window: MaintenanceWindow, now: datetime) -> None:
    """It will not happen, nor come again. Raises Refused."""
    if window.status in (WindowStatus.CANCELLED, WindowStatus.COMPLETED):
        raise Refused(f"{window.window_name} is {window.status} already")
    if running(window, now):
        window.actual_end_time = now
    window.status = WindowStatus.CANCELLED
    window.save()


def settle(now: datetime) -> int:
    """Bring the status column, which lists and other programs read, up to what the times say; answers how many rows
    changed. Nothing is decided by it."""
    changed = 0
    for window in MaintenanceWindow.objects.filter(status__in=[WindowStatus.SCHEDULED, WindowStatus.ACTIVE]):
        status = _status(window, now)
        if status != window.status:
            rows = MaintenanceWindow.objects.filter(pk=window.pk, updated_at=window.updated_at, status=window.status)
            changed += rows.update(status=status)
    return changed


def _status(window: MaintenanceWindow, now: datetime) -> str:
    try:
        if running(window, now):
            return WindowStatus.ACTIVE
        ahead = schedule_of(window).following(now)
    except Unusable:
        return str(window.status)
    over = ahead is None and max(window.end_time, window.actual_end_time or window.end_time) <= now
    return WindowStatus.COMPLETED if over else WindowStatus.SCHEDULED
