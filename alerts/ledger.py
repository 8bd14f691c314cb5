"""The ledger of one alert: what happened to it, who was to be told and was, and why somebody was told later or not.

An entry is an event, a message that was put into the outbox, its arrival, or a decision about either; all of them are
rows that were written with what they tell of. They are sorted by the database; of a page only its own rows are read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, LPad

from alerts.models import (
    AlertEvent,
    AlertInstance,
    DeliveryStatus,
    EventKind,
    NotificationDecision,
    NotificationDelivery,
)
from alerts.naming import shown_channel

# In the order in which rows of one moment follow from each other.
EVENT, MESSAGE, DECISION, ARRIVAL = range(4)
_SAID = {
    "failed": "A try to send to {} failed: {}",
    "given_up": "The message to {} was given up: {}",
    "sent_again": "The message to {} is sent again: {}",
    "rate_limited": "The message to {} was held back: {}",
}


@dataclass(frozen=True)
class Entry:
    """One line; `until` is when what it puts off goes on."""

    at: datetime
    kind: str
    text: str
    channel: str = ""
    until: datetime | None = None

    @property
    def label(self) -> str:
        return self.kind.replace("_", " ")


def lines(alert: AlertInstance) -> QuerySet[Any, Any]:
    """(moment, source, key) of every entry of `alert`, oldest first, to be cut into pages and given to `entries`."""
    deliveries = NotificationDelivery.objects.filter(event__alert=alert)
    arrived = deliveries.filter(delivered_at__isnull=False)
    parts = [
        _keyed(AlertEvent.objects.filter(alert=alert), "at", EVENT),
        _keyed(deliveries, "event__at", MESSAGE),
        _keyed(_decisions(alert), "at", DECISION),
        _keyed(arrived, "delivered_at", ARRIVAL),
    ]
    return parts[0].union(*parts[1:], all=True).order_by("moment", "source", "row")


def _decisions(alert: AlertInstance) -> QuerySet[NotificationDecision]:
    """Those of the alert, and of summaries that carry its messages."""
    carriers = NotificationDelivery.objects.filter(event__alert=alert, told_by__isnull=False).values("told_by")
    return NotificationDecision.objects.filter(Q(alert=alert) | Q(delivery__in=carriers))


def _keyed(rows: QuerySet[Any], moment: str, source: int) -> QuerySet[Any, Any]:
    row = LPad(Cast("pk", TextField()), 36, Value("0"))
    found = rows.order_by().annotate(moment=F(moment), source=Value(source), row=row)
    keys: QuerySet[Any, Any] = found.values_list("moment", "source", "row")
    return keys


def entries(keys: Iterable[tuple[datetime, int, str]]) -> list[Entry]:
    """The entries of some `lines`: three queries, whatever their number."""
    wanted = list(keys)
    events = _events({int(row) for _, source, row in wanted if source == EVENT})
    decisions = _read(NotificationDecision, {int(row) for _, source, row in wanted if source == DECISION}, "delivery")
    ids = {row for _, source, row in wanted if source in (MESSAGE, ARRIVAL)}
    messages = {str(pk): one for pk, one in _messages(ids).items()}
    told: Mapping[int, Callable[[str], Entry]] = {
        EVENT: lambda row: _event(events[int(row)]),
        MESSAGE: lambda row: _message(messages[row]),
        DECISION: lambda row: _decision(decisions[int(row)]),
        ARRIVAL: lambda row: _arrival(messages[row]),
    }
    return [told[source](row) for _, source, row in wanted]


def _read(model: Any, ids: Collection[Any], *related: str) -> dict[Any, Any]:
    return model.objects.select_related(*related).in_bulk(list(ids)) if ids else {}


def _events(ids: Collection[int]) -> dict[int, Any]:
    messages = NotificationDelivery.objects.filter(event=OuterRef("pk"))
    rows = AlertEvent.objects.select_related("actor").annotate(has_messages=Exists(messages))
    return rows.in_bulk(list(ids)) if ids else {}


def _messages(ids: Collection[str]) -> dict[Any, Any]:
    together = (
        NotificationDelivery.objects.filter(told_by=OuterRef("told_by"))
        .order_by()
        .values("told_by")
        .annotate(number=Count("pk"))
    )
    rows = NotificationDelivery.objects.select_related("event").annotate(together=together.values("number"))
    return rows.in_bulk(list(ids)) if ids else {}


def clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _event(event: Any) -> Entry:
    by = f" by {event.actor.username}" if event.actor else ""
    said = f"{event.get_kind_display()}{by}."
    if event.note:
        said += f" {event.note}"
    elif event.kind == EventKind.OPENED and not event.has_messages:
        said += " Nobody was told: the rule had no channel."
    return Entry(event.at, event.kind, said)


def _message(delivery: Any) -> Entry:
    channel = shown_channel(delivery.channel)
    said = [f"A message to {channel} was put into the outbox ({delivery.event.get_kind_display().lower()})."]
    held = held_until(delivery.event.data, delivery.channel_key)
    if held:
        said.append(f"The quiet hours of {held[0]} hold it until {clock(held[1])}.")
    if grouped := grouping(delivery.told_by_id, delivery.together):
        said.append(f"It is {grouped}.")
    if delivery.status == DeliveryStatus.QUEUED:
        said.append("It has not arrived yet.")
    return Entry(delivery.event.at, "queued", " ".join(said), channel, held[1] if held else None)


def held_until(data: Mapping[str, Any], key: str) -> tuple[str, datetime] | None:
    """Whose quiet hours hold the message of an escalation to the channel `key`, and until when."""
    for asked in data.get("asked", ()):
        if asked["until"] and key in asked["channels"]:
            return asked["person"], datetime.fromisoformat(asked["until"])
    return None


def grouping(summary: Any, together: int | None) -> str:
    """What a message that a summary carries is part of; empty where it goes alone."""
    return f"grouped into message {summary} with {(together or 1) - 1} others" if summary else ""


def _decision(decision: NotificationDecision) -> Entry:
    channel = shown_channel(decision.delivery.channel) if decision.delivery else ""
    said = _SAID.get(decision.kind, "{}{}").format(channel, decision.reason.rstrip("."))
    until = f"; it goes on at {clock(decision.until)}" if decision.until else ""
    return Entry(decision.at, decision.kind, f"{said}{until}.", channel, decision.until)


def _arrival(delivery: Any) -> Entry:
    channel = shown_channel(delivery.channel)
    tries = f" at try {delivery.attempts}" if delivery.attempts > 1 else ""
    said = f"The message to {channel} arrived{tries} ({delivery.event.get_kind_display().lower()})."
    return Entry(delivery.delivered_at, "delivered", said, channel)
