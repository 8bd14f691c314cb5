"""The console's pages of the metric catalogue, under the Assets tab."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from assets.catalogue_api import meaning_of, senders_of
from assets.metrics.identity import COLLECTION_METHODS, METRIC_TYPES
from assets.metrics.meanings import MEANINGS
from assets.models import CatalogueEntry, SeriesUsage
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

ORDERS: dict[str, tuple[str, ...]] = {
    "name": ("metric_name",),
    "series": ("-series",),
    "assets": ("-assets",),
    "seen": ("-last_seen",),
    "silent": ("last_seen",),
    "refused": ("-refused",),
}
SORTS = (
    ("name", "By name"),
    ("series", "Most series first"),
    ("assets", "Most assets first"),
    ("seen", "Last seen first"),
    ("silent", "Longest silent first"),
    ("refused", "Most refused first"),
)


@guarded("metric_catalogue", GET=Verb.READ)
def metric_list(request: HttpRequest) -> HttpResponse:
    """Every metric name that is stored."""
    q, kind, method = (htmx.text_of(request, name) for name in ("q", "type", "method"))
    sort, columns = htmx.sorted_by(request, ORDERS)
    rows = policy.permitted(request.user, Verb.READ, "metric_catalogue", CatalogueEntry.objects.all())
    rows = _filtered(rows, q, kind, method).order_by(*columns, "metric_name")
    page = htmx.page_of(request, rows)
    for entry in page:
        entry.says = meaning_of(entry)
    context = {**htmx.frame_of(request), "page": page, "q": q, "sort": sort, "sorts": SORTS}
    context |= {"type": kind, "types": METRIC_TYPES, "method": method, "methods": COLLECTION_METHODS}
    context["refusing"] = _refusing(request)
    return htmx.respond(request, "assets/metric_list.html", "assets/_metrics.html", context)


def _filtered(rows: QuerySet[CatalogueEntry], q: str, kind: str, method: str) -> QuerySet[CatalogueEntry]:
    if q:
        known = [name for name, meaning in MEANINGS.items() if q.lower() in meaning.lower()]
        rows = rows.filter(Q(metric_name__icontains=q) | Q(meaning__icontains=q) | Q(metric_name__in=known))
    if kind in METRIC_TYPES:
        rows = rows.filter(metric_types__contains=[kind])
    if method in COLLECTION_METHODS:
        rows = rows.filter(collection_methods__contains=[method])
    return rows


def _refusing(request: HttpRequest) -> list[SeriesUsage]:
    """The senders whose new series were refused last."""
    rows = policy.permitted(request.user, Verb.READ, "metric_catalogue", SeriesUsage.objects.all())
    return list(rows.filter(refused_at__isnull=False).select_related("asset", "agent").order_by("-refused_at")[:5])


@guarded("metric_catalogue", GET=Verb.READ)
def metric_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One metric: what it means, its labels, and who sends it."""
    rows = policy.permitted(request.user, Verb.READ, "metric_catalogue", CatalogueEntry.objects.all())
    entry = get_object_or_404(rows, pk=name)
    may_change = policy.may(request.user, Verb.CHANGE, "metric_catalogue")
    context: dict[str, Any] = {
        "entry": entry,
        "meaning": meaning_of(entry),
        "labels": sorted(entry.labels.items(), key=lambda label: -label[1]),
        "senders": senders_of(name),
        "limit": settings.METRIC_MAX_SERIES_PER_NAME,
        "edit_url": reverse("admin:assets_catalogueentry_change", args=[entry.pk]) if may_change else "",
    }
    return render(request, "assets/metric_detail.html", context)
