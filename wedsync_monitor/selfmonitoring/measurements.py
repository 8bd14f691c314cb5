"""What the system measures of itself: every metric's type, unit and meaning, and one value of one. Pure: no Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Metric:
    """A metric: gauge or counter (whose name ends in _total), its unit, and what it says."""

    kind: str
    unit: str
    text: str


@dataclass(frozen=True)
class Measurement:
    """A metric's value, now."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


METRICS: dict[str, Metric] = {
    "wedsync_heartbeat": Metric("gauge", "", "1 at every observation; 0 in the first minute of an hour."),
    "wedsync_observation_seconds": Metric("gauge", "seconds", "How long it took to observe the system."),
    "wedsync_unobserved": Metric("gauge", "", "1 where a part of the system could not be observed."),
    # Ways in
    "wedsync_ingest_requests_total": Metric("counter", "", "Requests with samples, by way in and status."),
    "wedsync_ingest_samples_total": Metric("counter", "", "Samples that were committed, by way in."),
    "wedsync_ingest_refused_total": Metric("counter", "", "Samples or parts that were refused, by way in."),
    "wedsync_ingest_unavailable_total": Metric("counter", "", "Requests that could not be stored (503)."),
    "wedsync_ingest_commits_total": Metric("counter", "", "Transactions with the samples of some requests."),
    "wedsync_ingest_commit_wait_seconds_total": Metric(
        "counter", "seconds", "Time that requests waited for their commit; its rate is how many wait at a time."
    ),
    # Broker, workers, beat
    "wedsync_queue_depth": Metric("gauge", "", "Messages that wait in a queue."),
    "wedsync_broker_latency_seconds": Metric("gauge", "seconds", "One round trip to the broker."),
    "wedsync_broker_memory_percent": Metric("gauge", "percent", "Memory of the broker, of what it may use."),
    "wedsync_processes": Metric("gauge", "", "Processes of a kind that say that they live."),
    "wedsync_tasks_total": Metric("counter", "", "Background tasks that ended, by name and outcome."),
    "wedsync_task_seconds_total": Metric("counter", "seconds", "Time that background tasks took, by name."),
    "wedsync_beat_ticks_total": Metric("counter", "", "Ticks that beat sent, by task."),
    "wedsync_beat_missed_ticks_total": Metric("counter", "", "Ticks that were due and were not sent, by task."),
    # Evaluation and delivery
    "wedsync_rules": Metric("gauge", "", "Rules that are switched on."),
    "wedsync_evaluation_lag_seconds": Metric("gauge", "seconds", "How long the rule that waits longest is overdue."),
    "wedsync_evaluation_overdue_rules": Metric("gauge", "", "Rules that are overdue by a whole turn of theirs."),
    "wedsync_evaluation_seconds": Metric("gauge", "seconds", "The last evaluations of all rules, added up."),
    "wedsync_evaluation_longest_seconds": Metric("gauge", "seconds", "The longest of the rules' last evaluations."),
    "wedsync_evaluation_failing_rules": Metric("gauge", "", "Rules whose last evaluation ended with an error."),
    "wedsync_deliveries_waiting": Metric("gauge", "", "Notifications that wait to be delivered."),
    "wedsync_delivery_oldest_seconds": Metric("gauge", "seconds", "How long the oldest of them has waited."),
    "wedsync_delivery_latency_seconds": Metric(
        "gauge", "seconds", "From an event to its arrival; the mean of the last hour's notifications."
    ),
    "wedsync_deliveries_given_up": Metric("gauge", "", "Notifications of the last day that were given up."),
    "wedsync_dead_mans_switch_silent_seconds": Metric(
        "gauge", "seconds", "How long a dead man's switch has not been reached."
    ),
    # Synthetic checks
    "wedsync_checks_total": Metric("counter", "", "Runs of checks that ended, by location and status."),
    "wedsync_checks_missed_total": Metric("counter", "", "Slots in which a check was not run, by location."),
    "wedsync_checks_overdue": Metric("gauge", "", "Checks of a location that nobody runs."),
    "wedsync_location_cut_off": Metric("gauge", "", "1 where a location can reach nothing of what it looks at."),
    # Agents and storage
    "wedsync_agents": Metric("gauge", "", "Agents that are active."),
    "wedsync_agents_silent": Metric("gauge", "", "Active agents that have stopped to report."),
    "wedsync_compaction_backlog_hours": Metric("gauge", "hours", "Closed hours that are not in blocks yet."),
    "wedsync_daily_backlog": Metric("gauge", "", "Assets' days whose daily rows are to be made."),
    "wedsync_storage_bytes": Metric("gauge", "bytes", "Size on disk with indexes, by what is stored."),
    "wedsync_storage_rows": Metric("gauge", "", "Rows as the database estimates them, by what is stored."),
    "wedsync_database_bytes": Metric("gauge", "bytes", "Size of the whole database."),
    "wedsync_database_latency_seconds": Metric("gauge", "seconds", "One round trip to the database."),
    "wedsync_database_connections": Metric("gauge", "", "Connections to the database."),
    "wedsync_disk_used_percent": Metric("gauge", "percent", "Use of the file system of the system's own data."),
}
