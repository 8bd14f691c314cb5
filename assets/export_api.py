"""REST: samples as CSV or Parquet."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from assets.api import SPAN_PARAMETERS, requested_span
from assets.metrics import archive, export, query
from assets.metrics.query import SeriesSelector
from assets.models import InfrastructureAsset
from assets.spans import Span
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import refuse_unknown

FORMATS = {
    "csv": ("text/csv; charset=utf-8", export.as_csv),
    "parquet": ("application/vnd.apache.parquet", export.as_parquet),
}
MAX_NAMES = 200
PARAMETERS = [
    OpenApiParameter("format", str, enum=list(FORMATS), required=True),
    OpenApiParameter("asset", str, many=True, description="An asset's id or name."),
    OpenApiParameter("metric", str, many=True, description="The name of a metric."),
    OpenApiParameter("label", str, many=True, description="name=value; all that are sent must be equal."),
    *(one for one in SPAN_PARAMETERS if one.name in ("from", "to", "range")),
]
NAMES = {one.name for one in PARAMETERS}


class Export(APIView):
    """Samples of the series that are named by asset, metric and labels, as they are stored.

    At most 1000 series and 31 days; more is refused and not cut off. Name an asset or a metric.
    """

    policy_resource = "metrics"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """`?format=` is the file's and not that of errors."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="metrics_export",
        parameters=PARAMETERS,
        responses={(200, kind.split(";")[0]): OpenApiTypes.BINARY for kind, _ in FORMATS.values()},
    )
    def get(self, request: Request) -> HttpResponseBase:
        refuse_unknown(request, NAMES)
        name = request.query_params.get("format", "")
        if name not in FORMATS:
            raise ValidationError({"format": f"send one of: {', '.join(FORMATS)}"})
        span, selector = _span(request), _selector(request)
        series = len(query.find_series(selector, export.MAX_SERIES + 1))
        if not series:
            raise NotFound("there are no such series, or they are not yours to see; look at metric, asset and label")
        if series > export.MAX_SERIES:
            advice = f"these are more than {export.MAX_SERIES} series; name fewer assets or metrics, or send labels"
            raise ValidationError({"metric": advice})
        kind, write = FORMATS[name]
        parts = export.tables(selector, series, span.start, span.end)
        return StreamingHttpResponse(write(parts), content_type=kind, headers=_headers(name, span))


def _span(request: Request) -> Span:
    span = requested_span(request)
    if span.end - span.start > export.LONGEST:
        raise ValidationError({"from": f"send at most {export.LONGEST.days} days; ask for the rest again"})
    return span


def _headers(name: str, span: Span) -> dict[str, str]:
    start, end = (moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ") for moment in (span.start, span.end))
    headers = {"Content-Disposition": f'attachment; filename="metrics-{start}-{end}.{name}"'}
    # What a proxy would hold back until it is complete is to be streamed.
    headers |= {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    notices = archive.notice(span.start, span.end, timezone.now())
    return headers | ({"X-Notice": notices[0]} if notices else {})


def _selector(request: Request) -> SeriesSelector:
    assets, metrics = _names(request, "asset"), _names(request, "metric")
    if not assets and not metrics:
        raise ValidationError({"metric": "name a metric or an asset"})
    labels: dict[str, str] = {}
    for text in _names(request, "label"):
        label, equals, value = text.partition("=")
        if not (label and equals) or labels.setdefault(label, value) != value:
            raise ValidationError({"label": "send name=value, each name once"})
    return SeriesSelector(tuple(metrics), _assets(request, assets), labels)


def _names(request: Request, parameter: str) -> list[str]:
    names = list(dict.fromkeys(request.query_params.getlist(parameter)))
    if len(names) > MAX_NAMES or any(not name or "\0" in name for name in names):
        raise ValidationError({parameter: f"send at most {MAX_NAMES} names, none of them empty"})
    return names


def _assets(request: Request, names: list[str]) -> tuple[UUID, ...]:
    """The assets that are named, or none for all: those that the policy lets the caller read."""
    rows = policy.permitted(request.user, Verb.READ, "assets", InfrastructureAsset.objects.order_by("pk"))
    if not names:
        if policy.granted(request.user, Verb.READ, "assets"):
            return ()
        return tuple(rows.values_list("pk", flat=True)) or (UUID(int=0),)
    ids = {name: known for name in names if (known := _as_uuid(name))}
    found = rows.filter(Q(pk__in=ids.values()) | Q(asset_name__in=[name for name in names if name not in ids]))
    pairs = list(found.values_list("pk", "asset_name"))
    there = {pk for pk, _ in pairs} | {name for _, name in pairs}
    if missing := [name for name in names if ids.get(name, name) not in there]:
        raise ValidationError({"asset": f"no asset has the id or name {missing[0][:200]!r}, or it is not yours to see"})
    return tuple(pk for pk, _ in pairs)


def _as_uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
