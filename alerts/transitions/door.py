"""The one door to an alert's status: locks the row, writes state, events and outbox in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from alerts import lifecycle, notification
from alerts.flapping import Flips
from alerts.lifecycle import Event, Snapshot, State, Transition
from alerts.models import AlertEvent, AlertInstance
from alerts.transitions import rows
from alerts.transitions.subjects import Ending, Happening, Outcome, Subject, snapshot_of
from wedsync_monitor.models import User

log = logging.getLogger(__name__)
# Alerts that are written in one transaction.
BATCH = 1000
# How often it is written that an alert still breaches.
REFRESHED_EVERY = timedelta(seconds=60)


@dataclass(frozen=True)
class _Step:
    """What is decided about an alert that the transaction holds."""

    alert: AlertInstance
    decided: Transition
    note: str = ""


# Locks what an evaluator has claimed; answers the rules whose findings may still be written.
Standing = Callable[[Collection[UUID]], Collection[UUID]]
_Item = TypeVar("_Item")


def observe(
    found: Iterable[tuple[Subject, AlertInstance | None]], now: datetime, standing: Standing, outcome: Outcome
) -> None:
    """Apply what an evaluation found to the live alerts, or open them.

    Alerts are written in batches, each with its events and messages in one transaction. Most live on as they are: a
    row is touched where something about it changed.
    """
    new: list[tuple[Subject, Transition]] = []
    moved: list[tuple[Subject, AlertInstance]] = []
    lived: list[tuple[Subject, AlertInstance]] = []
    for subject, alert in found:
        decided = lifecycle.decide(snapshot_of(alert) if alert else None, subject.observation, subject.terms, now)
        if decided is None:
            continue
        if alert is None:
            new.append((subject, decided))
        elif decided.events or decided.gone:
            moved.append((subject, alert))
        elif not _is_old_news(alert, decided, now):
            _describe(alert, subject, now)
            _change(alert, decided)
            lived.append((subject, alert))
    # In one order everywhere, so that two evaluators never wait for each other in a ring.
    new.sort(key=lambda item: item[0].alert_key)
    moved.sort(key=lambda item: item[1].pk)
    lived.sort(key=lambda item: item[1].pk)
    _in_batches(new, lambda item: item[0].rule.pk, lambda batch: _begin(batch, now), standing, outcome)
    _in_batches(moved, lambda item: item[0].rule.pk, lambda batch: _go_on(batch, now), standing, outcome)
    _in_batches(lived, lambda item: item[0].rule.pk, lambda batch: _save_marks(batch, now), standing, outcome)


def _is_old_news(alert: AlertInstance, decided: Transition, now: datetime) -> bool:
    """Whether all there is to say is that it still breaches, and that was written a moment ago."""
    return decided.changes.keys() <= {"last_triggered_at"} and abs(now - alert.last_triggered_at) < REFRESHED_EVERY


def _in_batches(
    items: Sequence[_Item],
    rule_of: Callable[[_Item], UUID],
    work: Callable[[Sequence[_Item]], int],
    standing: Standing,
    outcome: Outcome,
) -> None:
    """Do `work` on `items`, so many in a transaction. Of a batch that fails each item is tried by itself."""
    batches = [items[at : at + BATCH] for at in range(0, len(items), BATCH)]
    while batches:
        batch = batches.pop(0)
        try:
            with transaction.atomic():
                rules = standing({rule_of(item) for item in batch})
                told = work([item for item in batch if rule_of(item) in rules])
            outcome.messages += told
        except Exception as error:
            if not connection.is_usable():
                raise
            if len(batch) > 1:
                batches[:0] = [[item] for item in batch]
                continue
            log.exception("an alert of rule %s could not be written", rule_of(batch[0]))
            outcome.failures[rule_of(batch[0])] = f"{type(error).__name__}: {error}"


def _begin(batch: Sequence[tuple[Subject, Transition]], now: datetime) -> int:
    earlier = _flips_before([subject for subject, _ in batch], now)
    steps = []
    for subject, first in batch:
        flips = earlier.get(subject.alert_key, ())
        decided = lifecycle.decide(None, subject.observation, subject.terms, now, flips) or first
        steps.append(_Step(_settled(_new(subject, now), decided, now), decided))
    ours = rows.insert([step.alert for step in steps])
    return _tell([step for step in steps if step.alert.pk in ours], now)


def _flips_before(subjects: Sequence[Subject], now: datetime) -> dict[str, Flips]:
    """When the trouble of each key began and ended lately, by the last alert of it that is over; one query, and none
    where nothing can flap. One that lasted for longer than is looked back was no flapping."""
    able = [subject for subject in subjects if subject.terms.flapping]
    if not able:
        return {}
    reach = max(subject.terms.flapping.reach for subject in able if subject.terms.flapping)
    over = AlertInstance.objects.filter(
        alert_rule__in={subject.rule.pk for subject in able},
        first_triggered_at__gt=now - reach,
        alert_key__in=[subject.alert_key for subject in able],
        status=State.RESOLVED,
    )
    newest = over.order_by("alert_key", "-first_triggered_at").distinct("alert_key")
    return {key: tuple(flips) for key, flips in newest.values_list("alert_key", "flips")}


def _new(subject: Subject, now: datetime) -> AlertInstance:
    alert = AlertInstance(
        alert_rule=subject.rule,
        asset_id=subject.asset_id,
        alert_key=subject.alert_key,
        severity=subject.rule.severity,
        first_triggered_at=now,
    )
    _describe(alert, subject, now)
    return alert


def _go_on(batch: Sequence[tuple[Subject, AlertInstance]], now: datetime) -> int:
    """The decisions are made again on the locked rows: another evaluator or an operator may have been first."""
    locked = _locked_rows([alert for _, alert in batch])
    opening = [subject for subject, alert in batch if alert.status == State.PENDING]
    earlier = _flips_before(opening, now)
    steps = []
    for subject, alert in batch:
        row = locked.get(alert.pk)
        if row is None:
            continue
        flips = earlier.get(subject.alert_key, ())
        decided = lifecycle.decide(snapshot_of(row), subject.observation, subject.terms, now, flips)
        if decided is not None:
            row.alert_rule = subject.rule
            _describe(row, subject, now)
            steps.append(_Step(row, decided))
    return _apply_all(steps, now)


def _locked_rows(alerts: Sequence[AlertInstance]) -> dict[UUID, AlertInstance]:
    rows = AlertInstance.objects.select_for_update().filter(pk__in=[alert.pk for alert in alerts])
    return {row.pk: row for row in rows.exclude(status=State.RESOLVED).order_by("pk")}


def _apply_all(steps: Sequence[_Step], now: datetime) -> int:
    if gone := [step.alert.pk for step in steps if step.decided.gone]:
        AlertInstance.objects.filter(pk__in=gone).delete()
    left = [step for step in steps if not step.decided.gone]
    rows.update([_settled(step.alert, step.decided, now) for step in left], rows.MARKS | rows.ENDS, "true", now)
    return _tell(left, now)


def _settled(alert: AlertInstance, decided: Transition, now: datetime, person: User | None = None) -> AlertInstance:
    _change(alert, decided)
    alert.status = decided.state.value
    if Event.RESOLVED in decided.events:
        alert.resolved_at, alert.resolution_type, alert.resolved_by = now, decided.resolution_type, person
    alert.next_escalation_at = _next_look(alert, decided, now)
    return alert


def _next_look(alert: AlertInstance, decided: Transition, now: datetime) -> datetime | None:
    """When alerts.paging looks at the alert: at once where it has come to be open, to find its next step."""
    if decided.state is State.OPEN:
        begins = not _TO_OPEN.isdisjoint(decided.events) and alert.alert_rule.escalation_policy_id is not None
        return now if begins else alert.next_escalation_at
    ends = {State.ACKNOWLEDGED: alert.acknowledged_until, State.SUPPRESSED: alert.snoozed_until}
    return ends.get(decided.state)


def _tell(steps: Sequence[_Step], now: datetime, person: User | None = None) -> int:
    """Write the events of `steps` and queue their messages."""
    opened = [step.alert for step in steps if not _BEGINS.isdisjoint(step.decided.events)]
    untold = notification.why_untold(opened, now)
    happened = [(step, event, untold.get(step.alert.pk, "")) for step in steps for event in step.decided.events]
    rows = [
        AlertEvent(
            alert=step.alert,
            kind=event.value,
            at=now,
            actor=person,
            note=_note(step, event, reason),
        )
        for step, event, reason in happened
    ]
    AlertEvent.objects.bulk_create(rows)
    told = [
        (step.alert, row) for (step, event, reason), row in zip(happened, rows, strict=True) if not _why(event, reason)
    ]
    return notification.enqueue(told, now)


def _note(step: _Step, event: Event, reason: str) -> str:
    """What a person said, or why the system did it."""
    return step.note or (step.decided.note if event in _NOTED else "") or _why(event, reason)


def _why(event: Event, reason: str) -> str:
    return reason if event in _BEGINS else ""


_BEGINS, _NOTED = frozenset({Event.OPENED, Event.FLAPPING}), frozenset({Event.SUPPRESSED, Event.FLAPPING})
_TO_OPEN = frozenset({Event.OPENED, Event.UNSUPPRESSED, Event.ACKNOWLEDGEMENT_EXPIRED})


def _save_marks(batch: Sequence[tuple[Subject, AlertInstance]], now: datetime) -> int:
    """An alert that an operator has moved on meanwhile is left to the next evaluation."""
    rows.update([alert for _, alert in batch], rows.MARKS, "alert.status = seen.status", now)
    return 0


def _describe(alert: AlertInstance, subject: Subject, now: datetime) -> None:
    if subject.observation.finding is lifecycle.Finding.BREACHED:
        alert.alert_title, alert.alert_description = subject.title, subject.description
        alert.trigger_value, alert.threshold_value = subject.value, subject.threshold
        alert.context_data, alert.last_triggered_at = subject.context, now


def _change(alert: AlertInstance, decided: Transition) -> None:
    for column, value in decided.changes.items():
        setattr(alert, column, value)


def _lockable() -> QuerySet[AlertInstance]:
    """Alerts to be locked as they are read, with the rule that says whom to tell."""
    return AlertInstance.objects.select_for_update(of=("self",)).select_related("alert_rule")


def _locked(alert_id: UUID) -> AlertInstance:
    return _lockable().exclude(status=State.PENDING).get(pk=alert_id)


def act(
    alert_id: UUID,
    person: User | None,
    decide: Callable[[Snapshot], Transition],
    note: str,
    now: datetime,
    **columns: Any,
) -> AlertInstance:
    """What a person does to one alert, in one transaction; `columns` are written with it. Raises Refused,
    AlertInstance.DoesNotExist."""
    with transaction.atomic():
        alert = _locked(alert_id)
        decided = decide(snapshot_of(alert))
        for column, value in columns.items():
            setattr(alert, column, value)
        _settled(alert, decided, now, person).save()
        _tell([_Step(alert, decided, note)], now, person)
        return alert


def acknowledge(
    alert_id: UUID, person: User | None, note: str, estimated_minutes: int | None, now: datetime
) -> AlertInstance:
    """`person`, or somebody whom only `note` names, takes the alert on. Raises Refused, AlertInstance.DoesNotExist."""
    decide = partial(lifecycle.decide_acknowledge, minutes=estimated_minutes, now=now)
    return act(alert_id, person, decide, note, now, acknowledged_by=person)


def resolve(
    alert_id: UUID,
    person: User | None,
    resolution_type: str,
    notes: str,
    now: datetime,
    false_positive: bool = False,
    **found: str,
) -> AlertInstance:
    """The alert is declared over, or never to have been; `found` may hold root_cause and remediation_applied. Raises
    Refused, DoesNotExist."""
    with transaction.atomic():
        context = _locked(alert_id).context_data | {name: text for name, text in found.items() if text}
        decide = partial(lifecycle.decide_resolve, resolution_type=resolution_type)
        columns = {"resolution_notes": notes, "context_data": context, "false_positive": false_positive}
        return act(alert_id, person, decide, notes, now, **columns)


def end_orphans(endings: Sequence[Ending], now: datetime, standing: Standing, outcome: Outcome) -> None:
    """Resolve live alerts whose rule or asset no longer asks for them; pending ones just go."""
    ordered = sorted(endings, key=lambda ending: ending.alert.pk)
    _in_batches(ordered, lambda ending: ending.rule.pk, lambda batch: _end(batch, now), standing, outcome)


def _end(batch: Sequence[Ending], now: datetime) -> int:
    locked = _locked_rows([ending.alert for ending in batch])
    steps = []
    for ending in batch:
        if row := locked.get(ending.alert.pk):
            row.alert_rule = ending.rule
            if row.status == State.PENDING:
                steps.append(_Step(row, Transition(State.INACTIVE, gone=True)))
            else:
                row.resolution_notes = ending.reason
                steps.append(_Step(row, lifecycle.decide_resolve(snapshot_of(row), "auto"), ending.reason))
    return _apply_all(steps, now)


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
