"""Alerts as lists show them: filters, counts and trends, by SQL over everything that matches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import TruncHour
from django_filters import rest_framework as filters

from alerts.models import AlertInstance, AlertRule, AlertStatus, AlertType, Severity
from assets.models import Environment

LIVE = (AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED, AlertStatus.SUPPRESSED)


class RuleFilters(filters.FilterSet):
    alert_type = filters.ChoiceFilter(choices=AlertType.choices)
    q = filters.CharFilter(field_name="rule_name", lookup_expr="icontains")

    class Meta:
        model = AlertRule
        fields = ["severity", "is_enabled"]


class AlertFilters(filters.FilterSet):
    """`status` may be repeated; pending alerts, which nobody was told of, are shown only where asked for."""

    status = filters.MultipleChoiceFilter(choices=AlertStatus.choices)
    severity = filters.MultipleChoiceFilter(choices=Severity.choices)
    environment = filters.ChoiceFilter(field_name="asset__environment", choices=Environment.choices)
    asset = filters.UUIDFilter(field_name="asset_id")
    rule = filters.UUIDFilter(field_name="alert_rule_id")
    since = filters.IsoDateTimeFilter(field_name="first_triggered_at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter(field_name="first_triggered_at", lookup_expr="lt")
    q = filters.CharFilter(field_name="alert_title", lookup_expr="icontains")
    ordering = filters.OrderingFilter(fields=["first_triggered_at", "severity", "status"])

    class Meta:
        model = AlertInstance
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[AlertInstance]) -> QuerySet[AlertInstance]:
        rows: QuerySet[AlertInstance] = super().filter_queryset(queryset)
        return rows if self.form.cleaned_data.get("status") else rows.exclude(status=AlertStatus.PENDING)


def summary_of(rows: QuerySet[AlertInstance]) -> dict[str, Any]:
    """The specification's alert_summary over all of `rows`: one query."""
    lasted = ExpressionWrapper(F("resolved_at") - F("first_triggered_at"), output_field=DurationField())
    found = rows.order_by().aggregate(
        total_alerts=Count("pk"),
        open_alerts=Count("pk", filter=Q(status=AlertStatus.OPEN)),
        critical_alerts=Count("pk", filter=Q(severity=Severity.CRITICAL, status__in=LIVE)),
        acknowledged_alerts=Count("pk", filter=Q(status=AlertStatus.ACKNOWLEDGED)),
        mean=Avg(lasted, filter=Q(status=AlertStatus.RESOLVED)),
    )
    mean: timedelta | None = found.pop("mean")
    return found | {"avg_resolution_time_minutes": round(mean.total_seconds() / 60, 1) if mean else None}


def trends_of(rows: QuerySet[AlertInstance], now: datetime) -> list[dict[str, Any]]:
    """How many of `rows` began in each of the last 24 hours."""
    recent = rows.order_by().filter(first_triggered_at__gte=now - timedelta(hours=24))
    grouped = (
        recent.annotate(hour=TruncHour("first_triggered_at"))
        .values("hour")
        .annotate(number=Count("pk"), critical=Count("pk", filter=Q(severity=Severity.CRITICAL)))
    )
    found = {group["hour"]: group for group in grouped}
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = [hour - timedelta(hours=back) for back in range(23, -1, -1)]
    return [
        {
            "timestamp": one.isoformat().replace("+00:00", "Z"),
            "alert_count": found[one]["number"] if one in found else 0,
            "critical_count": found[one]["critical"] if one in found else 0,
        }
        for one in hours
    ]
