"""The console's pages of what a rule has been, and of rules that were deleted."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from rest_framework.exceptions import ValidationError

from alerts.history_api import EVALUATED, reach, rule_kind
from alerts.models import AlertRule
from wedsync_monitor import policy
from wedsync_monitor.configuration import history
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.errors import as_api_exception, flatten
from wedsync_monitor.web.permissions import guarded


@guarded("alert_rules", GET=Verb.READ)
def rule_history(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Who changed a rule, when and how."""
    page = htmx.page_of(request, reach(request.user, Verb.READ, pk))
    versions = history.versions(rule_kind(), list(page))
    context = {
        **htmx.frame_of(request),
        "page": page,
        "versions": versions,
        "name": versions[0].entry.object_name if versions else "",
        "pk": pk,
        "is_there": AlertRule.objects.filter(pk=pk).exists(),
        "may_manage": policy.may(request.user, Verb.CHANGE, "alert_rules"),
    }
    return htmx.respond(request, "alerts/rule_history.html", "alerts/_history.html", context)


@guarded("alert_rules", GET=Verb.READ)
def deleted_rules(request: HttpRequest) -> HttpResponse:
    """Rules that were deleted."""
    page = htmx.page_of(request, history.deleted(rule_kind()))
    context = {**htmx.frame_of(request), "page": page}
    return htmx.respond(request, "alerts/rules_deleted.html", "alerts/_deleted.html", context)


@guarded("alert_rules", GET=Verb.CHANGE, POST=Verb.CHANGE)
def rule_restore(request: HttpRequest, pk: UUID, version: int) -> HttpResponse:
    """What restoring a version would change, and restoring it."""
    entry = get_object_or_404(reach(request.user, Verb.CHANGE, pk), pk=version)
    problems = []
    if request.method == "POST":
        assert isinstance(request.user, User)
        try:
            restored = history.restore(rule_kind(), pk, version, request.user)
        except (ValidationError, DjangoValidationError) as error:
            problems = flatten(getattr(as_api_exception(error), "detail", str(error)))
        else:
            messages.success(request, f"{restored.row} is as it was. {EVALUATED}")
            for text in restored.left_out:
                messages.warning(request, text)
            return redirect("console:rule", pk=pk)
    found = history.would_change(rule_kind(), pk, version)
    context = {"entry": entry, "differences": found, "problems": problems, "pk": pk, "says": EVALUATED}
    return render(request, "alerts/rule_restore.html", context, status=422 if problems else 200)
