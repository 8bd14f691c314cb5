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

HEALTH = ("healthy", "degraded", "unhealthy")


def tone_of(percent: float | None) -> str:
    if percent is None:
        return "tone-none"
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
        **{name: Count("pk", filter=Q(health__health_status=name)) for name in HEALTH},
    )
    known = {row["environment"]: row for row in found}
    nothing = dict.fromkeys(("total", "important", *HEALTH), 0)
    wanted = [name for name, _ in htmx.ENVIRONMENTS if environment in ("all", name)]
    return [known.get(name, {"environment": name, **nothing}) for name in wanted]


def _healthy_percent(one: dict[str, Any]) -> float | None:
    """The healthy among the assets whose health is known; what nobody knows counts for neither side."""
    known = sum(one[name] for name in HEALTH)
    return 100 * one["healthy"] / known if known else None


def _row(one: dict[str, Any]) -> dict[str, Any]:
    percent = _healthy_percent(one)
    return {**one, "percent": percent, "unknown": _unknown(one), "tone": tone_of(percent)}


def _unknown(one: dict[str, Any]) -> int:
    return int(one["total"] - sum(one[name] for name in HEALTH))


def _cards(counts: list[dict[str, Any]], alerts: dict[str, int]) -> list[dict[str, Any]]:
    total = {key: sum(one[key] for one in counts) for key in ("total", "important", *HEALTH)}
    percent, unknown, important = _healthy_percent(total), _unknown(total), total["important"]
    issues = total["degraded"] + total["unhealthy"]
    return [
        {
            "title": "System Health",
            "value": "–" if percent is None else f"{percent:.1f}%",
            "tone": tone_of(percent),
            "icon": "circle-check",
            "percent": percent,
            "caption": f"{total['healthy']}/{total['total'] - unknown} assets healthy"
            + (f", {unknown} unknown" if unknown else ""),
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
            "caption": "1 asset is critical" if important == 1 else f"{important} assets are critical",
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
