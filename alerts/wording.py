"""What an alert says to a person who was just woken. Pure but for the types it reads."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from alerts import rule_kinds
from alerts.conditions import SYMBOLS, CheckPart, MetricCondition, RulePart, condition_of
from alerts.models import AlertRule, AlertType
from alerts.rule_kinds import Part
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
    return title, explained(rule, title)


def unusual(
    metric_name: str, asset: str, series: Series, value: float, at: datetime, usual: tuple[float, float], score: float
) -> tuple[str, str]:
    """Title of an alert about what is unusual, and why it is: "41 at Tue 14:05; usually 8–15 at this hour"."""
    sign = unit_of(metric_name, series.metric_unit)
    where = ", ".join(f"{name} {text}" for name, text in sorted(series.labels.items()))
    title = f"{metric_title(metric_name)}{f' ({where})' if where else ''} is unusual on {asset}"
    text = f"{number(value)}{sign} at {at.astimezone(UTC):%a %H:%M} UTC; usually {between(*usual)}{sign} at this hour"
    return title, text + (f"; score {score:.2f}".replace("0.", ".") if score else "")


def between(low: float, high: float) -> str:
    """A range as people read it, open where an end is not finite."""
    if math.isfinite(low) and math.isfinite(high):
        return f"{number(low)}–{number(high)}"
    return f"{number(low)} or more" if math.isfinite(low) else f"{number(high)} or less"


def explained(rule: AlertRule, title: str) -> str:
    """The description of an alert of `rule` with that title."""
    impact = f" {rule.business_impact}" if rule.business_impact else ""
    profile = f" {rule.profile[:1].upper()}{rule.profile[1:]}." if rule.profile else ""
    return f"{title}. {rule.rule_name}: {limits(rule)}.{profile}{impact}"


def limits(rule: AlertRule) -> str:
    """When `rule` is breached."""
    if rule.alert_type == AlertType.ANOMALY:
        return _anomaly_text(rule)
    if rule.alert_type == AlertType.ABSENCE:
        return _absence_text(rule)
    if rule.alert_type == AlertType.COMPOSITE:
        return _composite_text(rule)
    return " and ".join(condition_text(condition_of(one)) for one in rule.metric_conditions)


def _anomaly_text(rule: AlertRule) -> str:
    asked = rule_kinds.anomaly_of(rule)
    how = {"up": "unusually high", "down": "unusually low", "both": "unusual"}[asked.direction]
    metric = f"{asked.aggregation} of {metric_title(asked.metric_name)} over {span(asked.time_window)}"
    return f"{metric} {how} for {asked.baseline_days} days, {asked.sensitivity} sensitivity"


def _absence_text(rule: AlertRule) -> str:
    asked = rule_kinds.absence_of(rule)
    metric, lately = metric_title(asked.metric_name), f"for {span(asked.silent_seconds)}"
    return {
        "silent": f"no {metric} {lately}, or never any",
        "stopped": f"no more {metric} {lately}",
        "never_seen": f"never any {metric}",
        "fewer_assets": f"{metric} of fewer than {asked.expected_assets} assets {lately}",
    }[asked.when]


def _composite_text(rule: AlertRule) -> str:
    asked = rule_kinds.composite_of(rule)
    how_many = f"at least {asked.at_least}" if asked.require == "at_least" else asked.require
    return f"{how_many} of: {'; '.join(part_text(part) for part in asked.parts)}"


def part_text(part: Part) -> str:
    """One part of a composite rule."""
    where = " upstream" if part.on == "upstream" else ""
    if isinstance(part, RulePart):
        return f"{part.rule_name} is firing{where}"
    if isinstance(part, CheckPart):
        return f"check {part.check_name} is down{where}" if part.check_name else f"a check is down{where}"
    return condition_text(part) + where
