"""What is handed to the door: findings, endings and recorded histories, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from alerts.lifecycle import Event, Observation, Snapshot, State, Terms
from alerts.models import AlertInstance, AlertRule
from wedsync_monitor.models import User


@dataclass(frozen=True)
class Subject:
    """What an evaluation found about one rule on one asset, ready to be written."""

    rule: AlertRule
    asset_id: UUID | None  # None: about all assets of the rule together
    observation: Observation
    terms: Terms
    title: str = ""
    description: str = ""
    value: float | None = None
    threshold: float | None = None
    context: dict[str, Any] = field(default_factory=dict)
    key: str = ""  # where it is not the rule and the asset

    @property
    def alert_key(self) -> str:
        return self.key or f"{self.rule.pk}:{self.asset_id or 'all'}"


def snapshot_of(alert: AlertInstance) -> Snapshot:
    return Snapshot(
        State(alert.status),
        alert.breach_count,
        alert.opened_at,
        alert.clear_since,
        alert.missing_since,
        alert.acknowledged_until,
        alert.snoozed_until,
        tuple(alert.flips),
        alert.flapping_since,
    )


@dataclass(frozen=True)
class Ending:
    """A live alert that its rule no longer asks for, and why."""

    alert: AlertInstance
    rule: AlertRule
    reason: str


@dataclass
class Outcome:
    """How many messages became due, and what could not be written, by rule."""

    messages: int = 0
    failures: dict[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Happening:
    """One event of a recorded history."""

    event: Event
    at: datetime
    person: User | None = None
    note: str = ""
