"""Retention that agents and assets ask for and that is shorter than the installation's.

Partitions go as a whole for everybody (wedsync_monitor/retention.py). Whoever asks for fewer days has older blocks
removed by the first compaction of each UTC day, and samples that are late by more than that never become blocks. Of an
agent and its asset the shorter one holds. Daily rows are kept.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction


def cutoff(days: int, now: datetime) -> datetime:
    """Samples before it are over: the beginning of the oldest UTC day that is kept whole."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def _asked() -> list[tuple[int, UUID, UUID | None]]:
    """(days, asset, agent) of those that ask for less than the installation keeps; without an agent: the asset."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT (monitoring_config ->> 'retention_days')::int, id, NULL::uuid FROM infrastructure_assets
               WHERE (monitoring_config ->> 'retention_days')::int < %(days)s
               UNION ALL
               SELECT retention_days, asset_id, id FROM monitoring_agents WHERE retention_days < %(days)s""",
            {"days": settings.METRIC_RETENTION_DAYS},
        )
        return list(cursor.fetchall())


def remove_expired(now: datetime) -> int:
    """Remove the blocks that agents and assets no longer want, once a day and in one transaction; how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO metric_expiry VALUES (%s) ON CONFLICT DO NOTHING", [cutoff(0, now).date()])
            if not cursor.rowcount:
                return 0
            cursor.execute("DELETE FROM metric_expiry WHERE applied_on < %s", [cutoff(0, now).date()])
        whole: dict[int, list[UUID]] = defaultdict(list)
        parts: dict[int, list[UUID]] = defaultdict(list)
        for days, asset_id, agent_id in _asked():
            if agent_id is None:
                whole[days].append(asset_id)
            else:
                parts[days].append(agent_id)
        removed = sum(_delete("block.asset_id = ANY(%(ids)s)", days, ids, now) for days, ids in whole.items())
        return removed + sum(_delete(_OF_AGENTS, days, ids, now) for days, ids in parts.items())


# What an agent sends is laid out by itself, so the first series of a layout tells whose it is.
_OF_AGENTS = """(block.asset_id, block.layout_id) IN (
    SELECT layout.asset_id, layout.id FROM metric_layout layout
    JOIN metric_series series ON series.asset_id = layout.asset_id AND series.id = layout.series_ids[1]
    WHERE series.agent_id = ANY(%(ids)s))"""


def _delete(whose: str, days: int, ids: list[UUID], now: datetime) -> int:
    """One statement for all who ask for the same number of days, so that only partitions that are older are opened."""
    parameters: dict[str, Any] = {"ids": ids, "cutoff": cutoff(days, now)}
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM metric_block block WHERE block.hour < %(cutoff)s AND {whose}", parameters)
        return int(cursor.rowcount)


def expired_places(hour: datetime, assets: list[UUID], now: datetime) -> tuple[set[UUID], set[tuple[UUID, int]]]:
    """Of these assets' frames in `hour`, those that come too late to be kept: whole assets, and (asset, layout)."""
    if hour >= cutoff(1, now):
        return set(), set()
    # The installation's own: the partition of their blocks is gone, or about to go.
    if hour < cutoff(settings.METRIC_RETENTION_DAYS, now):
        return set(assets), set()
    asked = [one for one in _asked() if hour < cutoff(one[0], now)]
    agents = [agent for _, _, agent in asked if agent is not None]
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT layout.asset_id, layout.id FROM metric_layout layout
               JOIN metric_series series ON series.asset_id = layout.asset_id AND series.id = layout.series_ids[1]
               WHERE layout.asset_id = ANY(%s) AND series.agent_id = ANY(%s)""",
            [assets, agents],
        )
        return {asset for _, asset, agent in asked if agent is None}, set(cursor.fetchall())
