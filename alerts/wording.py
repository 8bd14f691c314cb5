"""What an alert says to a person who was just woken. Pure but for the types it reads."""

from __future__ import annotations

import math

from alerts.conditions import SYMBOLS, MetricCondition, condition_of
from alerts.models import AlertRule
from assets.metrics.samples import Series

_SHORT = {"cpu": "CPU", "io": "I/O", "mbps": "Mbit/s", "ms": "(ms)"}
_UNIT_SUFFIXES = ("percent", "ms", "mbps", "seconds", "bytes")
_SIGNS = {"percent": " %", "ms": " ms", "mbps": " Mbit/s", "seconds": " s", "bytes": " bytes", "count": ""}


def metric_title(name: str) -> str:
    """A metric's name as people say it: cpu_usage_percent is "CPU usage"."""
    words = name.split("_")
    if len(words) > 1 and words[-1] in _UNIT_SUFFIXES:
        words = words[:-1]
    text = " ".join(_SHORT.get(word, word) for word in words)
    return text[:1].upper() + text[1:]


def unit_of(name: str, unit: str) -> str:
    """What to write behind a value of the metric."""
    found = unit or next((suffix for suffix in _UNIT_SUFFIXES if name.endswith("_" + suffix)), "")
    return _SIGNS.get(found, f" {found}" if found else "")


def number(value: float) -> str:
    """A value as people read it; whatever a float can be has a text."""
    if not math.isfinite(value) or abs(value) >= 1e15:
        return f"{value:.4g}"
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}" if abs(value) >= 1 else f"{value:.3g}"


def span(seconds: int) -> str:
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def condition_text(condition: MetricCondition) -> str:
    sign = unit_of(condition.metric_name, "")
    return (
        f"{condition.aggregation} of {metric_title(condition.metric_name)} over {span(condition.time_window)} "
        f"{SYMBOLS[condition.operator]} {number(condition.threshold)}{sign}"
    )


def describe(
    rule: AlertRule, condition: MetricCondition, asset: str, value: float | None, series: Series | None
) -> tuple[str, str]:
    """Title and description of an alert of `rule` on `asset`."""
    sign = unit_of(condition.metric_name, series.metric_unit if series else "")
    where = ", ".join(f"{name} {text}" for name, text in sorted(series.labels.items())) if series else ""
    subject = metric_title(condition.metric_name) + (f" ({where})" if where else "")
    is_now = f"is {number(value)}{sign}" if value is not None else "breaches"
    title = f"{subject} {is_now} on {asset}"
    limits = " and ".join(condition_text(one) for one in _conditions(rule))
    description = f"{title}. {rule.rule_name}: {limits}."
    if rule.business_impact:
        description += f" {rule.business_impact}"
    return title, description


def _conditions(rule: AlertRule) -> list[MetricCondition]:
    return [condition_of(stored) for stored in rule.metric_conditions]
