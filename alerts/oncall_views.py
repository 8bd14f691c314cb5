"""The console's on-call calendar, overrides, and the page on which people say how they are reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from alerts import oncall, rosters
from alerts.models import ContactPreference, OnCallOverride, OnCallSchedule
from alerts.oncall_forms import ContactForm, OverrideForm
from alerts.suppression.recurrence import Span
from wedsync_monitor import policy
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

WEEKS = 3
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Turn:
    """A shift as one day of the calendar shows it; `at` is when it begins on that day, if it does."""

    person: str
    at: str
    overridden: bool


@dataclass(frozen=True)
class Plan:
    """One schedule on the page."""

    schedule: OnCallSchedule
    current: oncall.Shift | None
    weeks: list[list[tuple[date, list[Turn]]]]


def _first_day(request: HttpRequest, now: datetime) -> date:
    """The Monday of the week that is asked for, or of this one."""
    try:
        day = date.fromisoformat(request.GET.get("week", ""))
    except ValueError:
        day = now.date()
    if not 1970 < day.year < 2200:
        day = now.date()
    return day - timedelta(days=day.weekday())


def _plan(row: OnCallSchedule, schedule: oncall.Schedule, first: date, now: datetime) -> Plan:
    zone = ZoneInfo(row.timezone)
    within = Span(_midnight(first, zone), _midnight(first + WEEKS * 7 * _DAY, zone))
    shifts = oncall.shifts(schedule, within)
    weeks = [
        [(day, _turns(shifts, day, zone)) for day in (first + (7 * week + place) * _DAY for place in range(7))]
        for week in range(WEEKS)
    ]
    return Plan(row, oncall.on_call(schedule, now), weeks)


def _turns(shifts: Sequence[oncall.Shift], day: date, zone: ZoneInfo) -> list[Turn]:
    span = Span(_midnight(day, zone), _midnight(day + _DAY, zone))
    return [
        Turn(one.person, f"{one.start.astimezone(zone):%H:%M}" if one.start in span else "", one.overridden)
        for one in shifts
        if one.start < span.end and span.start < one.end
    ]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


@guarded("on_call", GET=Verb.READ)
def calendar(request: HttpRequest) -> HttpResponse:
    """Who is on call now and in the weeks ahead, and the overrides that are made."""
    now = timezone.now()
    first = _first_day(request, now)
    rows = policy.permitted(request.user, Verb.READ, "on_call", OnCallSchedule.objects.order_by("schedule_name"))
    page = htmx.page_of(request, rows)
    start = min(_midnight(first, ZoneInfo("UTC")), now) - oncall.AROUND
    end = max(_midnight(first + WEEKS * 7 * _DAY, ZoneInfo("UTC")), now) + oncall.AROUND
    plans = [_plan(row, one, first, now) for row, one in rosters.followed(list(page), Span(start, end))]
    overrides = OnCallOverride.objects.filter(ends_at__gt=now).select_related("person", "schedule")
    context = {
        **htmx.frame_of(request),
        "page": page,
        "plans": plans,
        "overrides": policy.permitted(request.user, Verb.READ, "on_call", overrides.order_by("starts_at"))[:100],
        "before": first - 7 * _DAY,
        "after": first + 7 * _DAY,
        "today": now.date(),
        "may_manage": policy.may(request.user, Verb.CHANGE, "on_call"),
    }
    return htmx.respond(request, "alerts/on_call.html", "alerts/_on_call.html", context)


@guarded("on_call", GET=Verb.CREATE, POST=Verb.CREATE)
def override_new(request: HttpRequest) -> HttpResponse:
    """Let somebody else be on call for a while."""
    form = OverrideForm(request.POST if request.method == "POST" else None, initial=_asked(request))
    if request.method == "POST" and form.is_valid():
        form.instance.created_by = request.user  # type: ignore[assignment]
        form.save()
        messages.success(request, f"{form.instance} is saved.")
        return redirect("console:on-call")
    context = {"form": form, "heading": "New override", "text": "Somebody else is on call for a while"}
    context["back"] = reverse("console:on-call")
    return render(request, "components/form_page.html", context, status=422 if form.errors else 200)


def _asked(request: HttpRequest) -> dict[str, object]:
    try:
        return {"schedule": UUID(request.GET.get("schedule", "")), "username": request.user.get_username()}
    except ValueError:
        return {"username": request.user.get_username()}


@guarded("on_call", GET=Verb.CHANGE, POST=Verb.CHANGE)
def override_end(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End an override now; one that has not begun is removed. Whoever had to sign in again first comes back by GET, to
    the calendar."""
    now = timezone.now()
    with transaction.atomic():
        rows = OnCallOverride.objects.select_for_update(of=("self",))
        override = get_object_or_404(policy.permitted(request.user, Verb.CHANGE, "on_call", rows), pk=pk)
        if request.method == "POST":
            _end(override, now)
            messages.success(request, "The override has ended.")
    return redirect("console:on-call")


def _end(override: OnCallOverride, now: datetime) -> None:
    if override.starts_at >= now:
        override.delete()
    elif override.ends_at > now:
        override.ends_at = now
        override.save()


@guarded("contact_preferences", GET=Verb.READ, POST=Verb.CHANGE)
def contact(request: HttpRequest) -> HttpResponse:
    """How one is reached oneself."""
    assert isinstance(request.user, User)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=request.user.pk)
        rows = policy.permitted(request.user, Verb.READ, "contact_preferences", ContactPreference.objects.all())
        mine = rows.filter(user=request.user).first() or ContactPreference(user=request.user)
        form = ContactForm(request.POST if request.method == "POST" else None, instance=mine)
        if request.method == "POST" and form.is_valid():
            form.save()
            messages.success(request, "Saved how you are reached.")
            return redirect("console:contact")
    context = {"form": form, "heading": "How I am reached", "text": "When an escalation names you, or you are on call"}
    context["back"] = reverse("console:alerts")
    return render(request, "components/form_page.html", context, status=422 if form.errors else 200)
