"""REST: assets, their metrics and health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assets import assessment, charts, topology
from assets.metrics import archive, query
from assets.metrics.query import SeriesSelector
from assets.metrics.samples import Series
from assets.models import HealthStatus, InfrastructureAsset
from assets.spans import RANGES, BadSpan, Span, span_of
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import Conflict
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer, refuse_unknown

LIVE = ("open", "acknowledged")
SPAN_PARAMETERS = [
    OpenApiParameter("from", str, description="ISO 8601 with a time zone."),
    OpenApiParameter("to", str, description="ISO 8601 with a time zone; now where left out."),
    OpenApiParameter("range", str, enum=list(RANGES), description="1h where left out."),
    OpenApiParameter("metric", str, many=True, description="The name of a metric; all of them where left out."),
    OpenApiParameter(
        "points", int, description=f"Of each series at most, from 2 to 10000; {charts.POINTS} by default."
    ),
]
SPAN_NAMES = {"format"} | {one.name for one in SPAN_PARAMETERS}
# More would be read whole into memory, whoever asks.
MAX_READ_SERIES = 500


class AssetFilters(filters.FilterSet):
    health_status = filters.ChoiceFilter(choices=HealthStatus.choices, method="by_health")
    tag = filters.CharFilter(method="by_tag")
    q = filters.CharFilter(field_name="asset_name", lookup_expr="icontains")
    ordering = filters.OrderingFilter(
        fields={
            "asset_name": "asset_name",
            "asset_type": "asset_type",
            "environment": "environment",
            "created_at": "created_at",
            "health__health_status": "health_status",
            "health__health_score": "health_score",
            "health__last_metric_timestamp": "last_metric_timestamp",
        }
    )

    class Meta:
        model = InfrastructureAsset
        fields = ["environment", "asset_type", "asset_category", "provider", "is_critical", "is_active"]

    def by_health(self, rows: QuerySet[InfrastructureAsset], name: str, value: str) -> QuerySet[InfrastructureAsset]:
        unknown = Q(health=None) if value == HealthStatus.UNKNOWN else Q()
        return rows.filter(Q(health__health_status=value) | unknown)

    def by_tag(self, rows: QuerySet[InfrastructureAsset], name: str, value: str) -> QuerySet[InfrastructureAsset]:
        return rows.filter(tags__contains=[value])


class AssetSerializer(StrictSerializer):
    """An asset with the specification's fields; health and alerts are read only."""

    parent_asset_id = serializers.PrimaryKeyRelatedField(
        source="parent_asset", queryset=InfrastructureAsset.objects.all(), allow_null=True, required=False
    )
    health_status = serializers.SerializerMethodField()
    last_metric_timestamp = serializers.SerializerMethodField()
    active_alerts = serializers.SerializerMethodField()

    class Meta:
        model = InfrastructureAsset
        fields = [
            "id", "asset_name", "asset_type", "asset_category", "environment", "location", "provider",
            "configuration", "tags", "parent_asset_id", "dependencies", "monitoring_config", "is_critical", "is_active",
            "health_status", "last_metric_timestamp", "active_alerts", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]

    def get_health_status(self, asset: InfrastructureAsset) -> str:
        return asset.health.health_status if hasattr(asset, "health") else HealthStatus.UNKNOWN.value

    def get_last_metric_timestamp(self, asset: InfrastructureAsset) -> Any:
        seen = asset.health.last_metric_timestamp if hasattr(asset, "health") else None
        return serializers.DateTimeField().to_representation(seen) if seen else None

    def get_active_alerts(self, asset: InfrastructureAsset) -> int:
        return getattr(asset, "active_alerts", 0)


def with_alerts(rows: QuerySet[InfrastructureAsset]) -> QuerySet[InfrastructureAsset]:
    """`rows` with their health and the number of their open and acknowledged alerts."""
    live = Count("alert_instances", filter=Q(alert_instances__status__in=LIVE))
    return rows.select_related("health").annotate(active_alerts=live)


def summary_of(rows: QuerySet[InfrastructureAsset]) -> dict[str, Any]:
    """Counts over all of `rows`, in one query."""
    grouped: Any = (
        rows.order_by()
        .values("environment", "asset_type", "is_critical")
        .annotate(
            number=Count("pk"),
            **{
                status: Count("pk", filter=Q(health__health_status=status))
                for status in (HealthStatus.HEALTHY.value, HealthStatus.DEGRADED.value, HealthStatus.UNHEALTHY.value)
            },
        )
    )
    totals = {"total_assets": 0, "healthy_assets": 0, "degraded_assets": 0, "unhealthy_assets": 0, "critical_assets": 0}
    environments: dict[str, int] = {}
    types: dict[str, int] = {}
    for group in grouped:
        totals["total_assets"] += group["number"]
        totals["critical_assets"] += group["number"] if group["is_critical"] else 0
        for status in ("healthy", "degraded", "unhealthy"):
            totals[f"{status}_assets"] += group[status]
        environments[group["environment"]] = environments.get(group["environment"], 0) + group["number"]
        types[group["asset_type"]] = types.get(group["asset_type"], 0) + group["number"]
    return {"asset_summary": totals, "environment_breakdown": environments, "asset_type_breakdown": types}


class Assets(Resources):
    """List assets with a summary of all that match; register an asset."""

    policy_resource, listed_as = "assets", "assets"
    rows = InfrastructureAsset.objects.order_by("asset_name")
    serializer_class = AssetSerializer
    filterset_class = AssetFilters
    envelope = {"asset_summary": dict, "environment_breakdown": dict, "asset_type_breakdown": dict}

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with topology.alone():
            return super().post(request, *args, **kwargs)

    def shown(self, page: Sequence[InfrastructureAsset]) -> Sequence[Any]:
        found = with_alerts(InfrastructureAsset.objects.all()).in_bulk([asset.pk for asset in page])
        return super().shown([found[asset.pk] for asset in page if asset.pk in found])

    def around(self, rows: QuerySet[InfrastructureAsset]) -> dict[str, Any]:
        return summary_of(rows)


class Asset(Resource):
    """One asset: read, change, remove."""

    policy_resource = "assets"
    rows = with_alerts(InfrastructureAsset.objects.all())
    serializer_class = AssetSerializer
    more_parameters = ("detach",)

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with topology.alone():
            return super().partial_update(request, *args, **kwargs)

    @extend_schema(parameters=[OpenApiParameter("detach", bool, description="Also where other assets need it.")])
    def delete(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Remove the asset with its agents and metrics. While others have it as their parent or need it that is
        refused, unless ?detach=true lets them go."""
        with topology.alone():
            return super().delete(request, *args, **kwargs)

    def perform_destroy(self, instance: InfrastructureAsset) -> None:
        dependants = instance.dependants()
        if dependants and self.request.query_params.get("detach") != "true":
            names = ", ".join(one.asset_name for one in dependants[:10])
            raise Conflict(
                f"These assets have it as their parent or need it: {names}. Change them or send ?detach=true."
            )
        for one in dependants:
            one.detach(instance)
        instance.delete()


def requested_span(request: Request, default: str = "1h") -> Span:
    """The span of the query parameters; 400 where they make none."""
    try:
        return span_of(request.query_params, timezone.now(), default)
    except BadSpan as error:
        raise ValidationError({error.field: str(error)}) from error


def readable_asset(request: Request, pk: UUID, resource: str = "assets") -> InfrastructureAsset:
    rows = policy.permitted(request.user, Verb.READ, resource, InfrastructureAsset.objects.prefetch_related("agents"))
    return get_object_or_404(rows, pk=pk)


def requested_points(request: Request) -> int:
    text = request.query_params.get("points", str(charts.POINTS))
    if not (text.isdecimal() and len(text) < 10 and 2 <= int(text) <= 10_000):
        raise ValidationError({"points": "send a whole number from 2 to 10000"})
    return int(text)


def requested_metrics(request: Request) -> list[str]:
    names = request.query_params.getlist("metric")
    if any("\0" in name for name in names) or len(names) > charts.MAX_SERIES:
        raise ValidationError({"metric": f"send at most {charts.MAX_SERIES} names of metrics"})
    return names


def requested_series(request: Request, asset: InfrastructureAsset) -> list[Series]:
    """The series of the metrics that are asked for; 400 where these are more than one answer can hold."""
    names = requested_metrics(request)
    found = query.find_series(SeriesSelector(tuple(names), (asset.pk,)))
    if len(found) > MAX_READ_SERIES:
        advice = f"these are {len(found)} series; name fewer metrics, so that they have at most {MAX_READ_SERIES}"
        raise ValidationError({"metric": advice})
    return found


def json_answer(body: dict[str, Any]) -> HttpResponse:
    """Tens of thousands of points, for which a renderer that looks at each of them in Python is too slow."""
    return HttpResponse(msgspec.json.encode(body), content_type="application/json")


NOTICES = serializers.ListField(child=serializers.CharField(), help_text="Which days are archived and not read.")
SHOWN_METRICS = inline_serializer(
    "AssetMetrics",
    {
        "asset_info": inline_serializer(
            "AssetInfo",
            {
                "id": serializers.UUIDField(),
                "asset_name": serializers.CharField(),
                "asset_type": serializers.CharField(),
                "environment": serializers.CharField(),
            },
        ),
        "current_metrics": serializers.DictField(help_text="The newest value by metric, and last_updated."),
        "metric_history": inline_serializer(
            "MetricHistory",
            {
                "time_range": serializers.DictField(child=serializers.DateTimeField()),
                "metrics": serializers.DictField(child=serializers.ListField(child=serializers.DictField())),
            },
        ),
        "performance_indicators": inline_serializer(
            "PerformanceIndicators",
            {
                name: serializers.FloatField(allow_null=True)
                for name in (
                    "availability_percentage", "mean_response_time", "error_budget_remaining", "performance_score"
                )
            },
        ),
        "notices": NOTICES,
    },
)  # fmt: skip


@extend_schema(parameters=SPAN_PARAMETERS, responses={200: SHOWN_METRICS})
class AssetMetrics(APIView):
    """Current values, history and indicators of an asset: ?from&to or ?range, ?metric (repeatable), ?points."""

    policy_resource = "assets"

    def get(self, request: Request, pk: UUID) -> HttpResponse:
        asset, span, now = readable_asset(request, pk), requested_span(request), timezone.now()
        refuse_unknown(request, SPAN_NAMES)
        points, series = requested_points(request), requested_series(request, asset)
        known = (
            query.find_series(SeriesSelector(charts.STANDARD, (asset.pk,))) if requested_metrics(request) else series
        )
        judged = assessment.assess_one(asset, now)
        return json_answer(
            {
                "asset_info": {
                    "id": str(asset.pk),
                    "asset_name": asset.asset_name,
                    "asset_type": asset.asset_type,
                    "environment": asset.environment,
                },
                "current_metrics": charts.current(known, now, now - assessment.CURRENT),
                "metric_history": {
                    "time_range": {"from": charts.iso(span.start), "to": charts.iso(span.end)},
                    "metrics": charts.history(charts.read(series, span), points),
                },
                "performance_indicators": charts.indicators(asset, known, span, now, judged.score),
                "notices": archive.notice(span.start, span.end, now),
            }
        )


SHOWN_CHART = inline_serializer(
    "AssetChart",
    {
        "series": inline_serializer(
            "ChartSeries",
            {
                "label": serializers.CharField(),
                "unit": serializers.CharField(),
                "points": serializers.ListField(child=serializers.ListField(child=serializers.FloatField())),
            },
            many=True,
        ),
        "thresholds": serializers.ListField(child=serializers.DictField()),
        "annotations": serializers.ListField(child=serializers.DictField()),
        "notices": NOTICES,
    },
)


@extend_schema(parameters=SPAN_PARAMETERS, responses={200: SHOWN_CHART})
class AssetChart(APIView):
    """One chart: {span: [ms, ms], series: [{label, unit, points: [[ms, value]]}], thresholds, annotations}."""

    policy_resource = "assets"

    def get(self, request: Request, pk: UUID) -> HttpResponse:
        asset, span = readable_asset(request, pk), requested_span(request)
        refuse_unknown(request, SPAN_NAMES)
        points, samples = requested_points(request), charts.read(requested_series(request, asset), span)
        ends = [int(moment.timestamp() * 1000) for moment in (span.start, span.end)]
        lines = charts.thresholds(samples)
        notices = archive.notice(span.start, span.end, timezone.now())
        drawn = charts.chart(samples, points)
        return json_answer({"span": ends, "series": drawn, "thresholds": lines, "annotations": [], "notices": notices})


SHOWN_HEALTH = inline_serializer(
    "AssetHealth",
    {
        "asset_id": serializers.UUIDField(),
        "overall_health": serializers.ChoiceField(choices=HealthStatus.choices),
        "health_score": serializers.FloatField(allow_null=True),
        **{
            name: serializers.ListField(child=serializers.DictField())
            for name in ("health_factors", "active_alerts", "recommendations", "health_trend")
        },
    },
)


@extend_schema(responses={200: SHOWN_HEALTH})
class AssetHealthView(APIView):
    """The asset's health now, why, what to do, and how it was. `unknown` and null where there are no data."""

    policy_resource = "assets"

    def get(self, request: Request, pk: UUID) -> Response:
        refuse_unknown(request, {"format"})
        asset, now = readable_asset(request, pk), timezone.now()
        judged = assessment.assess_one(asset, now)
        factors = [{key: value for key, value in asdict(one).items() if key != "score"} for one in judged.factors]
        trend = assessment.trend(asset.pk, now - timedelta(hours=24), now)
        return Response(
            {
                "asset_id": str(asset.pk),
                "overall_health": judged.status,
                "health_score": judged.score,
                "health_factors": factors,
                "active_alerts": active_alerts(request, asset),
                "recommendations": [asdict(one) for one in judged.recommendations],
                "health_trend": [
                    {"timestamp": charts.stamp(one["timestamp_ms"]), "health_score": one["health_score"]}
                    for one in trend
                ],
            }
        )


_RANK = Case(
    *(When(severity=name, then=Value(rank)) for rank, name in enumerate(("critical", "high", "medium", "low"))),
    output_field=IntegerField(),
)


def active_alerts(request: Request, asset: InfrastructureAsset) -> list[dict[str, Any]]:
    """The asset's open and acknowledged alerts that the caller may see, worst first."""
    now = timezone.now()
    alerts = policy.permitted(request.user, Verb.READ, "alerts", asset.alert_instances.filter(status__in=LIVE))
    return [
        {
            "alert_id": str(alert.pk),
            "severity": alert.severity,
            "title": alert.alert_title,
            "duration_minutes": int((now - alert.first_triggered_at).total_seconds() // 60),
        }
        for alert in alerts.order_by(_RANK, "first_triggered_at")[:100]
    ]
