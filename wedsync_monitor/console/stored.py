"""Tabs whose domain has tables and no engine yet: they list what is stored, and the admin edits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse

from capacity.models import CapacityForecast
from remediation.models import RemediationAction
from wedsync_monitor import policy
from wedsync_monitor.models import MonitoringDashboard
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded


@dataclass(frozen=True)
class Listing:
    """One such tab: what it lists and how."""

    resource: str
    rows: Callable[[], QuerySet[Any]]
    heading: str
    text: str
    icon: str
    columns: dict[str, str]
    empty_text: str
    may_add: bool = True
    notice: str = ""


LISTINGS = {
    "capacity": Listing(
        "forecasts",
        lambda: CapacityForecast.objects.select_related("asset").order_by("-calculated_at"),
        "Capacity Planning",
        "Forecasts that are stored",
        "trending-up",
        {
            "Asset": "asset",
            "Metric": "metric_name",
            "Horizon (days)": "forecast_horizon_days",
            "Samples": "historical_data_points",
            "Made": "calculated_at",
        },
        "No forecast is stored.",
        may_add=False,
        notice="Forecasts are stored; none are calculated in this version.",
    ),
    "remediation": Listing(
        "remediation_actions",
        lambda: RemediationAction.objects.order_by("action_name"),
        "Auto Remediation",
        "Actions that are configured",
        "shield",
        {"Action": "action_name", "Type": "action_type", "Risk": "risk_level", "Enabled": "is_enabled"},
        "No action is configured. Add one here or by the API.",
        notice="Actions are stored; nothing runs them in this version.",
    ),
    "dashboards": Listing(
        "dashboards",
        lambda: MonitoringDashboard.objects.select_related("created_by").order_by("dashboard_name"),
        "Dashboards",
        "Dashboards that you may see",
        "layout-dashboard",
        {"Dashboard": "dashboard_name", "Type": "dashboard_type", "Public": "is_public", "Owner": "created_by"},
        "No dashboard is shared with you. Make one here or by the API.",
    ),
}


def page_of(listing: Listing) -> Callable[..., HttpResponse]:
    """The view of a tab."""

    @guarded(listing.resource, GET=Verb.READ)
    def view(request: HttpRequest) -> HttpResponse:
        rows = policy.permitted(request.user, Verb.READ, listing.resource, listing.rows())
        page = htmx.page_of(request, rows)
        opens = bool(policy.roles_of(request.user))
        shown = [{"cells": _cells(row, listing), "url": _admin(row) if opens else ""} for row in page]
        may_add = listing.may_add and policy.may(request.user, Verb.CREATE, listing.resource)
        context = {
            **htmx.frame_of(request),
            "heading": listing.heading,
            "text": listing.text,
            "notice": listing.notice,
            "icon": listing.icon,
            "columns": list(listing.columns),
            "rows": shown,
            "page": page,
            "empty_title": "Nothing here yet",
            "empty_text": listing.empty_text,
            "add_url": reverse(f"admin:{rows.model._meta.label_lower.replace('.', '_')}_add") if may_add else "",
            "add_label": "Add",
        }
        return htmx.respond(request, "stored/list.html", "stored/_list.html", context)

    return view


def _cells(row: Model, listing: Listing) -> list[tuple[str, Any]]:
    return [(label, _cell(row, name)) for label, name in listing.columns.items()]


def _cell(row: Model, name: str) -> Any:
    value = getattr(row, name)
    if isinstance(value, datetime):
        return render_to_string("components/_time.html", {"moment": value})
    return "–" if value is None else "yes" if value is True else "no" if value is False else value


def _admin(row: Model) -> str:
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])
