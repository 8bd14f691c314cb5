"""A large estate, made by SQL: 10,000 assets with an agent and 100 series each, their last samples, and alerts.

What HTTP would make of the same batches, by COPY: series, layouts and labels with the fingerprints that ingestion gives
them, and frames of the head with random values. The catalogue is counted by its own hourly task.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from assets.metrics.identity import SeriesKey, layout_fingerprint

if TYPE_CHECKING:
    from assets.models import MonitoringAgent

ASSETS, SERIES, INSTANTS, RULES, ALERTS, LIVE = 10_000, 100, 20, 200, 100_000, 2_000
ENVIRONMENTS = ("production", "staging", "development")
# What the default rules and the health of assets ask for, one series each.
HOST = (
    "cpu_usage_percent", "memory_usage_percent", "swap_usage_percent", "response_time_ms", "error_rate_percent",
    *(f"node_{number}_percent" for number in range(14)),
)  # fmt: skip
CORES = tuple(f"cpu_{mode}_seconds_total" for mode in ("user", "system", "iowait", "steal", "nice", "idle"))
APPLICATIONS, OF_AN_APPLICATION = 500, 24


def names_of(place: int) -> list[tuple[str, str, dict[str, str]]]:
    """(name, type, labels) of the series of the asset with this number."""
    series = [(name, "gauge", {}) for name in HOST]
    series += [("disk_usage_percent", "gauge", {"mount": f"/data/{disk}"}) for disk in range(9)]
    series += [(name, "counter", {"cpu": str(cpu)}) for name in CORES for cpu in range(8)]
    first = place * OF_AN_APPLICATION % APPLICATIONS
    applications = [(first + number) % APPLICATIONS for number in range(OF_AN_APPLICATION)]
    return series + [(f"app_{one}_requests_total", "counter", {"pod": f"p-{place}"}) for one in applications]


def fill(now: datetime) -> None:
    """Everything; takes about two minutes on an idle machine."""
    from django.db import connection

    from assets.metrics import catalogue

    agents = _assets(now)
    with connection.cursor() as cursor:
        # What the tasks of the running system would wait for.
        cursor.execute("SET synchronous_commit = off")
        _series(cursor, agents)
        _layouts(cursor)
        for ago in range(INSTANTS, 0, -1):
            report(cursor, now - timedelta(minutes=ago))
        _alerts(cursor, now)
        cursor.execute("ANALYZE")
    catalogue.recount(now)


def _assets(now: datetime) -> list[MonitoringAgent]:
    from assets.models import InfrastructureAsset, MonitoringAgent

    described = {"asset_type": "server", "asset_category": "compute"}
    assets = InfrastructureAsset.objects.bulk_create(
        InfrastructureAsset(asset_name=f"host-{place}", environment=ENVIRONMENTS[place % 3], **described)
        for place in range(ASSETS)
    )
    return MonitoringAgent.objects.bulk_create(
        MonitoringAgent(agent_name=f"agent-{place}", asset=asset, last_heartbeat=now, health_status="healthy")
        for place, asset in enumerate(assets)
    )


def _series(cursor: Any, agents: list[MonitoringAgent]) -> None:
    from psycopg.types.json import Jsonb

    columns = "asset_id, fingerprint, agent_id, metric_name, metric_type, metric_labels"
    with cursor.copy(f"COPY metric_series ({columns}) FROM STDIN") as copy:
        for place, agent in enumerate(agents):
            for name, kind, labels in names_of(place):
                fingerprint = SeriesKey(name, kind, "", labels, "agent", agent.pk).fingerprint
                copy.write_row((agent.asset_id, fingerprint, agent.pk, name, kind, Jsonb(labels)))
    cursor.execute(
        """INSERT INTO metric_label SELECT DISTINCT key, value FROM metric_series, jsonb_each_text(metric_labels)
           ON CONFLICT DO NOTHING"""
    )


def _layouts(cursor: Any) -> None:
    cursor.execute(
        """SELECT asset_id, array_agg(series.id ORDER BY series.id) FROM metric_series series
           JOIN infrastructure_assets asset ON asset.id = asset_id WHERE asset_name LIKE 'host-%' GROUP BY 1"""
    )
    found: list[tuple[UUID, list[int]]] = cursor.fetchall()
    with cursor.copy("COPY metric_layout (asset_id, series_ids, fingerprint) FROM STDIN") as copy:
        for asset_id, ids in found:
            copy.write_row((asset_id, ids, layout_fingerprint(tuple(ids))))


def report(cursor: Any, at: datetime) -> None:
    """What all hosts report at one instant, random between 10 and 60; and that their agents live."""
    cursor.execute(
        """INSERT INTO metric_frame (asset_id, layout_id, ts, received_at, "values")
           SELECT asset_id, layout.id, %(at)s, %(at)s,
                  ARRAY(SELECT 10 + 50 * random() FROM generate_series(1, cardinality(series_ids)) WHERE layout.id > 0)
           FROM metric_layout layout JOIN infrastructure_assets asset ON asset.id = asset_id
           WHERE asset_name LIKE 'host-%%' AND cardinality(series_ids) = %(series)s ON CONFLICT DO NOTHING""",
        {"at": at, "series": SERIES},
    )
    cursor.execute("UPDATE monitoring_agents SET last_heartbeat = %s WHERE agent_name LIKE 'agent-%%'", [at])


def _alerts(cursor: Any, now: datetime) -> None:
    """Resolved alerts of the past, and some that are open, of rules that are never due."""
    from alerts.models import AlertRule

    conditions = [{"metric_name": "node_0_percent", "operator": "gt", "threshold": 99, "time_window": 300}]
    AlertRule.objects.bulk_create(
        AlertRule(rule_name=f"rule-{place}", metric_conditions=conditions, severity="low", is_enabled=False)
        for place in range(RULES)
    )
    cursor.execute(
        """INSERT INTO alert_instances (id, alert_rule_id, asset_id, alert_key, alert_title, alert_description,
               severity, status, first_triggered_at, last_triggered_at, opened_at, resolved_at, resolution_type,
               context_data, notification_status, impact_assessment)
           SELECT gen_random_uuid(), rule.id, asset.id, rule_name || ':' || place, rule_name || ' on ' || asset_name,
                  'More than 99', 'low', CASE WHEN place < %(live)s THEN 'open' ELSE 'resolved' END, at, at, at,
                  CASE WHEN place >= %(live)s THEN at END, CASE WHEN place >= %(live)s THEN 'auto' END, '{}', '{}', '{}'
           FROM generate_series(0, %(alerts)s - 1) AS place
           CROSS JOIN LATERAL (SELECT %(now)s - place * interval '1 minute') AS ago (at)
           JOIN alert_rules rule ON rule_name = 'rule-' || place %% %(rules)s
           JOIN infrastructure_assets asset ON asset_name = 'host-' || place %% %(assets)s""",
        {"live": LIVE, "alerts": ALERTS, "rules": RULES, "assets": ASSETS, "now": now},
    )
