"""The rules that a new installation starts with: useful on any host, easy to change."""

from typing import Any

from alerts.models import AlertRule


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
    _rule("High error rate", "error_rate_percent", 5, 2, "critical", 300, "Requests fail.")
    # There is a sample a minute: one that says that a job is missing alarms at once.
    silent = {"metric_name": "heartbeat_up", "operator": "lt", "threshold": 1, "aggregation": "min", "time_window": 90}
    _create("Missing heartbeat", silent, {}, "high", "A job failed, or did not say in time that it ran.")
