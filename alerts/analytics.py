"""How alerting itself does, from the stored alerts of a span of time; what is not known is null.

- A false positive is an alert that a person marked as one, or that resolved by itself within FALSE_POSITIVE of its
  opening without anybody having acknowledged it: its rate is out of all resolved ones.
- Escalated is what reached escalation level 1 or more.
- A noisy rule opened at least NOISY_PER_DAY alerts a day; its resolution rate is the share that a person resolved or
  acknowledged.
- Patterns and storms are those of alerts.patterns.

All is summed up by the database, so that the answer takes as long for few rows as for many.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import TruncDay

from alerts import patterns
from alerts.models import AlertInstance, AlertStatus, ResolutionType, Severity
from assets.spans import Span

FALSE_POSITIVE = timedelta(minutes=5)
NOISY_PER_DAY = 3
TOP = 10
LASTED = ExpressionWrapper(F("resolved_at") - F("first_triggered_at"), output_field=DurationField())
WAITED = ExpressionWrapper(F("acknowledged_at") - F("first_triggered_at"), output_field=DurationField())
IS_RESOLVED = Q(status=AlertStatus.RESOLVED)
ENDED_BY_ITSELF = IS_RESOLVED & Q(
    resolution_type=ResolutionType.AUTO,
    acknowledged_at=None,
    resolved_at__lte=F("first_triggered_at") + FALSE_POSITIVE,
)
IS_FALSE = (IS_RESOLVED & Q(false_positive=True)) | ENDED_BY_ITSELF
IS_HANDLED = Q(resolution_type=ResolutionType.MANUAL) | Q(acknowledged_at__isnull=False)


def analyse(rows: QuerySet[AlertInstance], span: Span) -> dict[str, Any]:
    """The specification's analytics over those of `rows` that began in `span`."""
    recent = begun(rows, span)
    figures = statistics(recent, span)
    return {
        "alert_statistics": figures,
        "top_alerting_assets": top_assets(recent),
        "alert_patterns": patterns.of(recent),
        "noise_analysis": {
            "noisy_rules": noisy_rules(recent, span),
            "alert_storms": patterns.storms(recent, span, figures["total_alerts_30d"]),
        },
    }


def begun(rows: QuerySet[AlertInstance], span: Span) -> QuerySet[AlertInstance]:
    """Those of `rows` that began in `span` and came to be more than pending."""
    told = rows.order_by().exclude(status=AlertStatus.PENDING)
    return told.filter(first_triggered_at__gt=span.start, first_triggered_at__lte=span.end)


def _days(span: Span) -> float:
    return (span.end - span.start) / timedelta(days=1)


def _minutes(mean: timedelta | None) -> float | None:
    return None if mean is None else round(mean.total_seconds() / 60, 2)


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def statistics(recent: QuerySet[AlertInstance], span: Span) -> dict[str, Any]:
    """Times are in minutes, rates in percent; total_alerts_30d is of the span, whatever its length."""
    found = recent.aggregate(
        total=Count("pk"),
        waited=Avg(WAITED, filter=Q(acknowledged_at__isnull=False)),
        lasted=Avg(LASTED, filter=IS_RESOLVED),
        escalated=Count("pk", filter=Q(escalation_level__gt=0)),
        resolved=Count("pk", filter=IS_RESOLVED),
        false=Count("pk", filter=IS_FALSE),
    )
    return {
        "total_alerts_30d": found["total"],
        "avg_alerts_per_day": round(found["total"] / _days(span), 2),
        "mean_time_to_acknowledge": _minutes(found["waited"]),
        "mean_time_to_resolve": _minutes(found["lasted"]),
        "escalation_rate": _percent(found["escalated"], found["total"]),
        "false_positive_rate": _percent(found["false"], found["resolved"]),
    }


def top_assets(recent: QuerySet[AlertInstance]) -> list[dict[str, Any]]:
    """The assets with the most alerts; avg_resolution_time is in minutes."""
    counted = (
        recent.filter(asset__isnull=False)
        .values("asset__asset_name")
        .annotate(
            number=Count("pk"),
            critical=Count("pk", filter=Q(severity=Severity.CRITICAL)),
            lasted=Avg(LASTED, filter=IS_RESOLVED),
        )
    )
    return [
        {
            "asset_name": row["asset__asset_name"],
            "alert_count": row["number"],
            "critical_alerts": row["critical"],
            "avg_resolution_time": _minutes(row["lasted"]),
        }
        for row in counted.order_by("-number", "asset__asset_name")[:TOP]
    ]


def noisy_rules(recent: QuerySet[AlertInstance], span: Span) -> list[dict[str, Any]]:
    """Rules that open too much; trigger_frequency is in alerts a day, resolution_rate in percent."""
    counted = recent.values("alert_rule__rule_name").annotate(
        number=Count("pk"), handled=Count("pk", filter=IS_HANDLED), false=Count("pk", filter=IS_FALSE)
    )
    least = math.ceil(NOISY_PER_DAY * max(_days(span), 1))
    noisy = counted.filter(number__gte=least).order_by("-number", "alert_rule__rule_name")
    return [
        {
            "rule_name": row["alert_rule__rule_name"],
            "trigger_frequency": round(row["number"] / _days(span), 2),
            "resolution_rate": _percent(row["handled"], row["number"]),
            "recommendation": _advice(row["false"] / row["number"], row["handled"] / row["number"]),
        }
        for row in noisy[:TOP]
    ]


def _advice(false_share: float, handled_share: float) -> str:
    if false_share >= 0.5:
        return "Most of its alerts end by themselves within minutes: ask for more breaches in a row."
    if handled_share < 0.1:
        return "Hardly anybody acts on its alerts: raise the threshold, lower the severity or switch it off."
    return "It opens often and is acted on: look for the cause behind it, or automate what is done."


def by_day(recent: QuerySet[AlertInstance]) -> list[dict[str, Any]]:
    """Of each day (UTC) on which alerts began: how many, how many critical, and the mean times in minutes."""
    grouped = recent.annotate(day=TruncDay("first_triggered_at", tzinfo=UTC)).values("day")
    counted = grouped.annotate(
        number=Count("pk"),
        critical=Count("pk", filter=Q(severity=Severity.CRITICAL)),
        waited=Avg(WAITED, filter=Q(acknowledged_at__isnull=False)),
        lasted=Avg(LASTED, filter=IS_RESOLVED),
    )
    return [
        {
            "day": row["day"],
            "alert_count": row["number"],
            "critical_alerts": row["critical"],
            "mean_time_to_acknowledge": _minutes(row["waited"]),
            "mean_time_to_resolve": _minutes(row["lasted"]),
        }
        for row in counted.order_by("day")
    ]


# The curves of each chart: the column of `by_day`, its label and unit.
CHARTS = {
    "alerts": (("alert_count", "Alerts", ""), ("critical_alerts", "Critical alerts", "")),
    "times": (
        ("mean_time_to_acknowledge", "To acknowledge", "min"),
        ("mean_time_to_resolve", "To resolve", "min"),
    ),
}


def chart(rows: QuerySet[AlertInstance], span: Span, name: str) -> dict[str, Any]:
    """One of CHARTS by day, as charts are drawn: days without an alert count 0, and have no times."""
    found = {row["day"]: row for row in by_day(begun(rows, span))}
    first = span.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [first + timedelta(days=n) for n in range((span.end - first).days + 1)]
    series = []
    for column, label, unit in CHARTS[name]:
        otherwise = 0 if name == "alerts" else None
        values = [(day, found[day][column] if day in found else otherwise) for day in days]
        points = [[_milliseconds(day), value] for day, value in values if value is not None]
        series.append({"label": label, "unit": unit, "points": points})
    return {"span": [_milliseconds(span.start), _milliseconds(span.end)], "series": series}


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
