"""The console's "Try on history" of a rule form."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from alerts import preview
from alerts.kind_forms import form_for
from alerts.models import AlertRule, AlertType
from alerts.views import lasted
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

DAYS = 30
# The detector reads every sample of what it is tried on.
DAYS_OF_ANOMALIES = 7


@guarded("alert_rules", GET=Verb.CREATE, POST=Verb.CREATE)
def rule_preview(request: HttpRequest) -> HttpResponse:
    """Try a new rule as the form says, unsaved. Whoever had to sign in again first comes back by GET: to the rules."""
    return _answer(request, AlertRule())


@guarded("alert_rules", GET=Verb.CHANGE, POST=Verb.CHANGE)
def rule_preview_changed(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Try a rule as its form says, unsaved."""
    rows = policy.permitted(request.user, Verb.CHANGE, "alert_rules", AlertRule.objects.all())
    return _answer(request, get_object_or_404(rows, pk=pk))


def _answer(request: HttpRequest, rule: AlertRule) -> HttpResponse:
    if request.method != "POST":
        return redirect("console:rules")
    return htmx.respond(request, "alerts/rule_preview.html", "alerts/_preview.html", _tried(request, rule))


def _tried(request: HttpRequest, rule: AlertRule) -> dict[str, Any]:
    if rule._state.adding and request.GET.get("type") in preview.TRIED:
        rule.alert_type = request.GET["type"]
    form = form_for(rule)(request.POST, instance=rule)
    if not form.is_valid():
        return {"form": form}
    try:
        days = DAYS_OF_ANOMALIES if rule.alert_type == AlertType.ANOMALY else DAYS
        found = preview.of_rule(form.instance, days, timezone.now())
    except preview.Refused as error:
        return {"refused": str(error)}
    alerts = [(one, lasted(round(one.seconds / 60))) for one in found.alerts[:50]]
    return {"preview": found, "alerts": alerts, "firing": lasted(round(found.firing_seconds / 60))}
