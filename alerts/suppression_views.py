"""The console's pages of maintenance windows and silences."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from alerts.models import AlertInstance, MaintenanceWindow, Silence
from alerts.suppression import windows
from alerts.suppression.recurrence import Span, Unusable
from alerts.suppression_forms import SilenceForm, WindowForm
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

AHEAD = timedelta(days=28)
# How far one press of the button prolongs a window.
PROLONGED_BY = timedelta(hours=1)


def _coming(shown: list[MaintenanceWindow], now: datetime) -> list[tuple[Span, MaintenanceWindow]]:
    """The occurrences of the next weeks, in order."""
    found: list[tuple[Span, MaintenanceWindow]] = []
    for window in shown:
        with suppress(Unusable):
            found += [(span, window) for span in windows.schedule_of(window).occurrences(Span(now, now + AHEAD))]
    return sorted(found, key=lambda one: one[0])[:100]


def _standing(window: MaintenanceWindow, now: datetime) -> Span | None:
    try:
        return windows.running(window, now)
    except Unusable:
        return None


@guarded("maintenance", GET=Verb.READ)
def window_list(request: HttpRequest) -> HttpResponse:
    """Windows, and what is ahead of the next weeks."""
    now = timezone.now()
    rows = policy.permitted(request.user, Verb.READ, "maintenance", MaintenanceWindow.objects.order_by("-start_time"))
    page = htmx.page_of(request, rows)
    for window in page:
        window.running = _standing(window, now)
    context = {
        **htmx.frame_of(request),
        "page": page,
        "coming": _coming(list(rows.exclude(status__in=["cancelled", "completed"])[:500]), now),
        "may_manage": policy.may(request.user, Verb.CHANGE, "maintenance"),
    }
    return htmx.respond(request, "alerts/window_list.html", "alerts/_windows.html", context)


def _edit_window(request: HttpRequest, window: MaintenanceWindow, heading: str) -> HttpResponse:
    form = WindowForm(request.POST if request.method == "POST" else None, instance=window)
    if request.method == "POST" and form.is_valid():
        if window._state.adding:
            form.instance.created_by = request.user  # type: ignore[assignment]
        form.save()
        messages.success(request, f"{form.instance.window_name} is saved.")
        return redirect("console:windows")
    context = {"form": form, "heading": heading, "text": "Planned work, and whom it keeps from being told"}
    context["back"] = reverse("console:windows")
    return render(request, "components/form_page.html", context, status=422 if form.errors else 200)


@guarded("maintenance", GET=Verb.CREATE, POST=Verb.CREATE)
def window_new(request: HttpRequest) -> HttpResponse:
    """Plan a window."""
    with transaction.atomic():
        return _edit_window(request, MaintenanceWindow(), "New maintenance window")


@guarded("maintenance", GET=Verb.CHANGE, POST=Verb.CHANGE)
def window_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change a window."""
    with transaction.atomic():
        window = _held(request, pk)
        return _edit_window(request, window, f"Window {window.window_name}")


def _held(request: HttpRequest, pk: UUID) -> MaintenanceWindow:
    rows = MaintenanceWindow.objects.select_for_update(of=("self",)) if request.method == "POST" else None
    permitted = policy.permitted(
        request.user, Verb.CHANGE, "maintenance", MaintenanceWindow.objects.all() if rows is None else rows
    )
    found: MaintenanceWindow = get_object_or_404(permitted, pk=pk)
    return found


_DEEDS = {
    "start": (windows.start, "has begun"),
    "end": (lambda window, now: windows.end(window, now, ""), "has ended"),
    "extend": (lambda window, now: windows.extend(window, _later(window, now), now), "is prolonged"),
    "cancel": (windows.cancel, "is cancelled"),
}


def _later(window: MaintenanceWindow, now: datetime) -> datetime:
    current = windows.running(window, now)
    return (current.end if current else now) + PROLONGED_BY


@guarded("maintenance", GET=Verb.CHANGE, POST=Verb.CHANGE)
def window_deed(request: HttpRequest, pk: UUID, deed: str) -> HttpResponse:
    """Begin, prolong, end or cancel a window. Whoever had to sign in again first comes back by GET, to the list."""
    act, done = _DEEDS[deed]
    with transaction.atomic():
        window = _held(request, pk)
        if request.method == "POST":
            try:
                act(window, timezone.now())
            except windows.Refused as error:
                messages.error(request, f"{error}.")
            else:
                messages.success(request, f"{window.window_name} {done}.")
    return redirect("console:windows")


@guarded("silences", GET=Verb.READ)
def silence_list(request: HttpRequest) -> HttpResponse:
    """Silences, those that hold or will first."""
    rows = Silence.objects.select_related("created_by").order_by("-ends_at")
    page = htmx.page_of(request, policy.permitted(request.user, Verb.READ, "silences", rows))
    context = {**htmx.frame_of(request), "page": page, "now": timezone.now()}
    context["may_manage"] = policy.may(request.user, Verb.CHANGE, "silences")
    return htmx.respond(request, "alerts/silence_list.html", "alerts/_silences.html", context)


@guarded("silences", GET=Verb.CREATE, POST=Verb.CREATE)
def silence_new(request: HttpRequest) -> HttpResponse:
    """Make a silence; `?alert=` fills in what matches that alert."""
    sent = request.POST if request.method == "POST" else None
    form = SilenceForm(sent, initial={"matcher_lines": _matching(request)}, now=timezone.now())
    if sent is not None and form.is_valid():
        form.instance.created_by = request.user  # type: ignore[assignment]
        form.save()
        messages.success(request, f"Silenced until {form.instance.ends_at:%Y-%m-%d %H:%M} UTC.")
        return redirect("console:silences")
    context = {"form": form, "heading": "New silence", "text": "Nobody is told; alerts are seen and resolve as always"}
    context["back"] = reverse("console:silences")
    return render(request, "components/form_page.html", context, status=422 if form.errors else 200)


def _matching(request: HttpRequest) -> str:
    try:
        pk = UUID(request.GET.get("alert", ""))
    except ValueError:
        return ""
    rows = policy.permitted(
        request.user, Verb.READ, "alerts", AlertInstance.objects.select_related("alert_rule", "asset")
    )
    alert = rows.filter(pk=pk).first()
    if alert is None:
        return ""
    lines = [f'rule="{alert.alert_rule.rule_name}"']
    return "\n".join([*lines, f'asset="{alert.asset.asset_name}"'] if alert.asset else lines)


@guarded("silences", GET=Verb.CHANGE, POST=Verb.CHANGE)
def silence_end(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a silence now; one that has not begun is removed. By GET only back to the list, as with windows."""
    now = timezone.now()
    with transaction.atomic():
        rows = Silence.objects.select_for_update(of=("self",))
        silence = get_object_or_404(policy.permitted(request.user, Verb.CHANGE, "silences", rows), pk=pk)
        if request.method == "POST":
            if silence.starts_at >= now:
                silence.delete()
            elif silence.ends_at > now:
                silence.ends_at = now
                silence.save()
            messages.success(request, "The silence has ended.")
    return redirect("console:silences")
