"""The console's Assets tab."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import Case, F, Q, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from assets import assessment, charts, spans, topology
from assets.api import with_alerts
from assets.forms import AssetForm
from assets.metrics import archive, query
from assets.metrics.query import SeriesSelector
from assets.models import HealthStatus, InfrastructureAsset
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

ICONS = {
    "server": "server",
    "database": "database",
    "load_balancer": "network",
    "container": "box",
    "service": "bolt",
}
TITLES = {
    "cpu_usage_percent": "CPU Usage",
    "memory_usage_percent": "Memory Usage",
    "disk_usage_percent": "Disk Usage",
    "network_io_mbps": "Network I/O",
    "response_time_ms": "Response Time",
    "error_rate_percent": "Error Rate",
    "request_rate_per_second": "Request Rate",
}
SORTS = (("name", "By name"), ("health", "Worst health first"), ("updated", "Last reported first"))
WORST_FIRST = Case(
    *(When(health__health_status=name, then=Value(rank)) for rank, name in enumerate(("unhealthy", "degraded"))),
    When(health__health_status="healthy", then=Value(3)),
    default=Value(2),
)
ORDERS: dict[str, tuple[Any, ...]] = {
    "name": ("asset_name",),
    "health": (WORST_FIRST,),
    "updated": (F("health__last_metric_timestamp").desc(nulls_last=True),),
}


@guarded("assets", GET=Verb.READ)
def asset_list(request: HttpRequest) -> HttpResponse:
    """All assets, as cards."""
    frame, q, health = htmx.frame_of(request), htmx.text_of(request), request.GET.get("health", "")
    sort, columns = htmx.sorted_by(request, ORDERS)
    readable = policy.permitted(request.user, Verb.READ, "assets", InfrastructureAsset.objects.all())
    rows = readable.order_by(*columns, "asset_name")
    if frame["environment"] != "all":
        rows = rows.filter(environment=frame["environment"])
    if q:
        rows = rows.filter(asset_name__icontains=q)
    if health in HealthStatus.values:
        rows = rows.filter(Q(health__health_status=health) | (Q(health=None) if health == "unknown" else Q(pk=None)))
    page = htmx.page_of(request, rows)
    shown = {
        asset.pk: asset for asset in with_alerts(InfrastructureAsset.objects.filter(pk__in=[one.pk for one in page]))
    }
    page.object_list = [shown[one.pk] for one in page]
    for asset in page:
        asset.icon = ICONS[asset.asset_type]
        asset.health_status = asset.health.health_status if hasattr(asset, "health") else "unknown"
    context = {**frame, "page": page, "q": q, "health": health, "healths": HealthStatus.choices}
    context |= {"sort": sort, "sorts": SORTS}
    context["may_manage"] = policy.may(request.user, Verb.CHANGE, "assets")
    return htmx.respond(request, "assets/asset_list.html", "assets/_assets.html", context)


def _asset(request: HttpRequest, pk: UUID, verb: Verb = Verb.READ) -> InfrastructureAsset:
    rows = policy.permitted(request.user, verb, "assets", InfrastructureAsset.objects.prefetch_related("agents"))
    return get_object_or_404(rows, pk=pk)


@guarded("assets", GET=Verb.READ)
def asset_metrics(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Charts of everything that the asset reports, the standard metrics first."""
    asset = _asset(request, pk)
    chosen = request.GET.get("range", "1h")
    chosen = chosen if chosen in spans.RANGES else "1h"
    stored = {series.metric_name for series in query.find_series(SeriesSelector(asset_ids=(asset.pk,)))}
    names = [name for name in charts.STANDARD if name in stored]
    names += sorted(stored - set(charts.STANDARD) - {assessment.SCORE_SERIES})
    url = reverse("asset-chart", args=[asset.pk])
    drawn = [
        {
            "title": TITLES.get(name, name.replace("_", " ")),
            "url": f"{url}?{urlencode({'metric': name, 'range': chosen})}",
        }
        for name in names[: charts.MAX_SERIES]
    ]
    context = {
        "asked": request.GET.get("range", chosen),
        "asset": asset,
        "charts": drawn,
        "notices": archive.notice(timezone.now() - spans.RANGES[chosen], timezone.now(), timezone.now()),
        "ranges": list(spans.RANGES),
        "range": chosen,
    }
    return render(request, "assets/asset_metrics.html", context)


@guarded("assets", GET=Verb.READ)
def asset_health(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How healthy the asset is now, why, and what to do."""
    asset = _asset(request, pk)
    trend = f"{reverse('asset-chart', args=[pk])}?{urlencode({'metric': assessment.SCORE_SERIES, 'range': '24h'})}"
    context = {"asset": asset, "judged": assessment.assess_one(asset, timezone.now()), "trend_url": trend}
    return htmx.respond(request, "assets/asset_health.html", "assets/_health.html", context)


def _saving_alone(request: HttpRequest) -> AbstractContextManager[None]:
    return topology.alone() if request.method == "POST" else nullcontext()


def _edit(request: HttpRequest, asset: InfrastructureAsset, heading: str) -> HttpResponse:
    form = AssetForm(request.POST if request.method == "POST" else None, instance=asset)
    if request.method == "POST" and form.is_valid():
        if asset._state.adding:
            form.instance.created_by = request.user  # type: ignore[assignment]
        form.save()
        messages.success(request, f"{form.instance.asset_name} is saved.")
        return redirect("console:assets")
    text = "What it is, where it runs, and how it is monitored"
    context = {"form": form, "heading": heading, "text": text, "back": reverse("console:assets")}
    return render(request, "components/form_page.html", context, status=422 if form.errors else 200)


@guarded("assets", GET=Verb.CREATE, POST=Verb.CREATE)
def asset_new(request: HttpRequest) -> HttpResponse:
    """Register an asset."""
    with _saving_alone(request):
        return _edit(request, InfrastructureAsset(), "Register an asset")


@guarded("assets", GET=Verb.CHANGE, POST=Verb.CHANGE)
def asset_configure(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change an asset's configuration."""
    with _saving_alone(request):
        asset = _asset(request, pk, Verb.CHANGE)
        return _edit(request, asset, f"Configure {asset.asset_name}")
