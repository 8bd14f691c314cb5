"""Escalation of alerts that are due: takes the next step of each, tells whom it names, and finds when the one after
comes.

1. An alert that comes to be open, or whose policy changes, is due to be looked at (`next_escalation_at`).
2. `escalate_due` locks due alerts, skipping those that another worker holds, and in the same transaction writes the
   event, the level, the messages and when the alert is due again. Whoever dies meanwhile has done nothing.
3. Acknowledgements and snoozes that end make their rule due: its evaluation knows what else holds the alert back.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from alerts import escalation, lifecycle, naming, notification
from alerts.conditions import EscalationStep
from alerts.lifecycle import Event, State
from alerts.models import (
    AlertEvent,
    AlertInstance,
    DecisionKind,
    EscalationPolicy,
    NotificationDecision,
    RuleEvaluation,
    Severity,
)
from alerts.recipients import Directory, Reached

log = logging.getLogger(__name__)
BATCH = 200
# An alert that could not be escalated is tried again after this, so that it does not hold up the others.
PUSHED_AHEAD = timedelta(minutes=1)


@dataclass(frozen=True)
class _Step:
    """A step that is due for an alert that the transaction holds."""

    alert: AlertInstance
    due: escalation.Due
    step: EscalationStep
    channels: Sequence[dict[str, Any]]
    last: bool


def escalate_due(now: datetime) -> int:
    """Take every step that is due at `now`; answers how many messages became due."""
    _wake_returning(now)
    messages = 0
    while True:
        with transaction.atomic():
            alerts = _take(now)
            messages += _escalate(alerts, now)
        if len(alerts) < BATCH:
            return messages


def _wake_returning(now: datetime) -> None:
    """Let the rules of alerts whose acknowledgement or snooze is over be evaluated. Their rows are locked before the
    alerts, as evaluators do."""
    over = AlertInstance.objects.filter(next_escalation_at__lte=now, status__in=[State.ACKNOWLEDGED, State.SUPPRESSED])
    found = list(over.values_list("pk", "alert_rule_id")[:10_000])
    if found:
        with transaction.atomic():
            rules = RuleEvaluation.objects.select_for_update(no_key=True).order_by("rule_id")
            held = list(rules.filter(rule_id__in={rule for _, rule in found}).values_list("pk", flat=True))
            RuleEvaluation.objects.filter(pk__in=held).update(next_evaluation_at=now)
            over.filter(pk__in=[pk for pk, _ in found]).update(next_escalation_at=None)


def _take(now: datetime) -> list[AlertInstance]:
    rows = AlertInstance.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        next_escalation_at__lte=now, status=State.OPEN
    )
    related = rows.select_related("alert_rule__escalation_policy")
    return list(related.order_by("next_escalation_at")[:BATCH])


def _escalate(alerts: Sequence[AlertInstance], now: datetime) -> int:
    if not alerts:
        return 0
    histories = _histories([alert.pk for alert in alerts])
    due: list[_Step] = []
    waiting: list[NotificationDecision] = []
    for alert in alerts:
        try:
            due += _plan_next(alert, histories[alert.pk], now, waiting)
        except Exception:
            log.exception("alert %s could not be escalated", alert.pk)
            alert.next_escalation_at = now + PUSHED_AHEAD
    messages = _tell(due, now)
    # A step that is looked at again still waits for the same moment.
    NotificationDecision.objects.bulk_create(waiting, ignore_conflicts=True)
    _save(alerts, now)
    return messages


def _save(alerts: Sequence[AlertInstance], now: datetime) -> None:
    """Level and next look of all, in one statement."""
    rows = [{"id": one.pk, "level": one.escalation_level, "next_at": one.next_escalation_at} for one in alerts]
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE alert_instances AS alert
               SET escalation_level = seen.level, next_escalation_at = seen.next_at, updated_at = %s
               FROM jsonb_to_recordset(%s::jsonb) AS seen (id uuid, level int, next_at timestamptz)
               WHERE alert.id = seen.id""",
            [now, msgspec.json.encode(rows).decode()],
        )


def _histories(ids: Sequence[UUID]) -> dict[UUID, list[tuple[Event, datetime]]]:
    found: dict[UUID, list[tuple[Event, datetime]]] = defaultdict(list)
    rows = AlertEvent.objects.filter(alert__in=ids).order_by("at", "pk")
    for alert_id, kind, at in rows.values_list("alert_id", "kind", "at"):
        found[alert_id].append((Event(kind), at))
    return found


def _plan_next(
    alert: AlertInstance,
    history: list[tuple[Event, datetime]],
    now: datetime,
    waiting: list[NotificationDecision],
) -> list[_Step]:
    """The step that is due, if one is; writes on `alert` when it is due next, and adds to `waiting` where that is put
    off to working time."""
    policy: EscalationPolicy | None = alert.alert_rule.escalation_policy
    if policy is None or not policy.is_active:
        alert.next_escalation_at = None
        return []
    plan, critical = policy.plan, alert.severity == Severity.CRITICAL
    due = escalation.next_step(plan, history, critical)
    if due is None or due.at > now:
        alert.next_escalation_at = due.at if due else None
        waiting += _put_off(alert, due, now)
        return []
    lifecycle.follow(State(alert.status), Event.ESCALATED)
    after = escalation.next_step(plan, [*history, (Event.ESCALATED, now)], critical)
    alert.next_escalation_at, alert.escalation_level = (after.at if after else None), due.number
    waiting += _put_off(alert, after, now)
    steps = sorted(policy.escalation_steps, key=lambda step: step["delay_minutes"])
    channels = steps[due.step].get("notification_channels", [])
    return [_Step(alert, due, policy.steps[due.step], channels, last=after is None)]


def _put_off(alert: AlertInstance, due: escalation.Due | None, now: datetime) -> list[NotificationDecision]:
    if due is None or not due.waits:
        return []
    reason = f"Step {due.step + 1} of round {due.round + 1} would have come outside of working time."
    kind = DecisionKind.OUTSIDE_HOURS
    return [NotificationDecision(alert=alert, kind=kind, at=now, reason=reason, until=due.at)]


def _tell(due: Sequence[_Step], now: datetime) -> int:
    if not due:
        return 0
    directory = Directory([one.step for one in due], now)
    reached = [directory.reach(one.step, one.channels, one.alert.severity) for one in due]
    events = [_event(one, whom, now) for one, whom in zip(due, reached, strict=True)]
    AlertEvent.objects.bulk_create(events)
    told = [(event, *one) for event, whom in zip(events, reached, strict=True) for one in whom.told]
    return notification.enqueue_to(told, now)


def _event(one: _Step, whom: Reached, now: datetime) -> AlertEvent:
    names = [*(naming.shown_channel(channel) for channel in one.channels), *whom.people]
    said = [f"Step {one.due.step + 1} of round {one.due.round + 1}: " + (", ".join(names) or "nobody") + "."]
    said += [f"Not reached: {'; '.join(whom.unreached)}."] if whom.unreached else []
    said += ["Nothing follows: it was the last step."] if one.last else []
    return AlertEvent(
        alert=one.alert,
        kind=Event.ESCALATED.value,
        at=now,
        note=" ".join(said),
        data={
            "level": one.due.number,
            "step": one.due.step + 1,
            "round": one.due.round + 1,
            "people": whom.people,
            "unreached": whom.unreached,
            "asked": msgspec.to_builtins(whom.asked),
            "on_call": whom.on_call,
        },
    )
