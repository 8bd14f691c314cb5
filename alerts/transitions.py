"""The one door to an alert's status: locks the row, writes state, events and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from alerts import lifecycle, notification
from alerts.lifecycle import Event, Observation, Refused, Snapshot, State, Terms, Transition
from alerts.models import AlertEvent, AlertInstance, AlertRule
from wedsync_monitor.models import User


@dataclass(frozen=True)
class Subject:
    """What an evaluation found about one rule on one asset, ready to be written."""

    rule: AlertRule
    asset_id: UUID
    observation: Observation
    title: str
    description: str
    value: float | None
    threshold: float | None
    context: dict[str, Any] = field(default_factory=dict)

    @property
    def alert_key(self) -> str:
        return f"{self.rule.pk}:{self.asset_id}"


def snapshot_of(alert: AlertInstance) -> Snapshot:
    return Snapshot(
        State(alert.status),
        alert.breach_count,
        alert.opened_at,
        alert.clear_since,
        alert.missing_since,
        alert.acknowledged_until,
    )


def observe(found: Iterable[tuple[Subject, AlertInstance | None]], terms: Terms, now: datetime) -> int:
    """Apply what an evaluation found to the live alerts, or open them; answers how many messages became due.

    Most alerts live on as they are: what is new about them is written at once for all.
    """
    told, unchanged = 0, []
    for subject, alert in found:
        decided = lifecycle.decide(snapshot_of(alert) if alert else None, subject.observation, terms, now)
        if decided is None:
            continue
        if alert is None:
            told += _begin(subject, decided, now)
        elif decided.events or decided.gone:
            told += _go_on(subject, alert, terms, now)
        else:
            _describe(alert, subject, now)
            _change(alert, decided)
            unchanged.append(alert)
    _save_marks(unchanged, now)
    return told


def _go_on(subject: Subject, alert: AlertInstance, terms: Terms, now: datetime) -> int:
    """The decision is made again on the locked row: another evaluator or an operator may have been first."""
    with transaction.atomic():
        locked = _lockable().filter(pk=alert.pk).first()
        if locked is None or locked.status == State.RESOLVED:
            return 0
        decided = lifecycle.decide(snapshot_of(locked), subject.observation, terms, now)
        if decided is None:
            return 0
        _describe(locked, subject, now)
        return _apply(locked, decided, now)


def _begin(subject: Subject, decided: Transition, now: datetime) -> int:
    alert = AlertInstance(
        alert_rule=subject.rule,
        asset_id=subject.asset_id,
        alert_key=subject.alert_key,
        severity=subject.rule.severity,
        first_triggered_at=now,
    )
    _describe(alert, subject, now)
    try:
        with transaction.atomic():
            return _apply(alert, decided, now)
    except IntegrityError:
        # The partial unique index: another evaluator opened it in the same moment.
        return 0


# What an evaluation writes on an alert that stays in its state.
_MARKS = {
    "alert_title": "text",
    "alert_description": "text",
    "trigger_value": "float8",
    "threshold_value": "float8",
    "context_data": "jsonb",
    "last_triggered_at": "timestamptz",
    "breach_count": "int4",
    "clear_since": "timestamptz",
    "missing_since": "timestamptz",
}


def _save_marks(alerts: Sequence[AlertInstance], now: datetime) -> None:
    """One statement for all; an alert that an operator has moved on meanwhile is left to the next evaluation."""
    if not alerts:
        return
    types = {"id": "uuid", "status": "text"} | _MARKS
    rows = msgspec.json.encode([{name: getattr(alert, name) for name in types} for alert in alerts])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE alert_instances AS alert
                SET {", ".join(f"{name} = seen.{name}" for name in _MARKS)}, updated_at = %s
                FROM jsonb_to_recordset(%s::jsonb) AS seen ({", ".join(" ".join(column) for column in types.items())})
                WHERE alert.id = seen.id AND alert.status = seen.status""",
            [now, rows.decode()],
        )


def _describe(alert: AlertInstance, subject: Subject, now: datetime) -> None:
    if subject.observation.finding is lifecycle.Finding.BREACHED:
        alert.alert_title, alert.alert_description = subject.title, subject.description
        alert.trigger_value, alert.threshold_value = subject.value, subject.threshold
        alert.context_data, alert.last_triggered_at = subject.context, now


def _change(alert: AlertInstance, decided: Transition) -> None:
    for column, value in decided.changes.items():
        setattr(alert, column, value)


def _apply(alert: AlertInstance, decided: Transition, now: datetime, person: User | None = None, note: str = "") -> int:
    if decided.gone:
        alert.delete()
        return 0
    _change(alert, decided)
    alert.status = decided.state.value
    if decided.state is State.RESOLVED:
        alert.resolved_at, alert.resolution_type, alert.resolved_by = now, decided.resolution_type, person
    alert.save()
    told = 0
    for event in decided.events:
        untold = notification.why_untold(alert, event.value, now)
        row = AlertEvent.objects.create(alert=alert, kind=event.value, at=now, actor=person, note=note or untold)
        told += 0 if untold else notification.enqueue(alert, row, now)
    return told


def _lockable() -> QuerySet[AlertInstance]:
    """Alerts to be locked as they are read, with the rule that says whom to tell."""
    return AlertInstance.objects.select_for_update(of=("self",)).select_related("alert_rule")


def _locked(alert_id: UUID) -> AlertInstance:
    return _lockable().exclude(status=State.PENDING).get(pk=alert_id)


def acknowledge(alert_id: UUID, person: User, note: str, estimated_minutes: int | None, now: datetime) -> AlertInstance:
    """`person` takes the alert on. Raises Refused, AlertInstance.DoesNotExist."""
    with transaction.atomic():
        alert = _locked(alert_id)
        decided = lifecycle.decide_acknowledge(snapshot_of(alert), estimated_minutes, now)
        alert.acknowledged_by = person
        _apply(alert, decided, now, person, note)
        return alert


def resolve(
    alert_id: UUID, person: User | None, resolution_type: str, notes: str, now: datetime, **found: str
) -> AlertInstance:
    """The alert is declared over; `found` may hold root_cause and remediation_applied. Raises Refused, DoesNotExist."""
    with transaction.atomic():
        alert = _locked(alert_id)
        decided = lifecycle.decide_resolve(snapshot_of(alert), resolution_type)
        alert.resolution_notes = notes
        alert.context_data = alert.context_data | {name: text for name, text in found.items() if text}
        _apply(alert, decided, now, person, notes)
        return alert


def end_orphans(alerts: Sequence[AlertInstance], reason: str, now: datetime) -> int:
    """Resolve live alerts whose rule or asset no longer asks for them; pending ones just go."""
    told = 0
    for alert in alerts:
        with transaction.atomic():
            locked = _lockable().filter(pk=alert.pk).first()
            if locked is None or locked.status == State.RESOLVED:
                continue
            if locked.status == State.PENDING:
                locked.delete()
                continue
            locked.resolution_notes = reason
            told += _apply(locked, lifecycle.decide_resolve(snapshot_of(locked), "auto"), now, None, reason)
    return told


@dataclass(frozen=True)
class Happening:
    """One event of a recorded history."""

    event: Event
    at: datetime
    person: User | None = None
    note: str = ""


def load(alert: AlertInstance, happened: Sequence[Happening], **data: Any) -> list[AlertEvent]:
    """Write `alert` with what is known to have happened to it; nobody is told. Raises Refused where one event cannot
    follow the other."""
    state = State.INACTIVE
    for one in happened:
        state = lifecycle.follow(state, one.event)
    alert.status = state.value
    with transaction.atomic():
        alert.save()
        rows = [
            AlertEvent(alert=alert, kind=one.event.value, at=one.at, actor=one.person, note=one.note, data=data)
            for one in happened
        ]
        return AlertEvent.objects.bulk_create(rows)


__all__ = [
    "Happening",
    "Refused",
    "Subject",
    "acknowledge",
    "end_orphans",
    "load",
    "observe",
    "resolve",
    "snapshot_of",
]
