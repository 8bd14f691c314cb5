"""How pages are made: the same URL answers the whole page or, for HTMX, the part that the page includes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

PER_PAGE = 50
ENVIRONMENTS = (("production", "Production"), ("staging", "Staging"), ("development", "Development"))


def respond(request: HttpRequest, page: str, part: str, context: dict[str, Any]) -> HttpResponse:
    """Render `part` for HTMX, else `page`, which includes it; boosted requests and those that restore a page of the
    browser's history get the page."""
    htmx = request.htmx  # type: ignore[attr-defined]
    wants_part = htmx and not htmx.boosted and not htmx.history_restore_request
    response = render(request, part if wants_part else page, context)
    # One URL has two answers: a cache must not give the part to somebody who goes back to the page.
    patch_vary_headers(response, ["HX-Request"])
    return response


def environment_of(request: HttpRequest) -> str:
    """The environment that the page is limited to, or "all"."""
    asked = request.GET.get("environment", "all")
    return asked if asked in dict(ENVIRONMENTS) else "all"


def page_of(request: HttpRequest, rows: QuerySet[Any]) -> Page[Any]:
    """The page of `rows` that is asked for; a number that does not exist gives the nearest."""
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))


def frame_of(request: HttpRequest) -> dict[str, Any]:
    """What every list page needs: environment, and what links and the environment's form keep of the query string."""
    kept = request.GET.copy()
    kept.pop("page", None)
    query = kept.urlencode() + "&" if kept else ""
    others = [(name, value) for name, values in kept.lists() if name != "environment" for value in values]
    return {"environments": ENVIRONMENTS, "environment": environment_of(request), "query": query, "others": others}


def sorted_by(request: HttpRequest, orders: Mapping[str, tuple[Any, ...]]) -> tuple[str, tuple[Any, ...]]:
    """The name and columns of the order that `?sort=` asks for; the first of `orders` where it asks for none."""
    asked = request.GET.get("sort", "")
    name = asked if asked in orders else next(iter(orders))
    return name, orders[name]


def with_events(response: HttpResponse, **events: Any) -> HttpResponse:
    """Let the browser see `events` (HX-Trigger)."""
    response["HX-Trigger"] = json.dumps(events)
    return response


def text_of(request: HttpRequest, name: str = "q") -> str:
    """A search text from the query string, without what the database cannot hold."""
    return request.GET.get(name, "").replace("\0", "").strip()[:200]
