"""Alerts and rules as lists show them: their rows, filters, counts and trends, by SQL over everything that matches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    Avg,
    Case,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, TruncHour
from django.utils import timezone
from django_filters import rest_framework as filters

from alerts import budgets
from alerts.models import AlertInstance, AlertRule, AlertStatus, AlertType, Severity
from assets.models import Environment
from wedsync_monitor.web.filtering import since, until

SEVERITY_RANK = Case(
    *(When(severity=name, then=Value(rank)) for rank, name in enumerate(Severity.values)), output_field=IntegerField()
)
DAY = timedelta(hours=24)
LIVE = (AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED, AlertStatus.SUPPRESSED)


def alerts_shown() -> QuerySet[AlertInstance]:
    """Alerts with what every way of showing them needs."""
    return AlertInstance.objects.select_related("asset", "alert_rule", "acknowledged_by", "assigned_to")


def duration_minutes(alert: AlertInstance, now: datetime) -> int:
    """Whole minutes from the first breach to the resolution, or to `now`."""
    return max(int(((alert.resolved_at or now) - alert.first_triggered_at).total_seconds() // 60), 0)


def rules_with_triggers(now: datetime) -> QuerySet[AlertRule]:
    """Rules with what they opened lately and what of it was noise, by the index of (rule, time) for each row."""
    opened = AlertInstance.objects.filter(alert_rule=OuterRef("pk")).exclude(status=AlertStatus.PENDING).order_by()
    recent = opened.filter(first_triggered_at__gte=now - DAY).values("alert_rule").annotate(number=Count("pk"))
    last = opened.order_by("-first_triggered_at").values("first_triggered_at")[:1]
    rules = AlertRule.objects.select_related("escalation_policy", "evaluation")
    return budgets.with_noise(rules, now).annotate(
        recent_triggers=Coalesce(Subquery(recent.values("number")), 0), last_triggered=Subquery(last)
    )


class RuleFilters(filters.FilterSet):
    alert_type = filters.ChoiceFilter(choices=AlertType.choices)
    q = filters.CharFilter(field_name="rule_name", lookup_expr="icontains")
    noise_spent = filters.BooleanFilter(method="by_noise", label="Whether the noise budget is spent.")
    ordering = filters.OrderingFilter(fields=["rule_name", "created_at"])

    class Meta:
        model = AlertRule
        fields = ["severity", "is_enabled"]

    def by_noise(self, rows: QuerySet[AlertRule], name: str, value: bool) -> QuerySet[AlertRule]:
        return rows.filter(pk__in=budgets.spent(AlertRule.objects.order_by(), timezone.now(), value).values("pk"))


class AlertOrdering(filters.OrderingFilter):
    """Orders alerts; by severity the worst is last, and first with a minus."""

    def filter(self, qs: QuerySet[AlertInstance], value: list[str] | None) -> QuerySet[AlertInstance]:
        ranked = any(one.endswith("severity") for one in value or ())
        ordered: QuerySet[AlertInstance] = super().filter(
            qs.annotate(severity_rank=SEVERITY_RANK) if ranked else qs, value
        )
        return ordered


class AlertFilters(filters.FilterSet):
    """`status` may be repeated; pending alerts, which nobody was told of, are shown only where asked for."""

    status = filters.MultipleChoiceFilter(choices=AlertStatus.choices)
    severity = filters.MultipleChoiceFilter(choices=Severity.choices)
    environment = filters.ChoiceFilter(field_name="asset__environment", choices=Environment.choices)
    asset = filters.UUIDFilter(field_name="asset_id")
    rule = filters.UUIDFilter(field_name="alert_rule_id")
    assigned_to = filters.CharFilter(field_name="assigned_to__username")
    # `from` is a word of Python's own.
    locals()["from"] = since("first_triggered_at")
    to = until("first_triggered_at")
    q = filters.CharFilter(field_name="alert_title", lookup_expr="icontains")
    ordering = AlertOrdering(
        fields={"first_triggered_at": "first_triggered_at", "severity_rank": "severity", "status": "status"}
    )

    class Meta:
        model = AlertInstance
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[AlertInstance]) -> QuerySet[AlertInstance]:
        rows: QuerySet[AlertInstance] = super().filter_queryset(queryset)
        return rows if self.form.cleaned_data.get("status") else rows.exclude(status=AlertStatus.PENDING)


def rule_summary_of(rows: QuerySet[AlertRule], now: datetime) -> dict[str, Any]:
    """The specification's rule_summary over all of `rows`: two queries."""
    counts = rows.order_by().aggregate(
        total_rules=Count("pk"),
        enabled_rules=Count("pk", filter=Q(is_enabled=True)),
        **{severity: Count("pk", filter=Q(severity=severity)) for severity in Severity.values},
    )
    told = AlertInstance.objects.exclude(status=AlertStatus.PENDING)
    triggered = told.filter(alert_rule__in=rows.order_by(), first_triggered_at__gte=now - timedelta(hours=24))
    return {
        "total_rules": counts["total_rules"],
        "enabled_rules": counts["enabled_rules"],
        "rules_by_severity": {severity: counts[severity] for severity in Severity.values},
        "rules_triggered_24h": triggered.values("alert_rule").distinct().count(),
    }


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
