"""The console's tab Synthetic Checks: the list of checks, one check, and the certificates that they saw."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from assets import spans
from assets.spans import Span
from synthetic import certificates, detail, listing, objectives, standing, trying
from synthetic.models import CheckType, SyntheticCheck, SyntheticCheckResult
from synthetic.targets import Unusable
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

SORTS = (("name", "By name"), ("impact", "Highest impact first"), ("newest", "Newest first"))
ORDERS: dict[str, tuple[Any, ...]] = {
    "name": ("check_name",),
    "impact": ("-business_impact_score", "check_name"),
    "newest": ("-created_at", "check_name"),
}


def readable(request: HttpRequest) -> QuerySet[SyntheticCheck]:
    return policy.permitted(request.user, Verb.READ, "synthetic", SyntheticCheck.objects.all())


def _filtered(request: HttpRequest, environment: str) -> QuerySet[SyntheticCheck]:
    rows = readable(request)
    if environment != "all":
        rows = rows.filter(asset__environment=environment)
    if request.GET.get("type") in CheckType.values:
        rows = rows.filter(check_type=request.GET["type"])
    if q := htmx.text_of(request):
        rows = rows.filter(Q(check_name__icontains=q) | Q(target_url__icontains=q) | Q(target_host__icontains=q))
    return rows


@guarded("synthetic", GET=Verb.READ)
def check_list(request: HttpRequest) -> HttpResponse:
    """All checks with their status and their last periods."""
    frame, now = htmx.frame_of(request), timezone.now()
    sort, columns = htmx.sorted_by(request, ORDERS)
    rows, status = _filtered(request, frame["environment"]), request.GET.get("status", "")
    statuses = listing.statuses_of(rows, now)
    if status in listing.STATUSES:
        rows = rows.filter(pk__in=[pk for pk, one in statuses.items() if one == status])
    page = htmx.page_of(request, rows.order_by(*columns))
    page.object_list = listing.rows_of(list(page.object_list), now)
    context = {**frame, "page": page, "q": htmx.text_of(request), "status": status}
    context |= {"type": request.GET.get("type", ""), "types": CheckType.choices, "sort": sort, "sorts": SORTS}
    context["counts"] = listing.counted(statuses.values())
    context["may_manage"] = policy.may(request.user, Verb.CREATE, "synthetic")
    return htmx.respond(request, "synthetic/check_list.html", "synthetic/_checks.html", context)


def check_for(request: HttpRequest, pk: UUID, verb: Verb = Verb.READ) -> SyntheticCheck:
    rows = policy.permitted(request.user, verb, "synthetic", SyntheticCheck.objects.select_related("asset"))
    found: SyntheticCheck = get_object_or_404(rows, pk=pk)
    return found


def _picked(
    request: HttpRequest, check: SyntheticCheck, seen: list[SyntheticCheckResult]
) -> SyntheticCheckResult | None:
    """The result that the address asks for, else the last one."""
    try:
        asked = UUID(request.GET.get("result", ""))
    except ValueError:
        return seen[0] if seen else None
    return standing.results_of(check).filter(pk=asked).first()


@guarded("synthetic", GET=Verb.READ)
def check_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One check: its verdicts, response times, phases, certificates and last results."""
    check, now = check_for(request, pk), timezone.now()
    chosen = request.GET.get("range", "24h")
    chosen = chosen if chosen in spans.RANGES else "24h"
    span = Span(now - spans.RANGES[chosen], now)
    found, seen = list(check.places.all()), detail.last_results(check)
    picked, status = _picked(request, check, seen), listing.status_of(check, found, now)
    certified = certificates.last_of(check, seen, now)
    context = {
        "check": check,
        "target": standing.target_of(check),
        "status": status,
        "tone": listing.TONES.get(status, "tone-none"),
        "places": detail.places_of(check, found, seen, now),
        "performance": standing.performance_of(check, span),
        "availability": standing.availability_of(check, span),
        "objective": objectives.objective_of(check, now),
        "chart": detail.chart_of(check, span),
        "results": seen,
        "picked": picked,
        "phases": detail.waterfall(picked.network_info or {}) if picked else [],
        "chain": detail.chain_of(certified.certificate_info, now) if certified else [],
        "certified": certified,
        "ranges": list(spans.RANGES),
        "range": chosen,
        "may_change": policy.may(request.user, Verb.CHANGE, "synthetic"),
        "may_delete": policy.may(request.user, Verb.DELETE, "synthetic"),
        "may_read_alerts": policy.may(request.user, Verb.READ, "alerts"),
    }
    return htmx.respond(request, "synthetic/check_detail.html", "synthetic/_detail.html", context)


def tried(check: SyntheticCheck) -> dict[str, Any]:
    """What a run of the check saw just now, or why it was not run."""
    try:
        told = trying.told(trying.try_out(check))
    except (Unusable, trying.Busy) as error:
        return {"refused": str(error)}
    return {"told": told, "phases": detail.waterfall(told["network_timing"] or {})}


@guarded("synthetic", GET=Verb.CHANGE, POST=Verb.CHANGE)
def check_run(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Run a check now, once and from this server; nothing is kept. Whoever had to sign in again first comes back by
    GET: to the check, where the button is."""
    check = check_for(request, pk, Verb.CHANGE)
    if request.method != "POST":
        return redirect("console:check", pk=pk)
    context = {"check": check, **tried(check)}
    return htmx.respond(request, "synthetic/check_tried.html", "synthetic/_tried.html", context)


@guarded("synthetic", GET=Verb.READ)
def certificate_list(request: HttpRequest) -> HttpResponse:
    """The certificates that checks saw, the earliest expiry first."""
    frame, now = htmx.frame_of(request), timezone.now()
    page = htmx.page_of(request, certificates.by_expiry(_filtered(request, frame["environment"]), now))
    page.object_list = certificates.lines_of(list(page.object_list), now)
    context = {**frame, "page": page, "q": htmx.text_of(request)}
    return htmx.respond(request, "synthetic/certificate_list.html", "synthetic/_certificates.html", context)
