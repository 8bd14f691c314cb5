"""The console's first page: how the whole infrastructure is."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from alerts.listing import alerts_shown
from alerts.views import prepared
from assets.models import InfrastructureAsset
from wedsync_monitor import policy, readiness
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded


def tone_of(percent: float) -> str:
    return "tone-good" if percent >= 90 else "tone-warn" if percent >= 70 else "tone-bad"


@guarded("assets", GET=Verb.READ)
def overview(request: HttpRequest) -> HttpResponse:
    """Cards, critical alerts, and health by environment."""
    frame = htmx.frame_of(request)
    assets = policy.permitted(request.user, Verb.READ, "assets", InfrastructureAsset.objects.all())
    counts = _counts(assets, frame["environment"])
    alerts = policy.permitted(request.user, Verb.READ, "alerts", alerts_shown()).filter(status="open")
    if frame["environment"] != "all":
        alerts = alerts.filter(asset__environment=frame["environment"])
    numbers = alerts.order_by().aggregate(
        total=Count("pk"),
        critical=Count("pk", filter=Q(severity="critical")),
        high=Count("pk", filter=Q(severity="high")),
    )
    critical = prepared(alerts.filter(severity="critical").order_by("-first_triggered_at")[:5], timezone.now())
    problems = [f"Monitoring itself: {text}." for text in readiness.problems()]
    context = {**frame, "cards": _cards(counts, numbers), "critical": critical, "problems": problems}
    context["by_environment"] = [_row(one) for one in counts]
    return htmx.respond(request, "console/overview.html", "console/_overview.html", context)


def _counts(assets: QuerySet[InfrastructureAsset], environment: str) -> list[dict[str, Any]]:
    """One query: assets by environment and health."""
    rows = assets.filter(is_active=True).order_by()
    found: Any = rows.values("environment").annotate(
        total=Count("pk"),
        important=Count("pk", filter=Q(is_critical=True)),
        **{name: Count("pk", filter=Q(health__health_status=name)) for name in ("healthy", "degraded", "unhealthy")},
    )
    known = {row["environment"]: row for row in found}
    nothing = {"total": 0, "important": 0, "healthy": 0, "degraded": 0, "unhealthy": 0}
    wanted = [name for name, _ in htmx.ENVIRONMENTS if environment in ("all", name)]
    return [known.get(name, {"environment": name, **nothing}) for name in wanted]


def _row(one: dict[str, Any]) -> dict[str, Any]:
    percent = 100 * one["healthy"] / one["total"] if one["total"] else 0.0
    return {**one, "percent": percent, "tone": tone_of(percent) if one["total"] else "tone-none"}


def _cards(counts: list[dict[str, Any]], alerts: dict[str, int]) -> list[dict[str, Any]]:
    total = {key: sum(one[key] for one in counts) for key in ("total", "important", "healthy", "degraded", "unhealthy")}
    percent = 100 * total["healthy"] / total["total"] if total["total"] else 0.0
    issues = total["degraded"] + total["unhealthy"]
    return [
        {
            "title": "System Health",
            "value": f"{percent:.1f}%",
            "tone": tone_of(percent),
            "icon": "circle-check",
            "percent": percent,
            "caption": f"{total['healthy']}/{total['total']} assets healthy",
        },
        {
            "title": "Active Alerts",
            "value": alerts["total"],
            "tone": "tone-bad" if alerts["total"] else "tone-good",
            "icon": "alert-triangle",
            "percent": None,
            "caption": f"{alerts['critical']} critical, {alerts['high']} high",
        },
        {
            "title": "Infrastructure Assets",
            "value": total["total"],
            "tone": "tone-info",
            "icon": "server",
            "percent": None,
            "caption": f"{total['important']} critical assets",
        },
        {
            "title": "Issues",
            "value": issues,
            "tone": "tone-warn" if issues else "tone-good",
            "icon": "shield",
            "percent": None,
            "caption": f"{total['unhealthy']} unhealthy, {total['degraded']} degraded",
        },
    ]
