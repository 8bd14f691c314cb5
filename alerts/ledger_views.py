"""The console's page "Why was I not told?": a person, a span of time, and of each alert in it the answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from alerts import told
from wedsync_monitor import policy
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.filtering import MomentFormField
from wedsync_monitor.web.permissions import guarded

# So many names are offered while one types.
OFFERED = 200


def _moment_input() -> forms.DateTimeInput:
    return forms.DateTimeInput({"type": "datetime-local", "class": "form-control"}, "%Y-%m-%dT%H:%M")


class SpanForm(forms.Form):
    """From when until when, in UTC."""

    # `from` is a word of Python's own.
    locals()["from"] = MomentFormField(required=False, label="From (UTC)", widget=_moment_input())
    to = MomentFormField(required=False, label="To (UTC)", widget=_moment_input())

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        said["to"] = said.get("to") or timezone.now()
        said["from"] = said.get("from") or said["to"] - told.USUAL
        if said["from"] >= said["to"]:
            self.add_error("to", "Send a time after the beginning.")
        return said


@guarded("alerts", GET=Verb.READ)
def person_ledger(request: HttpRequest) -> HttpResponse:
    """Whether one was told of alerts, or why not."""
    assert isinstance(request.user, User)
    form = SpanForm(request.GET)
    asked = htmx.text_of(request, "person")
    person = told.person_of(request.user, asked)
    context: dict[str, Any] = {**htmx.frame_of(request), "form": form, "asked": asked or request.user.username}
    if person and form.is_valid():
        since, until = form.cleaned_data["from"], form.cleaned_data["to"]
        page = htmx.page_of(request, told.begun(request.user, since, until))
        page.object_list = told.answers(person, page.object_list)
        context |= {"page": page, "person": person, "since": since, "until": until}
    if policy.granted(request.user, Verb.READ, "alerts"):
        names = User.objects.filter(is_active=True).order_by("username")
        context["names"] = names.values_list("username", flat=True)[:OFFERED]
    context["unknown"] = "" if person else told.UNKNOWN
    return htmx.respond(request, "alerts/person_ledger.html", "alerts/_person_ledger.html", context)
