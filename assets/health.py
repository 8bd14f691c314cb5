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
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple


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
    for (left, high), (right, low) in pairwise(((warning / 2, 100), (warning, 75), (critical, 40), (end, 0))):
        if value <= left:
            return float(high)
        if value <= right:
            return high - (high - low) * (value - left) / (right - left)
    return 0.0


def has_departed(ephemeral: bool, last_report: datetime | None, expected_seconds: float, now: datetime) -> bool:
    """Whether an asset that may leave has left: it missed as many reports as would be a warning of any other."""
    if not ephemeral:
        return False
    return last_report is None or (now - last_report).total_seconds() >= MISSED_WARNING * expected_seconds


class _Measured(NamedTuple):
    """A factor that has data."""

    factor: str
    value: float
    warning: float
    critical: float
    weight: float

    @property
    def status(self) -> str:
        return _level(self.value, self.warning, self.critical)

    @property
    def score(self) -> float:
        return factor_score(self.value, self.warning, self.critical)


def verdict(facts: Facts, now: datetime) -> tuple[str, float | None]:
    """Status and score of an asset at `now`, without the words of `assess`: for the rounds over all assets."""
    return _verdict(_measured(facts, now))


def assess(facts: Facts, now: datetime) -> Assessment:
    """Judge what is known of an asset at `now`."""
    measured = _measured(facts, now)
    whole = sum(one.weight for one in measured)
    judged = tuple(_judged(one, facts, whole) for one in measured)
    return Assessment(*_verdict(measured), judged, _advice(judged))


def _measured(facts: Facts, now: datetime) -> list[_Measured]:
    """The factors that have data; none where nothing is known."""
    departed = has_departed(facts.ephemeral, facts.last_report, facts.expected_interval_seconds, now)
    if facts.last_report is None or departed:
        return []
    found = [
        _Measured(factor.name, facts.values[factor.metric_name], factor.warning, factor.critical, factor.weight)
        for factor in FACTORS
        if factor.metric_name in facts.values
    ]
    # How old the newest sample is, and the alerts that are open.
    age = max((now - facts.last_report).total_seconds(), 0)
    warning, critical = (missed * facts.expected_interval_seconds for missed in (MISSED_WARNING, MISSED_CRITICAL))
    points = sum(ALERT_POINTS.get(severity, 1.0) for severity in facts.open_severities)
    return [
        *found,
        _Measured("data_freshness", age, warning, critical, FRESHNESS_WEIGHT),
        _Measured("open_alerts", points, ALERTS_WARNING, ALERTS_CRITICAL, ALERTS_WEIGHT),
    ]


def _verdict(measured: Sequence[_Measured]) -> tuple[str, float | None]:
    if not measured:
        return "unknown", None
    found = [(one.status, one.score, one.weight) for one in measured]
    mean = sum(score * weight for _, score, weight in found) / sum(weight for _, _, weight in found)
    score = min([mean, *(score for status, score, _ in found if status == "critical")])
    statuses = {status for status, _, _ in found}
    status = "unhealthy" if "critical" in statuses else "degraded" if "warning" in statuses else "healthy"
    return status, round(score, 1)


def _judged(one: _Measured, facts: Facts, whole: float) -> JudgedFactor:
    """In words, with its weight as a share of the `whole`."""
    threshold = one.critical if one.status == "critical" else one.warning
    return JudgedFactor(
        one.factor,
        one.status,
        round(one.value, 1 if one.factor == "data_freshness" else 3),
        threshold,
        one.weight / whole,
        _text(one, facts),
        one.score,
    )


def _text(one: _Measured, facts: Facts) -> str:
    if one.factor == "data_freshness":
        expected = facts.expected_interval_seconds
        return f"The newest sample is {one.value:.0f} s old (one is expected every {expected:g} s)"
    if one.factor == "open_alerts":
        number = len(facts.open_severities)
        return f"{number} open alerts, {one.value:g} points (critical 10, high 4, medium 2, low 1)"
    factor = next(known for known in FACTORS if known.name == one.factor)
    limits = f"warning from {one.warning:g}, critical from {one.critical:g}"
    return f"{factor.title} is {one.value:.1f} {factor.unit} ({limits})"


def _level(value: float, warning: float, critical: float) -> str:
    return "critical" if value >= critical else "warning" if value >= warning else "healthy"


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
