"""The console's frame: the tabs that a person's roles open, and what the frame shows of the person."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from assets.models import InfrastructureAsset
from wedsync_monitor import policy
from wedsync_monitor.embedded.demonstration.platform import MARK, PREFIX
from wedsync_monitor.policy import Verb

# id, label, icon, URL name, resource that opens it, the key that opens it after "g"
TABS = (
    ("monitoring-overview", "Overview", "chart-bar", "console:overview", "assets", "o"),
    ("infrastructure-assets", "Assets", "server", "console:assets", "assets", "a"),
    ("alert-management", "Alerts", "alert-triangle", "console:alerts", "alerts", "l"),
    ("synthetic-monitoring", "Synthetic Checks", "clock", "console:synthetic", "synthetic", "s"),
    ("capacity-planning", "Capacity", "trending-up", "console:capacity", "forecasts", "c"),
    ("automated-remediation", "Remediation", "shield", "console:remediation", "remediation_actions", "r"),
    ("dashboards", "Dashboards", "layout-dashboard", "console:dashboards", "dashboards", "d"),
    ("system", "System", "heart-rate-monitor", "console:system", "system", "y"),
)


def tabs_for(person: policy.Person, path: str) -> list[dict[str, Any]]:
    """The tabs that `person` may open; the one that `path` lies in is active."""
    return [
        {"id": name, "label": label, "icon": icon, "url": url, "key": key, "active": path.startswith(url)}
        for name, label, icon, route, resource, key in TABS
        if policy.may(person, Verb.READ, resource)
        for url in [reverse(route)]
    ]


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context of every page (a template context processor)."""
    person = getattr(request, "user", None)
    if person is None or not person.is_authenticated:
        return {"navigation": [], "roles": []}
    roles = sorted(policy.roles_of(person))
    return {
        "navigation": tabs_for(person, request.path),
        "roles": roles,
        "can_open_admin": bool(roles),
        # Called by the template of a whole page only: a refreshed part does not ask.
        "holds_demonstration": holds_demonstration,
    }


def holds_demonstration() -> bool:
    """Whether a demonstration's assets are among the others."""
    named = InfrastructureAsset.objects.filter(asset_name__startswith=PREFIX, tags__contains=[MARK])
    return named.order_by().exists()
