"""The console's page for the configuration as a file: export, and upload with the plan before it is applied."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from wedsync_monitor.configuration import applying, entries, report
from wedsync_monitor.configuration.applying import Order
from wedsync_monitor.configuration.entries import Problem, Refused
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.permissions import guarded

MOST_SHOWN = 500


@guarded("configuration", GET=Verb.READ, POST=Verb.CHANGE)
def configuration(request: HttpRequest) -> HttpResponse:
    """Export; and what a file would change, and changing it."""
    if request.method != "POST":
        return render(request, "console/configuration.html")
    context: dict[str, Any] = {"prune": "prune" in request.POST, "applied": "apply" in request.POST}
    try:
        context["content"] = _content(request)
        context |= _told(request, context)
    except Refused as error:
        return render(request, "console/configuration.html", context | {"problems": error.problems}, status=422)
    return render(request, "console/configuration.html", context)


def _content(request: HttpRequest) -> str:
    """The text that was uploaded, else that of the page. Raises Refused."""
    file = request.FILES.get("file")
    if file is None:
        return str(request.POST.get("content", ""))
    if (file.size or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise Refused(
            [Problem(str(file.name), f"choose a file of at most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes")]
        )
    try:
        return str(file.read(), "utf-8")
    except UnicodeError as error:
        raise Refused([Problem(str(file.name), "choose a file of text in UTF-8")]) from error


def _told(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(request.user, User)
    said = entries.read([("", context["content"])])
    do = applying.apply if context["applied"] else applying.plan
    changes = do(Order(said, context["prune"], request.user, timezone.now()))
    moved = [(report.SIGNS[change.action], change) for change in changes if change.action in report.SIGNS]
    shown = {"changes": moved[:MOST_SHOWN], "more": max(len(moved) - MOST_SHOWN, 0)}
    return shown | {"summary": report.summary(changes), "is_nothing": report.is_nothing(changes)}
