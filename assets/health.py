"""How healthy an asset is, from what is stored. Pure: facts in, assessment out.

The value of a factor is the mean of its metric over the last five minutes, so that no single sample turns the verdict;
where nothing was reported in them, the newest sample of the last ten. Of several series (mounts) the worst counts. How
old the newest sample is, and how many alerts are open, is taken as it is now.

Score of a factor, 0 to 100: 100 up to half of its warning threshold, then falling in straight lines to 75 at the
warning, 40 at the critical threshold and 0 at twice the distance beyond it. The asset's score is the mean of the
factors that have data, weighted by `weight` (what is shown is a factor's share of the sum of weights), and no better
than that of its worst critical factor. A factor at or past its critical threshold makes the asset unhealthy, one at or
past its warning degraded. Open alerts are a factor: the points of their severities (ALERT_POINTS) add up, so that one
critical alert is critical and any other a warning. Without data nothing is known: status `unknown`, no score.

An ephemeral asset (monitoring_config.ephemeral) may leave: after three expected intervals without a report it has
departed, which is no illness; it is `unknown`, without score or advice, until it reports again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np


@dataclass(frozen=True)
class Factor:
    """What is judged: a metric, how series of one asset are combined, its thresholds and weight."""

    name: str
    metric_name: str
    title: str
    unit: str
    warning: float
    critical: float
    weight: float
    category: str
    advice: str


FACTORS = (
    Factor("cpu", "cpu_usage_percent", "CPU usage", "%", 80, 95, 0.25, "compute",
           "Find the busiest processes; move work to another host or add cores."),
    Factor("memory", "memory_usage_percent", "Memory usage", "%", 85, 95, 0.25, "compute",
           "Find what holds the memory; restart what leaks or add memory."),
    Factor("disk", "disk_usage_percent", "Disk usage", "%", 85, 95, 0.20, "storage",
           "Remove old logs and files or enlarge the file system before it is full."),
    Factor("response_time", "response_time_ms", "Response time", "ms", 500, 2000, 0.15, "application",
           "Look for slow queries and saturated dependencies."),
    Factor("error_rate", "error_rate_percent", "Error rate", "%", 1, 5, 0.15, "application",
           "Read the application's log since the errors began; roll back if a deploy came before them."),
)  # fmt: skip
FRESHNESS_WEIGHT = 0.2
MISSED_WARNING, MISSED_CRITICAL = 3, 10  # expected intervals without a report
ALERTS_WEIGHT = 0.15
ALERT_POINTS = {"critical": 10.0, "high": 4.0, "medium": 2.0, "low": 1.0}
ALERTS_WARNING, ALERTS_CRITICAL = 1.0, 10.0
_TITLES = {factor.name: factor.title for factor in FACTORS} | {
    "data_freshness": "Data freshness",
    "open_alerts": "Open alerts",
}
_ADVICE = {
    "data_freshness": ("monitoring", "Check that the agent runs and reaches the server."),
    "open_alerts": ("alerts", "Work through the open alerts; acknowledge what somebody is at."),
}


@dataclass(frozen=True)
class Facts:
    """What is known of an asset: the value of each factor's metric lately, when it last reported, open alerts."""

    values: Mapping[str, float]
    last_report: datetime | None
    expected_interval_seconds: float
    open_severities: Sequence[str] = ()
    ephemeral: bool = False


@dataclass(frozen=True)
class JudgedFactor:
    factor: str
    status: str
    value: float
    threshold: float
    impact_weight: float
    description: str
    score: float

    @property
    def title(self) -> str:
        return _TITLES[self.factor]


@dataclass(frozen=True)
class Recommendation:
    priority: str
    category: str
    description: str
    estimated_impact: str


@dataclass(frozen=True)
class Assessment:
    """`status` is healthy, degraded, unhealthy or unknown; `score` 0 to 100, None where nothing is known."""

    status: str
    score: float | None
    factors: tuple[JudgedFactor, ...]
    recommendations: tuple[Recommendation, ...]


def factor_score(value: float, warning: float, critical: float) -> float:
    """The piecewise linear score of the module's docstring."""
    end = critical + 2 * (critical - warning)
    return float(np.interp(value, [warning / 2, warning, critical, end], [100, 75, 40, 0]))


def has_departed(ephemeral: bool, last_report: datetime | None, expected_seconds: float, now: datetime) -> bool:
    """Whether an asset that may leave has left: it missed as many reports as would be a warning of any other."""
    if not ephemeral:
        return False
    return last_report is None or (now - last_report).total_seconds() >= MISSED_WARNING * expected_seconds


def assess(facts: Facts, now: datetime) -> Assessment:
    """Judge what is known of an asset at `now`."""
    departed = has_departed(facts.ephemeral, facts.last_report, facts.expected_interval_seconds, now)
    if facts.last_report is None or departed:
        return Assessment("unknown", None, (), ())
    judged = [
        _judge(factor, facts.values[factor.metric_name]) for factor in FACTORS if factor.metric_name in facts.values
    ]
    judged += [_freshness(facts, now), _alerts(facts)]
    judged = _shares(judged)
    mean = sum(one.score * one.impact_weight for one in judged)
    score = min([mean, *(one.score for one in judged if one.status == "critical")])
    return Assessment(_status(judged), round(score, 1), tuple(judged), _advice(judged))


def _shares(judged: Sequence[JudgedFactor]) -> list[JudgedFactor]:
    """The same with their weights as shares of one."""
    whole = sum(one.impact_weight for one in judged)
    return [replace(one, impact_weight=one.impact_weight / whole) for one in judged]


def _judge(factor: Factor, value: float) -> JudgedFactor:
    status = _level(value, factor.warning, factor.critical)
    threshold = factor.critical if status == "critical" else factor.warning
    limits = f"warning from {factor.warning:g}, critical from {factor.critical:g}"
    text = f"{factor.title} is {value:.1f} {factor.unit} ({limits})"
    score = factor_score(value, factor.warning, factor.critical)
    return JudgedFactor(factor.name, status, round(value, 3), threshold, factor.weight, text, score)


def _freshness(facts: Facts, now: datetime) -> JudgedFactor:
    """How old the newest sample is: warning from three expected intervals, critical from ten."""
    assert facts.last_report is not None
    age = max((now - facts.last_report).total_seconds(), 0)
    warning, critical = (missed * facts.expected_interval_seconds for missed in (MISSED_WARNING, MISSED_CRITICAL))
    status = _level(age, warning, critical)
    text = f"The newest sample is {age:.0f} s old (one is expected every {facts.expected_interval_seconds:g} s)"
    threshold = critical if status == "critical" else warning
    return JudgedFactor("data_freshness", status, round(age, 1), threshold, FRESHNESS_WEIGHT, text,
                        factor_score(age, warning, critical))  # fmt: skip


def _alerts(facts: Facts) -> JudgedFactor:
    points = sum(ALERT_POINTS.get(severity, 1.0) for severity in facts.open_severities)
    status = _level(points, ALERTS_WARNING, ALERTS_CRITICAL)
    threshold = ALERTS_CRITICAL if status == "critical" else ALERTS_WARNING
    text = f"{len(facts.open_severities)} open alerts, {points:g} points (critical 10, high 4, medium 2, low 1)"
    return JudgedFactor("open_alerts", status, points, threshold, ALERTS_WEIGHT, text,
                        factor_score(points, ALERTS_WARNING, ALERTS_CRITICAL))  # fmt: skip


def _level(value: float, warning: float, critical: float) -> str:
    return "critical" if value >= critical else "warning" if value >= warning else "healthy"


def _status(judged: Sequence[JudgedFactor]) -> str:
    found = {one.status for one in judged}
    return "unhealthy" if "critical" in found else "degraded" if "warning" in found else "healthy"


def _advice(judged: Sequence[JudgedFactor]) -> tuple[Recommendation, ...]:
    advice = []
    for one in judged:
        if one.status == "healthy":
            continue
        factor = next((known for known in FACTORS if known.name == one.factor), None)
        category, text = (factor.category, factor.advice) if factor else _ADVICE[one.factor]
        impact = f"up to {100 - one.score:.0f} points of this factor, {one.impact_weight:.0%} of the score"
        priority = "high" if one.status == "critical" else "medium"
        advice.append(Recommendation(priority, category, text, impact))
    return tuple(sorted(advice, key=lambda one: one.priority != "high"))
