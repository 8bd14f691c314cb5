"""The console's editor of checks: its form, trying out what it says, switching a check on and off, deleting it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from synthetic.forms import CheckForm
from synthetic.models import CheckType, SyntheticCheck
from synthetic.views import check_for, tried
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded


def _new(request: HttpRequest) -> SyntheticCheck:
    kind = request.GET.get("type", "")
    return SyntheticCheck(check_type=kind if kind in CheckType.values else CheckType.HTTP)


def _held(request: HttpRequest, pk: UUID, verb: Verb = Verb.CHANGE) -> SyntheticCheck:
    """The check, held while it is changed, so that a change over REST at the same time is not undone."""
    rows = SyntheticCheck.objects.select_for_update() if request.method == "POST" else SyntheticCheck.objects.all()
    found: SyntheticCheck = get_object_or_404(policy.permitted(request.user, verb, "synthetic", rows), pk=pk)
    return found


def _edit(request: HttpRequest, check: SyntheticCheck, heading: str, urls: dict[str, str]) -> HttpResponse:
    form = CheckForm(request.POST if request.method == "POST" else None, instance=check)
    if request.method == "POST" and form.is_valid():
        if check._state.adding:
            form.instance.created_by = request.user  # type: ignore[assignment]
        form.save()
        messages.success(request, f"{form.instance.check_name} is saved.")
        return redirect("console:check", pk=form.instance.pk)
    context: dict[str, Any] = {"form": form, "heading": heading, "text": "What is probed, how often, and from where"}
    context |= {"check": check, "is_new": check._state.adding, "types": CheckType.choices, **urls}
    return render(request, "synthetic/check_form.html", context, status=422 if form.errors else 200)


@guarded("synthetic", GET=Verb.CREATE, POST=Verb.CREATE)
def check_new(request: HttpRequest) -> HttpResponse:
    """Make a check of the type that the address asks for; of http otherwise."""
    check = _new(request)
    try_url = f"{reverse('console:check-try')}?{urlencode({'type': check.check_type})}"
    with transaction.atomic():
        return _edit(request, check, "New check", {"back": reverse("console:synthetic"), "try_url": try_url})


@guarded("synthetic", GET=Verb.CHANGE, POST=Verb.CHANGE)
def check_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change a check; its type stays."""
    urls = {"back": reverse("console:check", args=[pk]), "try_url": reverse("console:check-try", args=[pk])}
    with transaction.atomic():
        check = _held(request, pk)
        return _edit(request, check, f"Check {check.check_name}", urls)


def _try(request: HttpRequest, check: SyntheticCheck) -> HttpResponse:
    """Whoever had to sign in again first comes back by GET: to the checks."""
    if request.method != "POST":
        return redirect("console:synthetic")
    said = request.POST.copy()
    said["check_name"] = said.get("check_name") or f"unsaved {check.pk}"
    form = CheckForm(said, instance=check)
    found = tried(form.instance) if form.is_valid() else {"form": form}
    return htmx.respond(request, "synthetic/check_tried.html", "synthetic/_tried.html", {"check": check, **found})


@guarded("synthetic", GET=Verb.CREATE, POST=Verb.CREATE)
def check_try(request: HttpRequest) -> HttpResponse:
    """Run a new check as the form says, unsaved."""
    return _try(request, _new(request))


@guarded("synthetic", GET=Verb.CHANGE, POST=Verb.CHANGE)
def check_try_changed(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Run a check as its form says, unsaved."""
    return _try(request, check_for(request, pk, Verb.CHANGE))


@guarded("synthetic", GET=Verb.CHANGE, POST=Verb.CHANGE)
def check_switch(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Enable or disable a check: what the form's button said."""
    with transaction.atomic():
        check = _held(request, pk)
        wanted = request.POST.get("enabled")
        if wanted in ("yes", "no") and check.is_enabled is not (wanted == "yes"):
            check.is_enabled = wanted == "yes"
            check.save()
            messages.success(request, f"{check.check_name} is {'enabled' if check.is_enabled else 'disabled'}.")
    return redirect("console:check", pk=pk)


@guarded("synthetic", GET=Verb.DELETE, POST=Verb.DELETE)
def check_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask first, then delete a check with its results."""
    with transaction.atomic():
        check = _held(request, pk, Verb.DELETE)
        if request.method != "POST":
            return render(request, "synthetic/check_delete.html", {"check": check})
        check.delete()
    messages.success(request, f"{check.check_name} is deleted.")
    return redirect("console:synthetic")
