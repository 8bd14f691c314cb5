"""The rules that a new installation starts with: useful on any host, easy to change."""

from alerts.models import AlertRule


def _rule(name: str, metric: str, threshold: float, recovery: float, severity: str, window: int, text: str) -> None:
    AlertRule.objects.get_or_create(
        rule_name=name,
        defaults={
            "rule_description": text,
            "metric_conditions": [
                {
                    "metric_name": metric,
                    "operator": "gt",
                    "threshold": threshold,
                    "aggregation": "avg",
                    "time_window": window,
                }
            ],
            "severity": severity,
            "evaluation_frequency": 15,
            "threshold_config": {"consecutive_breaches": 2, "recovery_threshold": recovery},
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
