"""What agents say of themselves and what they are told: heartbeat, configuration, rotation, discoveries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from assets.authentication import ROTATE_BEFORE
from assets.models import (
    AgentHealth,
    AgentKey,
    Discovery,
    DiscoveryDecision,
    DiscoveryKind,
    InfrastructureAsset,
    MonitoringAgent,
)
from wedsync_monitor import secrets
from wedsync_monitor.models import User

# An agent says that it lives every 30 seconds.
SILENT_AFTER = timedelta(seconds=120)
# An agent reports what runs every ten minutes; programs on passing ports would otherwise fill the table.
MAX_DISCOVERIES_PER_AGENT = 500
MAX_DETAILS_BYTES = 4096
FORGET_DISCOVERIES_AFTER = timedelta(days=30)
MAX_ERROR_LENGTH = 2000

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Heartbeat(msgspec.Struct, forbid_unknown_fields=True):
    """What an agent reports of itself; totals count from its start."""

    agent_version: str
    health_status: AgentHealth
    metrics_collected: Count = 0
    bytes_transmitted: Count = 0
    spool_depth: Count = 0
    dropped_samples: Count = 0
    last_error: str | None = None

    def __post_init__(self) -> None:
        self.agent_version = self.agent_version[:100]
        self.last_error = self.last_error and self.last_error[:MAX_ERROR_LENGTH]


def note_heartbeat(agent: MonitoringAgent, beat: Heartbeat, now: datetime) -> None:
    """Keep what the agent says. A total that fell means that the agent started again: it adds to what was known."""
    before = agent.last_report or {}
    grown = {
        column: max(new - (before.get(column, 0) if new >= before.get(column, 0) else 0), 0)
        for column, new in (
            ("metrics_collected", beat.metrics_collected),
            ("bytes_transmitted", beat.bytes_transmitted),
        )
    }
    MonitoringAgent.objects.filter(pk=agent.pk).update(
        agent_version=beat.agent_version,
        health_status=beat.health_status,
        last_heartbeat=Greatest(F("last_heartbeat"), now),
        last_report=msgspec.to_builtins(beat),
        metrics_collected=F("metrics_collected") + min(grown["metrics_collected"], 2**53),
        bytes_transmitted=F("bytes_transmitted") + min(grown["bytes_transmitted"], 2**53),
    )


def reporting_interval(asset: InfrastructureAsset) -> int | None:
    """Seconds between reports that the asset asks of its agents; None where each has its own."""
    asked: int | None = asset.monitoring_config.get("collection_interval")
    return asked


def configuration_of(agent: MonitoringAgent) -> dict[str, Any]:
    """What the agent is to do, its secrets opened for it, and the version by which it sees a change."""
    interval = reporting_interval(agent.asset) or agent.collection_interval
    config = {
        "agent_type": agent.agent_type,
        "collection_interval": interval,
        "compression_enabled": agent.compression_enabled,
        "agent_config": secrets.reveal(agent.agent_config),
    }
    # Over the sealed form: opening it must not be needed to see that nothing changed.
    raw = msgspec.json.encode([agent.agent_type, interval, agent.compression_enabled, agent.agent_config])
    return {"config_version": hashlib.blake2b(raw, digest_size=8).hexdigest(), **config}


def rotation_due(key: AgentKey, now: datetime) -> bool:
    """Whether the agent is to take a new key: a newer one that it never used got lost, a revoked one is none."""
    newer = key.agent.keys.filter(created_at__gt=key.created_at, revoked_at=None, first_used_at__isnull=False)
    return key.expires_at - now < ROTATE_BEFORE and not newer.exists()


def mark_silent(now: datetime) -> int:
    """Agents that have said nothing for a while are in an unknown state, not in the last one that they told."""
    silent = MonitoringAgent.objects.filter(is_active=True, last_heartbeat__lt=now - SILENT_AFTER)
    return silent.exclude(health_status=AgentHealth.UNKNOWN).update(health_status=AgentHealth.UNKNOWN)


class Found(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that an agent found on its host."""

    kind: DiscoveryKind
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    details: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if len(msgspec.json.encode(self.details)) > MAX_DETAILS_BYTES:
            raise ValueError(f"send details of at most {MAX_DETAILS_BYTES} bytes")


def offer(agent: MonitoringAgent, found: Sequence[Found], now: datetime) -> tuple[int, int]:
    """Keep what was found as offers of new assets; answers how many are new and how many were known."""
    known = set(agent.discoveries.values_list("kind", "name"))
    rows = {
        (one.kind, one.name): Discovery(
            agent=agent, kind=one.kind, name=one.name, details=one.details, last_seen_at=now
        )
        for one in found
    }
    Discovery.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["agent", "kind", "name"],
        update_fields=["details", "last_seen_at"],
    )
    latest_first = agent.discoveries.exclude(decision=DiscoveryDecision.ACCEPTED).order_by("-last_seen_at", "pk")
    too_many = list(latest_first.values_list("pk", flat=True)[MAX_DISCOVERIES_PER_AGENT:])
    Discovery.objects.filter(pk__in=too_many).delete()
    new = len(set(rows) - known)
    return new, len(rows) - new


def forget_discoveries(now: datetime) -> int:
    """Drop what no agent has seen for long; what became an asset stays."""
    old = Discovery.objects.filter(last_seen_at__lt=now - FORGET_DISCOVERIES_AFTER)
    return old.exclude(decision=DiscoveryDecision.ACCEPTED).delete()[0]


class Decided(Exception):
    """The discovery was accepted already."""


def decide(pk: UUID, decision: DiscoveryDecision, person: User) -> Discovery:
    """Accept or ignore a discovery, once. Raises Discovery.DoesNotExist or Decided; IntegrityError where an asset
    has its name."""
    with transaction.atomic():
        found = Discovery.objects.select_for_update(of=("self",)).select_related("agent__asset").get(pk=pk)
        if found.decision == DiscoveryDecision.ACCEPTED:
            raise Decided(f"{found} was accepted already")
        if decision == DiscoveryDecision.ACCEPTED:
            found.asset = _make_asset(found, person)
        found.decision = decision
        found.save()
    return found


def _make_asset(discovery: Discovery, person: User) -> InfrastructureAsset:
    """An asset of what was found, under the asset of the agent that found it."""
    host = discovery.agent.asset
    return InfrastructureAsset.objects.create(
        asset_name=f"{discovery.name} on {host.asset_name}",
        asset_type="container" if discovery.kind == "container" else "service",
        asset_category="application",
        environment=host.environment,
        parent_asset=host,
        configuration={"discovered": discovery.details},
        created_by=person,
    )
