"""The console's page of a rule's noise: its budget, finding better terms, and applying one with a click."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from alerts import preview, proposals
from alerts.models import AlertRule
from alerts.noise import Change
from alerts.noise_api import noise_of, rule_for
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.errors import as_api_exception, flatten
from wedsync_monitor.web.permissions import guarded


@guarded("alert_rules", GET=Verb.READ, POST=Verb.CHANGE)
def rule_noise(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How noisy a rule is; POST tries other terms on its history."""
    now = timezone.now()
    rule = rule_for(request.user, Verb.CHANGE if request.method == "POST" else Verb.READ, pk, now)
    context: dict[str, Any] = noise_of(rule, now)
    if request.method == "POST":
        try:
            context["found"] = proposals.find(rule, now)
        except preview.Refused as error:
            context["refused"] = str(error)
    context |= {"rule": rule, "may_manage": policy.may(request.user, Verb.CHANGE, "alert_rules")}
    context["triable"] = rule.alert_type in preview.TRIED
    return htmx.respond(request, "alerts/rule_noise.html", "alerts/_noise.html", context)


@guarded("alert_rules", GET=Verb.CHANGE, POST=Verb.CHANGE)
def rule_noise_apply(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make a proposed term the rule's own. Whoever had to sign in again first comes back by GET."""
    rule_for(request.user, Verb.CHANGE, pk, timezone.now())
    if request.method == "POST":
        _apply(request, pk)
    if request.POST.get("back") == "analytics":
        return redirect("console:alert-analytics")
    return redirect("console:rule-noise", pk=pk)


class ChangeForm(forms.Form):
    """What a button of a proposal sends."""

    field = forms.ChoiceField(choices=[(name, name) for name in proposals.FIELDS])
    value, instead_of = forms.FloatField(), forms.FloatField()


def _apply(request: HttpRequest, pk: UUID) -> None:
    form = ChangeForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Not changed: choose one of the proposals.")
        return
    change = Change(**form.cleaned_data)
    try:
        rule = proposals.apply(pk, change)
    except proposals.Refused as error:
        messages.error(request, f"{str(error).capitalize()}.")
    except (ValidationError, DjangoValidationError) as error:
        messages.error(request, f"Not changed: {flatten(getattr(as_api_exception(error), 'detail', str(error)))}")
    except AlertRule.DoesNotExist:
        messages.error(request, "The rule is gone.")
    else:
        messages.success(request, f"{rule.rule_name}: {change.text}. Its history has the change.")
