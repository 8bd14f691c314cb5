"""Who may do what with assets, agents and metrics."""

from wedsync_monitor.policy import OPERATIONS, Policy, Role, Verb, managed_by

READERS = (Role.DEVELOPER, Role.VIEWER)

POLICIES = (
    Policy(
        "assets",
        ("assets.InfrastructureAsset", "assets.AssetHealth", "assets.Discovery"),
        managed_by(OPERATIONS, READERS),
    ),
    Policy(
        "agents",
        ("assets.MonitoringAgent", "assets.AgentKey", "assets.EnrolmentToken"),
        managed_by(OPERATIONS, READERS),
    ),
    Policy("scraping", ("assets.ScrapeJob", "assets.ScrapeTarget"), managed_by(OPERATIONS, READERS)),
    Policy("heartbeats", ("assets.Heartbeat",), managed_by(OPERATIONS, READERS)),
    Policy(
        "metric_catalogue",
        ("assets.CatalogueEntry", "assets.SeriesUsage"),
        {Verb.READ: OPERATIONS | frozenset(READERS), Verb.CHANGE: OPERATIONS},
    ),
    Policy(
        "metrics",
        ("assets.InfrastructureMetric", "assets.MetricSeries"),
        {Verb.READ: OPERATIONS | frozenset(READERS), Verb.SEND: OPERATIONS | {Role.DEVELOPER}},
    ),
)
