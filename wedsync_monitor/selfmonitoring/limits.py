"""What is wrong with the system, in words: limits of what it measures. Rules watch them, the console says them.

Pure: no Django.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wedsync_monitor.selfmonitoring.measurements import METRICS, Measurement


@dataclass(frozen=True)
class Limit:
    """A metric that is too high (or, with `low`, too low), from `threshold` until it is back at `recovery`.

    `said` has the value as {value} and a label by its name. A counter is watched as its rate per second.
    """

    rule: str
    metric: str
    threshold: float
    recovery: float
    severity: str
    said: str
    low: bool = False
    window_seconds: int = 120

    def broken_by(self, value: float) -> bool:
        return value < self.threshold if self.low else value > self.threshold


LIMITS = (
    Limit(
        "Monitoring: evaluation falls behind", "wedsync_evaluation_lag_seconds", 60, 30, "high",
        "Rules are evaluated {value:.0f} s late",
    ),
    Limit(
        "Monitoring: rules fail", "wedsync_evaluation_failing_rules", 0, 0, "medium",
        "{value:.0f} rules end with an error when they are evaluated",
    ),
    Limit(
        "Monitoring: notifications are late", "wedsync_delivery_oldest_seconds", 300, 60, "critical",
        "A notification has waited {value:.0f} s for its delivery",
    ),
    Limit(
        "Monitoring: notifications are given up", "wedsync_deliveries_given_up", 0, 0, "high",
        "{value:.0f} notifications of the last day were given up",
    ),
    Limit(
        "Monitoring: queues grow", "wedsync_queue_depth", 500, 100, "high",
        "{value:.0f} messages wait in the queue {queue}",
    ),
    Limit(
        "Monitoring: a process is gone", "wedsync_processes", 1, 1, "critical",
        "No process of the kind {kind} runs", low=True,
    ),
    Limit(
        "Monitoring: beat misses ticks", "wedsync_beat_missed_ticks_total", 0.05, 0.01, "high",
        "Beat misses ticks of {task}", window_seconds=300,
    ),
    Limit(
        "Monitoring: samples cannot be stored", "wedsync_ingest_unavailable_total", 0.05, 0.01, "critical",
        "Requests with samples are answered 503",
    ),
    Limit(
        "Monitoring: compaction falls behind", "wedsync_compaction_backlog_hours", 3, 1, "high",
        "{value:.0f} hours of samples wait to be made into blocks", window_seconds=300,
    ),
    Limit(
        "Monitoring: disk fills", "wedsync_disk_used_percent", 85, 80, "critical",
        "The disk of the system's own data is {value:.0f} % full", window_seconds=300,
    ),
    Limit(
        "Monitoring: broker's memory fills", "wedsync_broker_memory_percent", 80, 60, "high",
        "The broker's memory is {value:.0f} % full",
    ),
    Limit(
        "Monitoring: agents are silent", "wedsync_agents_silent", 0, 0, "medium",
        "{value:.0f} agents have stopped to report", window_seconds=300,
    ),
    Limit(
        "Monitoring: checks are not run", "wedsync_checks_overdue", 0, 0, "high",
        "{value:.0f} checks wait at the location {location}, and nobody runs them",
    ),
    Limit(
        "Monitoring: a location is cut off", "wedsync_location_cut_off", 0, 0, "critical",
        "The location {location} reaches nothing: it is cut off, or all that it looks at is down at once",
    ),
    Limit(
        "Monitoring: a dead man's switch is not reached", "wedsync_dead_mans_switch_silent_seconds", 600, 120, "high",
        "The dead man's switch {switch} has not been reached for {value:.0f} s",
    ),
    Limit(
        "Monitoring: a part is not observed", "wedsync_unobserved", 0, 0, "high",
        "Nothing is known of the {part}",
    ),
)  # fmt: skip


def complaints(measured: Iterable[Measurement]) -> list[str]:
    """A sentence for every gauge that is beyond its limit, in the order of LIMITS."""
    values = list(measured)
    return [
        limit.said.format(value=one.value, **one.labels) + "."
        for limit in LIMITS
        if METRICS[limit.metric].kind == "gauge"
        for one in values
        if one.name == limit.metric and limit.broken_by(one.value)
    ]
