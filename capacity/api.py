"""REST: forecasts of capacity as they are stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from rest_framework import generics, serializers

from assets.assessment import CURRENT
from assets.metrics import query
from capacity.models import CapacityForecast, ForecastAlgorithm
from capacity.outlook import Outlook, outlook_of
from wedsync_monitor.web.resources import Resources, RowsByPolicy

FASTEST = 10


class ForecastSerializer(serializers.ModelSerializer[CapacityForecast]):
    """A forecast as lists show it; null where the stored forecast does not say."""

    asset_name = serializers.CharField(source="asset.asset_name", read_only=True)
    current_value = serializers.FloatField(
        read_only=True, allow_null=True, help_text="The newest sample; of several series the largest."
    )
    forecasted_peak = serializers.FloatField(source="outlook.peak", read_only=True, allow_null=True)
    capacity_threshold = serializers.FloatField(source="outlook.threshold", read_only=True, allow_null=True)
    utilization_trend = serializers.ChoiceField(
        choices=["increasing", "stable", "decreasing"], source="outlook.trend", read_only=True, allow_null=True
    )
    days_until_threshold = serializers.FloatField(
        read_only=True, allow_null=True, help_text="From the calculation on; null where the forecast stays below."
    )
    confidence_score = serializers.FloatField(source="accuracy_score", read_only=True, allow_null=True)
    last_calculated = serializers.DateTimeField(source="calculated_at", read_only=True)

    class Meta:
        model = CapacityForecast
        fields = [
            "id", "asset_id", "asset_name", "metric_name", "forecast_horizon_days", "forecast_algorithm",
            "current_value", "forecasted_peak", "capacity_threshold", "utilization_trend", "days_until_threshold",
            "confidence_score", "last_calculated", "valid_until",
        ]  # fmt: skip

    def to_representation(self, forecast: CapacityForecast) -> dict[str, Any]:
        outlook = read(forecast)
        days = outlook.days_until_threshold(forecast.calculated_at)
        vars(forecast).update(outlook=outlook, days_until_threshold=days)
        return super().to_representation(forecast)


class ForecastDetailSerializer(ForecastSerializer):
    """A forecast with its values and what it was made from."""

    class Meta(ForecastSerializer.Meta):
        fields = [
            *ForecastSerializer.Meta.fields, "historical_data_points", "forecast_values", "confidence_intervals",
            "trend_analysis", "seasonal_analysis", "capacity_thresholds", "recommendations", "model_metadata",
            "created_at",
        ]  # fmt: skip


def read(forecast: CapacityForecast) -> Outlook:
    return outlook_of(forecast.forecast_values, forecast.capacity_thresholds)


def with_current(page: Sequence[CapacityForecast], now: datetime) -> Sequence[CapacityForecast]:
    """The same forecasts, each with the newest value of its metric, read for all of them at once."""
    values: dict[tuple[UUID, str], float] = {}
    if page:
        names, assets = {one.metric_name for one in page}, {one.asset_id for one in page}
        samples = query.read(query.SeriesSelector(tuple(names), tuple(assets)), now - CURRENT, now)
        newest = samples.aggregate("last", int((now - CURRENT).timestamp() * 1000), int(now.timestamp() * 1000))
        for series, value in zip(samples.series, newest.tolist(), strict=True):
            key = (series.asset_id, series.metric_name)
            values[key] = value if key not in values else max(values[key], value)
    for one in page:
        value = values.get((one.asset_id, one.metric_name), math.nan)
        vars(one).update(current_value=None if math.isnan(value) else value)
    return page


def newer() -> QuerySet[CapacityForecast]:
    """What has replaced a forecast: later ones of the same asset and metric."""
    return CapacityForecast.objects.filter(
        asset=OuterRef("asset"), metric_name=OuterRef("metric_name"), calculated_at__gt=OuterRef("calculated_at")
    )


class ForecastFilters(filters.FilterSet):
    """Without `history`, the newest forecast of each asset and metric: it replaces the earlier ones."""

    asset = filters.UUIDFilter(field_name="asset_id")
    metric = filters.CharFilter(field_name="metric_name")
    algorithm = filters.ChoiceFilter(field_name="forecast_algorithm", choices=ForecastAlgorithm.choices)
    history = filters.BooleanFilter(method="with_history", help_text="Also forecasts that a newer one replaced.")
    ordering = filters.OrderingFilter(fields={"calculated_at": "last_calculated", "metric_name": "metric_name"})

    class Meta:
        model = CapacityForecast
        fields: list[str] = []

    def with_history(self, rows: QuerySet[CapacityForecast], name: str, value: bool) -> QuerySet[CapacityForecast]:
        return rows

    def filter_queryset(self, queryset: QuerySet[CapacityForecast]) -> QuerySet[CapacityForecast]:
        rows: QuerySet[CapacityForecast] = super().filter_queryset(queryset)
        return rows if self.form.cleaned_data.get("history") else rows.exclude(Exists(newer()))


class Forecasts(Resources):
    """List forecasts; beside them, what those of this page that still hold warn of and which grow fastest."""

    http_method_names = ["get", "head", "options"]
    policy_resource, listed_as = "forecasts", "forecasts"
    rows = (
        CapacityForecast.objects.select_related("asset").annotate(replaced=Exists(newer())).order_by("-calculated_at")
    )
    serializer_class = ForecastSerializer
    filterset_class = ForecastFilters
    envelope = {"capacity_alerts": list, "growth_analysis": dict}

    def shown(self, page: Sequence[CapacityForecast]) -> Sequence[Any]:
        self.held = holding(page, timezone.now())
        return super().shown(with_current(page, timezone.now()))

    def around(self, rows: QuerySet[CapacityForecast]) -> dict[str, Any]:
        return {
            "capacity_alerts": warnings_of(self.held),
            # What could be saved is known once there are recommendations.
            "growth_analysis": {
                "fastest_growing_assets": fastest_growing(self.held),
                "resource_optimization_opportunities": [],
            },
        }


def holding(page: Sequence[CapacityForecast], now: datetime) -> list[tuple[CapacityForecast, Outlook]]:
    """The forecasts that are still valid and that none has replaced."""
    return [(one, read(one)) for one in page if one.valid_until >= now and not vars(one)["replaced"]]


def warnings_of(held: Sequence[tuple[CapacityForecast, Outlook]]) -> list[dict[str, Any]]:
    """The specification's capacity_alerts, soonest first."""
    warned = [(one, *warning) for one, outlook in held if (warning := outlook.warning())]
    return [
        {
            "asset_name": one.asset.asset_name,
            "metric_name": one.metric_name,
            "alert_type": "approaching_capacity",
            "severity": severity,
            "projected_date": moment.isoformat().replace("+00:00", "Z"),
            "recommendation": f"Make room or use less before {moment:%Y-%m-%d}.",
        }
        for one, severity, moment in sorted(warned, key=lambda item: item[2])
    ]


def fastest_growing(held: Sequence[tuple[CapacityForecast, Outlook]]) -> list[dict[str, Any]]:
    growing = [(one, rate) for one, outlook in held if (rate := outlook.growth_percent or 0) > 0]
    return [
        {
            "asset_name": one.asset.asset_name,
            "metric_name": one.metric_name,
            "growth_rate_percent": rate,
            "time_period": f"{one.forecast_horizon_days} days",
        }
        for one, rate in sorted(growing, key=lambda item: -item[1])[:FASTEST]
    ]


class Forecast(RowsByPolicy, generics.RetrieveAPIView):  # type: ignore[type-arg,misc]
    """One forecast with its values."""

    policy_resource = "forecasts"
    rows = CapacityForecast.objects.select_related("asset")
    serializer_class = ForecastDetailSerializer

    def get_object(self) -> CapacityForecast:
        return with_current([super().get_object()], timezone.now())[0]
