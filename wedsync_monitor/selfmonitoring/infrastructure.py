"""What the database, the broker, the processes and the disk say of themselves."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import redis
from django.conf import settings
from django.db import connection

from wedsync_monitor import counters
from wedsync_monitor.models import DeadMansSwitch, SystemProcess
from wedsync_monitor.selfmonitoring.measurements import Measurement

QUEUES = ("default", "evaluation", "delivery", "probes", "remediation")
# A process says every few seconds that it lives (counters.FLUSH_SECONDS).
GONE_AFTER = timedelta(seconds=30)
_TIMEOUT_SECONDS = 2.0

# What is stored, and the table (with its partitions) or tables that hold it.
STORED = {
    "head": ("metric_frame",),
    "blocks": ("metric_block",),
    "daily": ("metric_daily",),
    "series": ("metric_series", "metric_layout"),
    "alerts": ("alert_instances", "alert_events", "notification_deliveries"),
    "checks": ("synthetic_check_results",),
    "audit": ("audit_entries",),
}


def database(now: datetime) -> Iterator[Measurement]:
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        yield Measurement("wedsync_database_latency_seconds", time.perf_counter() - began)
        cursor.execute(
            """SELECT pg_database_size(current_database()),
                      (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())"""
        )
        size, connections = cursor.fetchone()
    yield Measurement("wedsync_database_bytes", size)
    yield Measurement("wedsync_database_connections", connections)


def storage(now: datetime) -> Iterator[Measurement]:
    """Size and estimated rows of what is stored; one query over all partitions."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT root.relname, sum(pg_total_relation_size(part.oid)), sum(greatest(part.reltuples, 0))
               FROM pg_class root
               CROSS JOIN LATERAL (SELECT root.oid UNION ALL
                                   SELECT inhrelid FROM pg_inherits WHERE inhparent = root.oid) AS member (oid)
               JOIN pg_class part ON part.oid = member.oid
               WHERE root.relname = ANY(%s) AND root.relnamespace = current_schema()::regnamespace
               GROUP BY root.relname""",
            [[table for tables in STORED.values() for table in tables]],
        )
        rows = cursor.fetchall()
    for what, tables in STORED.items():
        sizes = [(size, number) for table, size, number in rows if table in tables]
        yield Measurement("wedsync_storage_bytes", float(sum(size for size, _ in sizes)), {"stored": what})
        yield Measurement("wedsync_storage_rows", float(sum(number for _, number in sizes)), {"stored": what})


def broker(now: datetime) -> Iterator[Measurement]:
    options = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS}
    with redis.Redis.from_url(settings.REDIS_URL, **options) as client:
        began = time.perf_counter()
        client.ping()
        yield Measurement("wedsync_broker_latency_seconds", time.perf_counter() - began)
        for queue in QUEUES:
            yield Measurement("wedsync_queue_depth", client.llen(queue), {"queue": queue})
        memory = client.info("memory")
    if memory.get("maxmemory"):
        yield Measurement("wedsync_broker_memory_percent", 100 * memory["used_memory"] / memory["maxmemory"])


def processes(now: datetime) -> Iterator[Measurement]:
    """How many of each kind live; a kind that ran within a day and does no more counts as none."""
    living: dict[str, int] = {}
    for kind, seen_at in SystemProcess.objects.values_list("kind", "seen_at"):
        living[kind] = living.get(kind, 0) + (now - seen_at < GONE_AFTER)
    for kind, number in sorted(living.items()):
        yield Measurement("wedsync_processes", number, {"kind": kind})


def disk(now: datetime) -> Iterator[Measurement]:
    used = shutil.disk_usage(settings.DATA_DIR)
    yield Measurement("wedsync_disk_used_percent", 100 * used.used / (used.used + used.free))


def switches(now: datetime) -> Iterator[Measurement]:
    """How long each dead man's switch that is on has not been reached, from its making on."""
    for switch in DeadMansSwitch.objects.filter(is_enabled=True):
        silent = now - (switch.last_sent_at or switch.created_at)
        yield Measurement(
            "wedsync_dead_mans_switch_silent_seconds", max(silent.total_seconds(), 0), {"switch": switch.switch_name}
        )


def counted(now: datetime) -> Iterator[Measurement]:
    """The totals of what all processes count."""
    for name, labels, value in counters.totals():
        yield Measurement(name, value, labels)
