"""How alerting itself does, from the stored alerts of a span of time; what is not known is null.

- A false positive is an alert that a person marked as one, or that resolved by itself within NOISE_MINUTES of its
  opening without anybody having acknowledged it: its rate is out of all resolved ones.
- Escalated is what reached escalation level 1 or more.
- A noisy rule opened at least NOISY_PER_DAY alerts a day; its resolution rate is the share that a person resolved or
  acknowledged.
- Patterns and storms are those of alerts.patterns.

The alerts are read once (alerts.openings); all is computed from these arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from alerts import openings, patterns, proposals
from alerts.models import AlertRule
from alerts.openings import MICROSECOND, NO_ASSET, Groups, Ints, Mask, Openings
from assets.models import InfrastructureAsset
from assets.spans import Span

NOISY_PER_DAY = 3
TOP = 10
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)


def analyse(recent: Openings, span: Span) -> dict[str, Any]:
    """The specification's analytics of `recent`, the alerts that began in `span`."""
    return {
        "alert_statistics": statistics(recent, span),
        "top_alerting_assets": top_assets(recent),
        "alert_patterns": patterns.of(recent),
        "noise_analysis": {
            "noisy_rules": noisy_rules(recent, span),
            "alert_storms": patterns.storms(recent, span),
        },
    }


def _days(span: Span) -> float:
    return (span.end - span.start) / timedelta(days=1)


def _minutes(lengths: Ints) -> float | None:
    """The mean of `lengths` (µs)."""
    return round(float(lengths.mean()) * MICROSECOND / _MINUTE, 2) if len(lengths) else None


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def _false(recent: Openings) -> Mask:
    shortly: Mask = recent.lasted <= settings.NOISE_MINUTES * _MINUTE // MICROSECOND
    return recent.resolved & (recent.false | (recent.by_itself & ~recent.acknowledged & shortly))


def _handled(recent: Openings) -> Mask:
    return recent.by_hand | recent.acknowledged


def statistics(recent: Openings, span: Span) -> dict[str, Any]:
    """Times are in minutes, rates in percent; total_alerts_30d is of the span, whatever its length."""
    total = len(recent)
    return {
        "total_alerts_30d": total,
        "avg_alerts_per_day": round(total / _days(span), 2),
        "mean_time_to_acknowledge": _minutes(recent.waited[recent.acknowledged]),
        "mean_time_to_resolve": _minutes(recent.lasted[recent.resolved]),
        "escalation_rate": _percent(int(recent.escalated.sum()), total),
        "false_positive_rate": _percent(int(_false(recent).sum()), int(recent.resolved.sum())),
    }


def _most(groups: Groups, numbers: Ints, rows: QuerySet[Any], name: str) -> list[tuple[int, Any]]:
    """The places and rows of the ids with the largest numbers above 0, by number and then by the column `name`."""
    ordered = np.sort(numbers)
    least = max(int(ordered[-TOP]) if len(ordered) > TOP else 1, 1)
    places = np.flatnonzero(numbers >= least).tolist()
    found = rows.in_bulk([groups.ids[place] for place in places]) if places else {}
    known = [(place, found[groups.ids[place]]) for place in places if groups.ids[place] in found]
    return sorted(known, key=lambda one: (-numbers[one[0]], getattr(one[1], name)))[:TOP]


def top_assets(recent: Openings) -> list[dict[str, Any]]:
    """The assets with the most alerts; avg_resolution_time is in minutes."""
    numbers = recent.assets.count()
    if NO_ASSET in recent.assets.ids:
        numbers[recent.assets.ids.index(NO_ASSET)] = 0
    critical = recent.assets.count(recent.critical)
    rows = InfrastructureAsset.objects.only("asset_name")
    return [
        {
            "asset_name": asset.asset_name,
            "alert_count": int(numbers[place]),
            "critical_alerts": int(critical[place]),
            "avg_resolution_time": _minutes(recent.lasted[recent.resolved & (recent.assets.places == place)]),
        }
        for place, asset in _most(recent.assets, numbers, rows, "asset_name")
    ]


def noisy_rules(recent: Openings, span: Span) -> list[dict[str, Any]]:
    """Rules that open too much; trigger_frequency is in alerts a day, resolution_rate in percent. The recommendation is
    the better term that was found on the rule's history (`proposal`), where one is known and fits still."""
    numbers, handled = recent.rules.count(), recent.rules.count(_handled(recent))
    false = recent.rules.count(_false(recent))
    noisy = np.where(numbers >= math.ceil(NOISY_PER_DAY * max(_days(span), 1)), numbers, 0)
    rules = AlertRule.objects.select_related("evaluation")
    return [
        {
            "rule_name": rule.rule_name,
            "trigger_frequency": round(int(numbers[place]) / _days(span), 2),
            "resolution_rate": _percent(int(handled[place]), int(numbers[place])),
            **_recommended(rule, false[place] / numbers[place], handled[place] / numbers[place]),
        }
        for place, rule in _most(recent.rules, noisy, rules, "rule_name")
    ]


def _recommended(rule: AlertRule, false_share: float, handled_share: float) -> dict[str, Any]:
    known = proposals.known(rule, timezone.now())
    first = known.proposals[0] if known and known.proposals else None
    return {
        "recommendation": first.text if first else _advice(false_share, handled_share),
        "rule_id": str(rule.pk),
        "proposal": asdict(first.change) if first else None,
    }


def _advice(false_share: float, handled_share: float) -> str:
    if false_share >= 0.5:
        return "Most of its alerts end by themselves within minutes: ask for more breaches in a row."
    if handled_share < 0.1:
        return "Hardly anybody acts on its alerts: raise the threshold, lower the severity or switch it off."
    return "It opens often and is acted on: look for the cause behind it, or automate what is done."


def by_day(recent: Openings) -> list[dict[str, Any]]:
    """Of each day (UTC) on which alerts began: how many, how many critical, and the mean times in minutes."""
    order = np.argsort(recent.began, kind="stable")
    days, firsts = np.unique(recent.began[order] // (_DAY // MICROSECOND), return_index=True)
    return [
        {
            "day": openings.EPOCH + day * _DAY,
            "alert_count": len(own),
            "critical_alerts": int(recent.critical[own].sum()),
            "mean_time_to_acknowledge": _minutes(recent.waited[own][recent.acknowledged[own]]),
            "mean_time_to_resolve": _minutes(recent.lasted[own][recent.resolved[own]]),
        }
        for day, own in zip(days.tolist(), _parts(order, firsts), strict=True)
    ]


def _parts(order: Ints, firsts: Ints) -> Iterable[Ints]:
    return np.split(order, firsts[1:]) if len(firsts) else []


# The curves of each chart: the column of `by_day`, its label and unit.
CHARTS = {
    "alerts": (("alert_count", "Alerts", ""), ("critical_alerts", "Critical alerts", "")),
    "times": (
        ("mean_time_to_acknowledge", "To acknowledge", "min"),
        ("mean_time_to_resolve", "To resolve", "min"),
    ),
}


def chart(recent: Openings, span: Span, name: str) -> dict[str, Any]:
    """One of CHARTS by day, as charts are drawn: days without an alert count 0, and have no times."""
    found = {row["day"]: row for row in by_day(recent)}
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
