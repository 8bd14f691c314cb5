"""How pages are made: the same URL answers the whole page or, for HTMX, the part that the page includes."""

from __future__ import annotations

import json
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

PER_PAGE = 50
ENVIRONMENTS = (("production", "Production"), ("staging", "Staging"), ("development", "Development"))


def respond(request: HttpRequest, page: str, part: str, context: dict[str, Any]) -> HttpResponse:
    """Render `part` for HTMX (boosted requests get the page), else `page`, which includes it."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return render(request, part if htmx and not htmx.boosted else page, context)


def environment_of(request: HttpRequest) -> str:
    """The environment that the page is limited to, or "all"."""
    asked = request.GET.get("environment", "all")
    return asked if asked in dict(ENVIRONMENTS) else "all"


def page_of(request: HttpRequest, rows: QuerySet[Any]) -> Page[Any]:
    """The page of `rows` that is asked for; a number that does not exist gives the nearest."""
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))


def frame_of(request: HttpRequest) -> dict[str, Any]:
    """What every list page needs: environment, and the query string that links keep."""
    kept = request.GET.copy()
    kept.pop("page", None)
    query = kept.urlencode() + "&" if kept else ""
    return {"environments": ENVIRONMENTS, "environment": environment_of(request), "query": query}


def with_events(response: HttpResponse, **events: Any) -> HttpResponse:
    """Let the browser see `events` (HX-Trigger)."""
    response["HX-Trigger"] = json.dumps(events)
    return response


def text_of(request: HttpRequest, name: str = "q") -> str:
    """A search text from the query string, without what the database cannot hold."""
    return request.GET.get(name, "").replace("\0", "").strip()[:200]
