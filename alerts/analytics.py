"""How alerting itself does, from stored alerts of the last 30 days; what is not known is null.

- A false positive is an alert that resolved by itself within FALSE_POSITIVE of its opening, without anybody having
  acknowledged it: its rate is out of all resolved ones.
- Escalated is what reached escalation level 1 or more.
- A noisy rule opened at least NOISY_PER_DAY alerts a day; its resolution rate is the share that a person resolved or
  acknowledged.
- A storm is a run of STORM_ALERTS or more openings with no gap of more than STORM_GAP.
- A pattern is a time of day or day of the week with at least PATTERN_FACTOR times its even share of openings.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from numpy.typing import NDArray

from alerts.models import AlertInstance, AlertStatus, ResolutionType, Severity

SPAN_DAYS = 30
FALSE_POSITIVE = timedelta(minutes=5)
NOISY_PER_DAY = 3
STORM_ALERTS = 10
STORM_GAP = timedelta(minutes=2)
PATTERN_FACTOR = 2.0
PATTERN_ALERTS = 10
TOP = 10
LASTED = ExpressionWrapper(F("resolved_at") - F("first_triggered_at"), output_field=DurationField())
WAITED = ExpressionWrapper(F("acknowledged_at") - F("first_triggered_at"), output_field=DurationField())
IS_RESOLVED = Q(status=AlertStatus.RESOLVED)
IS_FALSE = IS_RESOLVED & Q(
    resolution_type=ResolutionType.AUTO,
    acknowledged_at=None,
    resolved_at__lte=F("first_triggered_at") + FALSE_POSITIVE,
)
IS_HANDLED = Q(resolution_type=ResolutionType.MANUAL) | Q(acknowledged_at__isnull=False)


def analyse(rows: QuerySet[AlertInstance], now: datetime) -> dict[str, Any]:
    """The specification's analytics over those of `rows` that began in the last 30 days."""
    told = rows.order_by().exclude(status=AlertStatus.PENDING)
    recent = told.filter(first_triggered_at__gt=now - timedelta(days=SPAN_DAYS), first_triggered_at__lte=now)
    opened = _openings(recent)
    return {
        "alert_statistics": statistics(recent),
        "top_alerting_assets": top_assets(recent),
        "alert_patterns": patterns(opened["seconds"]),
        "noise_analysis": {"noisy_rules": noisy_rules(recent), "alert_storms": storms(opened)},
    }


def _minutes(mean: timedelta | None) -> float | None:
    return None if mean is None else round(mean.total_seconds() / 60, 2)


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def statistics(recent: QuerySet[AlertInstance]) -> dict[str, Any]:
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
        "avg_alerts_per_day": round(found["total"] / SPAN_DAYS, 2),
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


def noisy_rules(recent: QuerySet[AlertInstance]) -> list[dict[str, Any]]:
    """Rules that open too much; trigger_frequency is in alerts a day, resolution_rate in percent."""
    counted = recent.values("alert_rule__rule_name").annotate(
        number=Count("pk"), handled=Count("pk", filter=IS_HANDLED), false=Count("pk", filter=IS_FALSE)
    )
    noisy = counted.filter(number__gte=NOISY_PER_DAY * SPAN_DAYS).order_by("-number", "alert_rule__rule_name")
    return [
        {
            "rule_name": row["alert_rule__rule_name"],
            "trigger_frequency": round(row["number"] / SPAN_DAYS, 2),
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


def _openings(recent: QuerySet[AlertInstance]) -> dict[str, NDArray[Any]]:
    """When alerts began (seconds since the epoch, ascending) and on which asset, as numbers."""
    rows = list(recent.order_by("first_triggered_at").values_list("first_triggered_at", "asset_id"))
    places: dict[Any, int] = {}
    owners = [places.setdefault(asset, len(places)) for _, asset in rows]
    seconds = np.array([moment.timestamp() for moment, _ in rows], dtype=np.float64)
    return {"seconds": seconds, "assets": np.array(owners, dtype=np.int64)}


def storms(opened: dict[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """The largest storms, newest first."""
    seconds, assets = opened["seconds"], opened["assets"]
    if not len(seconds):
        return []
    cuts = np.flatnonzero(np.diff(seconds) > STORM_GAP.total_seconds()) + 1
    starts, ends = np.r_[0, cuts], np.r_[cuts, len(seconds)]
    large = np.flatnonzero(ends - starts >= STORM_ALERTS)
    kept = sorted(large, key=lambda run: int(ends[run] - starts[run]))[-TOP:]
    return [
        _storm(seconds[starts[run] : ends[run]], assets[starts[run] : ends[run]]) for run in sorted(kept, reverse=True)
    ]


def _storm(seconds: NDArray[np.float64], assets: NDArray[np.int64]) -> dict[str, Any]:
    began = np.datetime64(int(seconds[0]), "s")
    return {
        "timestamp": f"{began}Z",
        "duration_minutes": round(float(seconds[-1] - seconds[0]) / 60, 2),
        "alert_count": len(seconds),
        "affected_assets": len(np.unique(assets)),
    }


_DAYS = ("Thursdays", "Fridays", "Saturdays", "Sundays", "Mondays", "Tuesdays", "Wednesdays")


def patterns(seconds: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Hours of the day and days of the week (UTC) in which alerts concentrate.

    `frequency` is the number of alerts then, `impact_score` their share of all, from 0 to 1.
    """
    hours = np.bincount((seconds // 3600 % 24).astype(np.int64), minlength=24)
    # The epoch began on a Thursday.
    days = np.bincount((seconds // 86400 % 7).astype(np.int64), minlength=7)
    found = [_pattern("time_of_day", f"from {hour:02}:00 to {hour:02}:59 UTC", hours, hour) for hour in range(24)]
    found += [_pattern("day_of_week", f"on {name} (UTC)", days, day) for day, name in enumerate(_DAYS)]
    known = [one for one in found if one]
    return sorted(known, key=lambda one: -one["frequency"])


def _pattern(kind: str, when: str, counts: NDArray[np.int64], place: int) -> dict[str, Any] | None:
    number, total = int(counts[place]), int(counts.sum())
    if number < PATTERN_ALERTS or number < PATTERN_FACTOR * total / len(counts):
        return None
    return {
        "pattern_type": kind,
        "description": f"{number} of {total} alerts began {when}.",
        "frequency": number,
        "impact_score": round(number / total, 4),
        "suggested_action": "Look for jobs, deployments or load that recur then.",
    }
