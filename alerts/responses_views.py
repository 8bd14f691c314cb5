"""The console's dialogs for snoozing, assigning and commenting, and what the list does with many alerts at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from alerts import responses, transitions
from alerts.models import AlertInstance, AlertStatus
from alerts.responses_forms import AssignForm, BulkForm, CommentForm, SnoozeForm
from alerts.transitions import Refused
from alerts.views import alert_for, dialog, done, filtered
from wedsync_monitor import policy
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

Do = Callable[[UUID], AlertInstance]


def _respond(
    request: HttpRequest, pk: UUID, form: forms.Form, words: tuple[str, str, str], do: Callable[[User], object]
) -> HttpResponse:
    """Ask in a dialog and do it; `words` are its heading, its button and what is said afterwards."""
    heading, button, after = words
    alert = alert_for(request, pk, Verb.ACKNOWLEDGE)
    if request.method == "POST" and form.is_valid():
        assert isinstance(request.user, User)
        try:
            do(request.user)
        except Refused as error:
            return done(request, f"{str(error).capitalize()}.", "danger")
        return done(request, after)
    return dialog(request, alert, form, heading, button, f"submit-{button.lower()}")


def _sent(request: HttpRequest) -> object:
    return request.POST if request.method == "POST" else None


@guarded("alerts", GET=Verb.ACKNOWLEDGE, POST=Verb.ACKNOWLEDGE)
def alert_snooze(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Tell nobody of an alert for a while."""
    form, now = SnoozeForm(_sent(request)), timezone.now()

    def do(person: User) -> None:
        said = form.cleaned_data
        responses.snooze(pk, person, now + timedelta(minutes=said["minutes"]), said["note"], now)

    return _respond(request, pk, form, ("Snooze alert", "Snooze", "Alert snoozed"), do)


@guarded("alerts", GET=Verb.ACKNOWLEDGE, POST=Verb.ACKNOWLEDGE)
def alert_assign(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give an alert to somebody; the form begins with oneself."""
    form = AssignForm(_sent(request), initial={"assignee": request.user.get_username()})

    def do(person: User) -> None:
        responses.assign(pk, person, form.cleaned_data["assignee"], timezone.now())

    return _respond(request, pk, form, ("Assign alert", "Assign", "Alert assigned"), do)


@guarded("alerts", GET=Verb.ACKNOWLEDGE, POST=Verb.ACKNOWLEDGE)
def alert_comment(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Write something on an alert's timeline."""
    form = CommentForm(_sent(request))

    def do(person: User) -> None:
        responses.comment(pk, person, form.cleaned_data["comment"], timezone.now())

    return _respond(request, pk, form, ("Comment on alert", "Comment", "Comment added"), do)


@guarded("alerts", GET=Verb.ACKNOWLEDGE, POST=Verb.ACKNOWLEDGE)
def alerts_bulk(request: HttpRequest) -> HttpResponse:
    """Do the same with the alerts that are ticked, or with all that the list's filter finds. Whoever had to sign in
    again first comes back by GET, to the list."""
    if request.method == "POST":
        form = BulkForm(request.POST)
        if form.is_valid():
            _do_all(request, form)
        for problems in form.errors.values():
            messages.error(request, str(problems[0]))
    return redirect(f"{reverse('console:alerts')}?{request.GET.urlencode()}")


def _do_all(request: HttpRequest, form: BulkForm) -> None:
    assert isinstance(request.user, User)
    said = form.cleaned_data
    ids = _chosen(request, said["everything"])
    if len(ids) > responses.MOST_AT_ONCE:
        messages.error(request, f"More than {responses.MOST_AT_ONCE} alerts match. Narrow the filter.")
        return
    outcome = responses.each(ids, _deed(said["action"], request.user, said["note"], timezone.now()))
    if outcome.done:
        messages.success(request, f"Done with {len(outcome.done)} of {len(ids)} alerts.")
    for reason in sorted(set(outcome.refused.values())):
        number = list(outcome.refused.values()).count(reason)
        messages.warning(request, f"{number} not changed: {reason}")
    if not ids:
        messages.warning(request, "No alert was chosen.")


def _chosen(request: HttpRequest, everything: bool) -> list[UUID]:
    rows = filtered(request, htmx.environment_of(request)).exclude(status=AlertStatus.RESOLVED)
    rows = policy.permitted(request.user, Verb.ACKNOWLEDGE, "alerts", rows)
    if not everything:
        rows = rows.filter(pk__in=list(_uuids(request.POST.getlist("ids"))))
    return list(rows.order_by("first_triggered_at").values_list("pk", flat=True)[: responses.MOST_AT_ONCE + 1])


def _uuids(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts[: responses.MOST_AT_ONCE]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def _deed(action: str, person: User, note: str, now: datetime) -> Do:
    kind, _, minutes = action.partition("-")
    if kind == "snooze":
        until = now + timedelta(minutes=int(minutes))
        return partial(responses.snooze, person=person, until=until, note=note, now=now)
    if kind == "assign":
        return partial(responses.assign, person=person, assignee=person, now=now)
    if kind == "resolve":
        return lambda pk: transitions.resolve(pk, person, "manual", note, now)
    return lambda pk: transitions.acknowledge(pk, person, note, None, now)
