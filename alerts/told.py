"""Whether one person was told of alerts, by which channel and when, or the reason why not: a sentence for each alert.

A message is a person's where a step of an escalation was for them, where it went to a channel that they prefer, or
where their address is among its recipients. What a Slack channel or a webhook passes on to whom is not known; the
sentence says that it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, OuterRef, QuerySet

from alerts.conditions import EscalationStep
from alerts.ledger import clock, grouping, held_until
from alerts.models import (
    AlertEvent,
    AlertInstance,
    AlertStatus,
    ContactPreference,
    DeliveryStatus,
    EventKind,
    NotificationDelivery,
    OnCallSchedule,
)
from alerts.naming import channel_key, shown_channel
from alerts.recipients import channels_of
from wedsync_monitor import policy
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb

USUAL = timedelta(hours=24)
UNKNOWN = "nobody whom you may ask for has this user name; send that of an account"
TOLD, WAITING, FAILED, NOT_TOLD = "told", "waiting", "failed", "not_told"
# What says something of who is told.
_KINDS = (
    EventKind.OPENED, EventKind.SUPPRESSED, EventKind.UNSUPPRESSED, EventKind.SNOOZED, EventKind.ESCALATED,
    EventKind.ACKNOWLEDGED, EventKind.RESOLVED,
)  # fmt: skip
_ASKING = (EventKind.OPENED, EventKind.UNSUPPRESSED, EventKind.ACKNOWLEDGEMENT_EXPIRED, EventKind.ESCALATED)


def begun(reader: User, since: datetime, until: datetime) -> QuerySet[AlertInstance]:
    """The alerts that `reader` may see and that began from `since` to `until`, newest first."""
    rows: QuerySet[AlertInstance] = policy.permitted(reader, Verb.READ, "alerts", AlertInstance.objects.all())
    rows = rows.exclude(status=AlertStatus.PENDING).select_related("alert_rule__escalation_policy", "asset")
    within = rows.filter(first_triggered_at__gte=since, first_triggered_at__lt=until)
    return within.order_by("-first_triggered_at", "pk")


def person_of(reader: User, username: str) -> User | None:
    """Whom `reader` asks for: oneself where no name is given. Who has no role asks only for oneself."""
    if username in ("", reader.username):
        return reader
    if "\0" in username or not policy.granted(reader, Verb.READ, "alerts"):
        return None
    return User.objects.filter(username=username).first()


@dataclass(frozen=True)
class Answer:
    """What became of one alert for one person; `at` and `channel` where a message was made for them."""

    outcome: str
    sentence: str
    channel: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Listener:
    """A person as messages know them; `schedules` are those in whose rotations they are."""

    username: str
    email: str
    keys: frozenset[str]
    schedules: frozenset[str]


@dataclass
class History:
    """What is stored of one alert: its events and the messages that asked people to look, oldest first."""

    alert: AlertInstance
    steps: Sequence[EscalationStep] = ()
    policy: str = ""
    events: list[AlertEvent] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)

    def of(self, *kinds: str) -> list[AlertEvent]:
        return [event for event in self.events if event.kind in kinds]


def answers(person: User, alerts: Iterable[AlertInstance]) -> list[tuple[AlertInstance, Answer]]:
    """Each of `alerts` (with rule and policy) and what became of it for `person`: four queries."""
    shown = list(alerts)
    listener = _listener(person)
    return [(one.alert, answer(one, listener)) for one in _histories(shown)]


def _listener(person: User) -> Listener:
    preference = ContactPreference.objects.filter(user=person).first()
    keys = frozenset(channel_key(channel) for channel in channels_of(person, preference))
    rows = OnCallSchedule.objects.values_list("schedule_name", "layers")
    own = frozenset(name for name, layers in rows if any(person.username in one.get("users", ()) for one in layers))
    return Listener(person.username, person.email.lower(), keys, own)


def _histories(alerts: Sequence[AlertInstance]) -> list[History]:
    found = {alert.pk: History(alert, *_plan(alert)) for alert in alerts}
    events = AlertEvent.objects.filter(alert__in=list(found), kind__in=_KINDS).select_related("actor")
    for event in events.order_by("at", "pk"):
        found[event.alert_id].events.append(event)
    same = NotificationDelivery.objects.filter(told_by=OuterRef("told_by")).order_by().values("told_by")
    messages = NotificationDelivery.objects.filter(event__alert__in=list(found), event__kind__in=_ASKING)
    together = messages.select_related("event").annotate(together=same.annotate(number=Count("pk")).values("number"))
    for message in together.order_by("event_id"):
        found[message.event.alert_id].messages.append(message)
    return list(found.values())


def _plan(alert: AlertInstance) -> tuple[Sequence[EscalationStep], str]:
    policy = alert.alert_rule.escalation_policy
    return (policy.steps, policy.policy_name) if policy and policy.is_active else ((), "")


def answer(history: History, person: Listener) -> Answer:
    """The first that can be said, from what was sent to what was never meant to be."""
    reasons: Sequence[Callable[[History, Listener], Answer | None]] = (_by_message, _refused, _kept_back, _not_reached)
    for reason in reasons:
        if found := reason(history, person):
            return found
    return _no_channel(history)


def _no(reason: str) -> Answer:
    return Answer(NOT_TOLD, f"Not told: {reason}")


def _by_message(history: History, person: Listener) -> Answer | None:
    own = [one for one in history.messages if _is_for(one, person)]
    for status, say in ((DeliveryStatus.DELIVERED, _told), (DeliveryStatus.QUEUED, _waiting), (None, _failed)):
        for one in own:
            if status in (None, one.status):
                return say(one)
    return None


def _is_for(message: Any, person: Listener) -> bool:
    asked = message.event.data.get("asked", ())
    if any(one["person"] == person.username and message.channel_key in one["channels"] for one in asked):
        return True
    recipients = message.channel["config"].get("recipients", ()) if message.channel["type"] == "email" else ()
    return message.channel_key in person.keys or (bool(person.email) and person.email in map(str.lower, recipients))


def _told(message: Any) -> Answer:
    channel = shown_channel(message.channel)
    grouped = grouping(message.told_by_id, message.together)
    text = f"Told by {channel} at {clock(message.delivered_at)}{f', {grouped}' if grouped else ''}."
    return Answer(TOLD, text, channel, message.delivered_at)


def _waiting(message: Any) -> Answer:
    channel, held = shown_channel(message.channel), held_until(message.event.data, message.channel_key)
    grouped = grouping(message.told_by_id, message.together)
    next_at = clock(message.next_attempt_at)
    if held and held[1] == message.next_attempt_at:
        why = f"quiet hours hold warnings until {next_at}"
    elif message.attempts and message.last_error:
        why = f"try {message.attempts} failed ({message.last_error.rstrip('.')}); the next is at {next_at}"
    else:
        why = f"{grouped or message.last_error.rstrip('.') or 'it is due'}; it goes at {next_at}"
    return Answer(WAITING, f"Not told yet by {channel}: {why}.", channel, message.next_attempt_at)


def _failed(message: Any) -> Answer:
    channel = shown_channel(message.channel)
    text = f"Not told: the message to {channel} was given up after {message.attempts} tries: {message.last_error}"
    return Answer(FAILED, text, channel, message.last_attempt_at)


def _refused(history: History, person: Listener) -> Answer | None:
    """A step named the person, and nothing reached them."""
    for event in history.of(EventKind.ESCALATED):
        for asked in event.data.get("asked", ()):
            if asked["person"] == person.username and asked["reason"]:
                return _no(f"{asked['reason']} (step {event.data['step']} at {clock(event.at)}).")
    return None


def _kept_back(history: History, person: Listener) -> Answer | None:
    """Nobody was told, because something held the alert back."""
    if history.messages:
        return None
    held = history.of(EventKind.SUPPRESSED, EventKind.SNOOZED)
    opened = history.of(EventKind.OPENED, EventKind.UNSUPPRESSED)
    if held and (not opened or held[0].pk < opened[0].pk or history.alert.status == AlertStatus.SUPPRESSED):
        return _no(held[-1].note or "it was held back.")
    return _no(opened[0].note.removeprefix("Not told: ")) if opened and opened[0].note else None


def _not_reached(history: History, person: Listener) -> Answer | None:
    """The escalation policy could have named the person, and did not."""
    taken = history.of(EventKind.ESCALATED)
    for event in taken:
        for schedule, other in event.data.get("on_call", {}).items():
            if schedule in person.schedules:
                return _no(f"not on call at that time: {other or 'nobody'} was on call by {schedule}.")
    for number, step in enumerate(history.steps[len(taken) :], len(taken) + 1):
        if person.username in step.users or person.schedules.intersection(step.schedules):
            return _no(f"step {number} of {history.policy}, which could name {person.username}, {_why_not(history)}.")
    return None


def _why_not(history: History) -> str:
    """Why a step was not taken."""
    for event in history.of(EventKind.ACKNOWLEDGED, EventKind.RESOLVED):
        by = f" by {event.actor.username}" if event.actor else ""
        return f"was not reached: the alert was {event.kind}{by} at {clock(event.at)}"
    due = history.alert.next_escalation_at
    return f"is not due before {clock(due)}" if due else "was not reached"


def _no_channel(history: History) -> Answer:
    told = list(dict.fromkeys(shown_channel(one.channel) for one in history.messages))
    rule = f"the rule {history.alert.alert_rule.rule_name}"
    if told:
        also = " and its escalation" if history.of(EventKind.ESCALATED) else ""
        return _no(f"{rule}{also} has no channel to this person; it told {', '.join(told)}.")
    return _no(f"{rule} has no channel to this person, nor to anybody.")
