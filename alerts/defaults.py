"""The rules that a new installation starts with: useful on any host, easy to change."""

from typing import Any

from alerts.models import AlertRule, Severity
from alerts.vitals import HEARTBEAT_RULE
from wedsync_monitor.schema import free_name
from wedsync_monitor.selfmonitoring.limits import LIMITS, Limit


def _rule(name: str, metric: str, threshold: float, recovery: float, severity: str, window: int, text: str) -> None:
    """A level that is too high for a while."""
    condition = {"metric_name": metric, "operator": "gt", "threshold": threshold}
    condition |= {"aggregation": "avg", "time_window": window}
    terms = {"consecutive_breaches": 2, "recovery_threshold": recovery}
    _create(name, condition, terms, severity, text)


def _create(name: str, condition: dict[str, Any], terms: dict[str, Any], severity: str, text: str) -> None:
    AlertRule.objects.get_or_create(
        rule_name=name,
        defaults={
            "rule_description": text,
            "metric_conditions": [condition],
            "severity": severity,
            "evaluation_frequency": 15,
            "threshold_config": terms,
        },
    )


def create_rules() -> None:
    """Make the default rules of a new installation; one that was deleted or renamed later does not come back."""
    if AlertRule.objects.exists():
        return
    _rule(
        "High CPU usage",
        "cpu_usage_percent",
        90,
        80,
        "high",
        300,
        "The processor has been busy for five minutes.",
    )
    _rule("High memory usage", "memory_usage_percent", 92, 88, "high", 300, "Little memory is left.")
    _rule("Disk nearly full", "disk_usage_percent", 90, 87, "critical", 300, "A file system is nearly full.")
    _rule("Heavy swapping", "swap_usage_percent", 80, 60, "medium", 600, "Memory is short; the host swaps.")
    _rule("Slow responses", "response_time_ms", 1000, 800, "high", 300, "Couples and guests wait for pages.")
    _rule(
        "Series refused",
        "series_refused",
        0,
        0,
        "medium",
        300,
        "A sender makes more series than it may: some label has too many values. Known series keep flowing.",
    )
    _rule("High error rate", "error_rate_percent", 5, 2, "critical", 300, "Requests fail.")
    # There is a sample a minute: one that says that a job is missing alarms at once.
    silent = {"metric_name": "heartbeat_up", "operator": "lt", "threshold": 1, "aggregation": "min", "time_window": 90}
    _create("Missing heartbeat", silent, {}, "high", "A job failed, or did not say in time that it ran.")


def create_check_rules() -> None:
    """The rules on checks, where they are missing; called until checks have been run for the first time."""
    failing = {"metric_name": "check_failing", "operator": "gt", "threshold": 0}
    # A check that is down says so with every result: the first opens, and the first good one is waited for.
    failing |= {"aggregation": "max", "time_window": 60}
    _create("Check down", failing, {}, "high", "A target is down as seen from outside, after its check's thresholds.")
    for pace, rate, severity in (("fast", 14.4, "critical"), ("slow", 6, "high")):
        burning = {"metric_name": f"check_burn_rate_{pace}", "operator": "gte", "threshold": rate}
        burning |= {"aggregation": "max", "time_window": 120}
        _create(
            f"Error budget burns {pace}", burning, {}, severity, f"A check spends its budget {rate:g} times too fast."
        )


def create_own_rules() -> None:
    """Rules on the limits of the system itself; called once, when its own asset is made."""
    for limit in LIMITS:
        _watch(limit)


def create_heartbeat_rule() -> None:
    """The rule that is true at every evaluation, where it is missing: the dead man's switch needs it."""
    if AlertRule.objects.filter(pk=HEARTBEAT_RULE).exists():
        return
    condition = {"metric_name": "wedsync_heartbeat", "operator": "gt", "threshold": 0.5}
    AlertRule.objects.create(
        pk=HEARTBEAT_RULE,
        rule_name=free_name(AlertRule, "rule_name", "Monitoring: heartbeat"),
        rule_description="True at every evaluation, and never opens: the dead man's switch needs it to be evaluated.",
        metric_conditions=[condition | {"aggregation": "min", "time_window": 60}],
        severity=Severity.LOW,
        evaluation_frequency=15,
        threshold_config={"consecutive_breaches": 1000},
    )


def _watch(limit: Limit) -> None:
    # What is too low must be so all the time; what is too high, on average.
    compare, aggregation = ("lt", "max") if limit.low else ("gt", "avg")
    AlertRule.objects.get_or_create(
        rule_name=limit.rule,
        defaults={
            "rule_description": "The monitoring system watches itself.",
            "metric_conditions": [
                {
                    "metric_name": limit.metric,
                    "operator": compare,
                    "threshold": limit.threshold,
                    "aggregation": aggregation,
                    "time_window": limit.window_seconds,
                }
            ],
            "severity": limit.severity,
            "evaluation_frequency": 15,
            "threshold_config": {"consecutive_breaches": 2, "recovery_threshold": limit.recovery},
        },
    )
