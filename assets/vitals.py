"""How the system's own work on assets goes: agents that are silent, hours and days that wait for compaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import connection
from django.db.models import Count, Q

from assets.agents import SILENT_AFTER
from assets.metrics import compaction, head
from assets.models import MonitoringAgent
from wedsync_monitor.selfmonitoring.measurements import Measurement


def agents(now: datetime) -> Iterator[Measurement]:
    """Agents that never reported are not silent yet."""
    active = MonitoringAgent.objects.filter(is_active=True, asset__is_active=True).order_by()
    silent = Count("pk", filter=Q(last_heartbeat__lt=now - SILENT_AFTER))
    found = active.aggregate(number=Count("pk"), silent=silent)
    yield Measurement("wedsync_agents", found["number"])
    yield Measurement("wedsync_agents_silent", found["silent"])


def compaction_backlog(now: datetime) -> Iterator[Measurement]:
    yield Measurement("wedsync_compaction_backlog_hours", len(head.closed_hours(now - compaction.GRACE)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metric_daily_due WHERE day < %s", [now.date()])
        yield Measurement("wedsync_daily_backlog", cursor.fetchone()[0])
