"""The page of a link in a message: a button, because looking at it must change nothing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from alerts import links
from alerts.lifecycle import Refused


@never_cache
@csrf_exempt  # the link is the whole authority, also in a browser that keeps no cookies
@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows the alert and the button, POST acknowledges it."""
    now = timezone.now()
    try:
        if request.method == "POST":
            return _page(request, 200, link=links.use(token, now), done=True)
        return _page(request, 200, link=links.read(token, now))
    except links.Unusable as error:
        return _page(request, 410 if error.gone else 404, problem=str(error))
    except Refused as error:
        return _page(request, 409, problem=f"{error}.".capitalize())


def _page(request: HttpRequest, status: int, **context: Any) -> HttpResponse:
    response = render(request, "alerts/acknowledge_link.html", context, status=status)
    # The address is a key: it is not passed on to where the page leads.
    response["Referrer-Policy"] = "no-referrer"
    return response
