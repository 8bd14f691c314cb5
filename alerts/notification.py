"""Who is told what, and the outbox that makes sure of it: whether, when and why to send is decided here.

`enqueue` writes rows in the transaction of the event. `deliver_due` claims due rows by moving them ahead, sends
outside of any transaction, and marks what arrived: at least once, with the delivery's id for the receiver to tell
repeats by.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import Q

from alerts import pacing, summaries
from alerts.channels import CHANNELS, Message, NotDelivered
from alerts.models import (
    AlertEvent,
    AlertInstance,
    AlertRule,
    AlertStatus,
    DecisionKind,
    DeliveryStatus,
    EventKind,
    NotificationDecision,
    NotificationDelivery,
)
from alerts.naming import channel_key
from wedsync_monitor import secrets
from wedsync_monitor.models import User

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=15)
GIVE_UP_AFTER = timedelta(hours=24)
BATCH = 32

# Events that every channel is told of, and those that only systems on the other side need.
FOR_PEOPLE = frozenset(
    {EventKind.OPENED, EventKind.UNSUPPRESSED, EventKind.ACKNOWLEDGEMENT_EXPIRED, EventKind.FLAPPING}
)
# What flaps is suppressed: there is nothing to acknowledge.
ASKING = FOR_PEOPLE - {EventKind.FLAPPING}
# Events after which whoever was told is told the end, too.
HEARD = FOR_PEOPLE | {EventKind.ESCALATED}
FOR_SYSTEMS = {
    "webhook": frozenset({EventKind.ACKNOWLEDGED, EventKind.DATA_MISSING, EventKind.DATA_BACK}),
    "pagerduty": frozenset({EventKind.ACKNOWLEDGED}),
}
# Channels that change an earlier message of the alert.
WITH_RECEIPTS = frozenset({"slack"})
# Channels whose messages people read themselves, or pass on.
WITH_LINKS = frozenset({"email", "slack", "apprise", "webhook"})


def enqueue(happened: Sequence[tuple[AlertInstance, AlertEvent]], now: datetime) -> int:
    """Put into the outbox whom each event is to be told to, in the caller's transaction; answers how many."""
    channels: dict[UUID, _Channels] = {}
    for alert, _ in happened:
        if alert.alert_rule_id not in channels:
            named = alert.alert_rule.notification_channels
            channels[alert.alert_rule_id] = [(channel_key(channel), channel) for channel in named]
    heard = _told_before([alert for alert, event in happened if event.kind not in FOR_PEOPLE])
    rows = [
        {"event_id": event.pk, "channel_key": key, "channel": channel}
        for alert, event in happened
        for key, channel in _told(event, channels[alert.alert_rule_id], heard.get(alert.pk, []))
    ]
    if rows:
        _insert(rows, now)
    return len(rows)


def enqueue_to(told: Sequence[tuple[AlertEvent, dict[str, Any], datetime]], now: datetime) -> int:
    """Put messages to channels that an event names itself into the outbox, each due at its own time."""
    rows = [
        {"event_id": event.pk, "channel_key": channel_key(channel), "channel": channel, "due_at": due_at}
        for event, channel, due_at in told
    ]
    if rows:
        _insert(rows, now)
    return len(rows)


def _insert(rows: Sequence[dict[str, Any]], now: datetime) -> None:
    """One statement for all. Channels come from a rule or an earlier message: their secrets are sealed already."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO notification_deliveries (event_id, channel_key, channel, next_attempt_at)
               SELECT event_id, channel_key, channel, coalesce(due_at, %s)
               FROM jsonb_to_recordset(%s::jsonb)
                    AS told (event_id bigint, channel_key text, channel jsonb, due_at timestamptz)
               ON CONFLICT DO NOTHING""",
            [now, msgspec.json.encode(rows).decode()],
        )


_Channels = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class _Earlier:
    """A message that was queued for people."""

    channel_key: str
    channel: dict[str, Any]
    status: str


def _told(event: AlertEvent, channels: _Channels, before: Sequence[_Earlier]) -> _Channels:
    if event.kind in FOR_PEOPLE:
        return channels
    if event.kind == EventKind.RESOLVED:
        # Whoever was told of the trouble is told of its end, also where the rule's channels changed since.
        return list({row.channel_key: row.channel for row in before}.items())
    # Receivers that know of the alert, or will before they are told anything else.
    heard = {row.channel_key: row.channel for row in before if row.status != DeliveryStatus.FAILED}
    # As the rule has them now; those that only a step of an escalation named, as it had them.
    known = heard | {key: one for key, one in channels if key in heard}
    return [(key, one) for key, one in known.items() if event.kind in _followed_by(one)]


def _followed_by(channel: dict[str, Any]) -> frozenset[EventKind]:
    """The events between beginning and end that `channel` has a place for."""
    if channel["type"] == "slack" and channel["config"].get("bot_token"):
        return frozenset({EventKind.ACKNOWLEDGED})
    return FOR_SYSTEMS.get(channel["type"], frozenset())


def _told_before(alerts: Sequence[AlertInstance]) -> dict[UUID, list[_Earlier]]:
    """What was queued for people of each alert, oldest first: one query."""
    found: dict[UUID, list[_Earlier]] = defaultdict(list)
    if alerts:
        rows = NotificationDelivery.objects.filter(
            event__alert__in=[alert.pk for alert in alerts], event__kind__in=HEARD
        )
        columns = ("event__alert_id", "channel_key", "channel", "status")
        for alert_id, *earlier in rows.order_by("created_at").values_list(*columns):
            found[alert_id].append(_Earlier(*earlier))
    return found


def why_untold(opened: Sequence[AlertInstance], now: datetime) -> dict[UUID, str]:
    """Of alerts that open, those whose opening nobody is told, and why: within the suppression period after the last
    resolution of the same trouble."""
    by_period: dict[int, list[AlertInstance]] = defaultdict(list)
    for alert in opened:
        if period := alert.alert_rule.suppression_config.get("suppression_period", 0):
            by_period[period].append(alert)
    found: dict[UUID, str] = {}
    for period, alerts in by_period.items():
        earlier = AlertInstance.objects.filter(
            alert_key__in=[alert.alert_key for alert in alerts], resolved_at__gt=now - timedelta(seconds=period)
        )
        ended = set(earlier.values_list("alert_key", flat=True))
        reason = f"Not told: the same trouble ended less than {period} s before (suppression period)."
        found |= {alert.pk: reason for alert in alerts if alert.alert_key in ended}
    return found


Sender = Callable[[NotificationDelivery], str | None]


def deliver_due(now: datetime, send: Sender | None = None, chance: random.Random | None = None) -> int:
    """Send what is due; answers how many messages were tried. Channels do not wait for each other."""
    claimed = pacing.claim(now, BATCH)
    if not claimed:
        return 0
    sender, dice = send or send_delivery, chance or random.Random()
    with ThreadPoolExecutor(max_workers=min(len(claimed), BATCH), thread_name_prefix="delivery") as pool:
        list(pool.map(lambda delivery: _attempt(delivery, sender, now, dice), claimed))
    return len(claimed)


def _attempt(delivery: NotificationDelivery, send: Sender, now: datetime, chance: random.Random) -> None:
    try:
        receipt = send(delivery)
    except NotDelivered as failure:
        _postpone(delivery, failure, now, chance)
    except Exception as error:  # a channel's own fault is a failed delivery, seen in the console
        _postpone(delivery, NotDelivered(f"{type(error).__name__}: {error}"), now, chance)
    else:
        arrived = {"status": DeliveryStatus.DELIVERED, "delivered_at": now, "last_error": ""}
        _mark(delivery, arrived)
        if receipt and delivery.told_by_id is None:
            NotificationDelivery.objects.filter(pk=delivery.pk).update(receipt=receipt)
    finally:
        connections["default"].close()


def _postpone(delivery: NotificationDelivery, failure: NotDelivered, now: datetime, chance: random.Random) -> None:
    over = failure.permanent or now - delivery.created_at > GIVE_UP_AFTER
    pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts - 1, 20), LONGEST_PAUSE) * chance.uniform(0.8, 1.2)
    pause = max(pause, failure.retry_after or timedelta(0))
    status, why = (DeliveryStatus.FAILED if over else DeliveryStatus.QUEUED), str(failure)[:500]
    kind, until = (DecisionKind.GIVEN_UP, None) if over else (DecisionKind.FAILED, now + pause)
    with transaction.atomic():
        _mark(delivery, {"status": status, "next_attempt_at": now + pause, "last_error": why})
        _note(delivery, kind, now, why, until)


def _note(
    delivery: NotificationDelivery, kind: DecisionKind, now: datetime, reason: str, until: datetime | None = None
) -> None:
    """Keep what was decided of `delivery`."""
    NotificationDecision.objects.create(
        alert_id=delivery.event.alert_id, delivery=delivery, kind=kind, at=now, reason=reason, until=until
    )


def _mark(delivery: NotificationDelivery, changes: dict[str, Any]) -> None:
    """Write how it went, on it and on all that it carries."""
    rows = NotificationDelivery.objects.filter(Q(pk=delivery.pk) | Q(told_by=delivery.pk), status=DeliveryStatus.QUEUED)
    rows.update(attempts=delivery.attempts, **changes)


class NotAgain(Exception):
    """The message is not to be sent again; the text says why."""


def resend(pk: UUID, now: datetime) -> NotificationDelivery:
    """Put a message that was given up back into the outbox. Raises NotAgain, NotificationDelivery.DoesNotExist."""
    with transaction.atomic():
        rows = NotificationDelivery.objects.select_for_update(of=("self",)).select_related("event__alert")
        delivery = rows.get(pk=pk)
        if delivery.status != DeliveryStatus.FAILED:
            raise NotAgain(f"this message is {delivery.status}; only one that was given up can be sent again")
        event = delivery.event
        if event.kind != EventKind.RESOLVED and event.alert.status == AlertStatus.RESOLVED:
            raise NotAgain("the alert is over; a message of its beginning would mislead")
        NotificationDelivery.objects.filter(pk=pk).update(
            status=DeliveryStatus.QUEUED, next_attempt_at=now, told_by=None
        )
        delivery.refresh_from_db(fields=["status", "next_attempt_at"])
        _note(delivery, DecisionKind.SENT_AGAIN, now, "Put back into the outbox by a person.")
    return delivery


def send_delivery(delivery: NotificationDelivery) -> str | None:
    """Send one message by its channel; answers what the receiver knows it by. Raises NotDelivered."""
    channel = delivery.channel
    message = message_of(delivery) if delivery.told_by_id is None else summaries.message_of(delivery)
    if channel["type"] in WITH_RECEIPTS and delivery.told_by_id is None:
        message = replace(message, earlier=_receipt_of(delivery))
    return CHANNELS[channel["type"]](secrets.reveal(channel["config"]), message)


def _receipt_of(delivery: NotificationDelivery) -> str:
    """What the receiver knows the last message of the same alert by."""
    same = NotificationDelivery.objects.filter(
        event__alert=delivery.event.alert_id, channel_key=delivery.channel_key, status=DeliveryStatus.DELIVERED
    )
    return same.exclude(receipt="").order_by("-event_id").values_list("receipt", flat=True).first() or ""


def message_of(delivery: NotificationDelivery) -> Message:
    event, alert = delivery.event, delivery.event.alert
    return Message(
        delivery_id=str(delivery.pk),
        event=event.kind,
        at=event.at,
        alert_key=alert.alert_key,
        alert_id=str(alert.pk),
        title=alert.alert_title,
        description=alert.alert_description,
        severity=alert.severity,
        status=alert.status,
        asset_name=alert.asset.asset_name if alert.asset else "",
        environment=alert.asset.environment if alert.asset else "",
        rule_name=alert.alert_rule.rule_name,
        trigger_value=alert.trigger_value,
        threshold_value=alert.threshold_value,
        first_triggered_at=alert.first_triggered_at,
        actor=event.actor.get_username() if event.actor else "",
        note=event.note,
        runbook_url=alert.alert_rule.runbook_url or "",
        business_impact=alert.alert_rule.business_impact or "",
        link=f"{settings.PUBLIC_URL}/admin/monitoring/alerts/{alert.pk}",
        acknowledge_link=_link_of(delivery),
        labels={name: str(value) for name, value in alert.context_data.get("labels", {}).items()},
    )


def _link_of(delivery: NotificationDelivery) -> str:
    """Where people acknowledge, in what asks them to."""
    from alerts import links  # acknowledging leads to messages

    asks = delivery.event.kind in ASKING and delivery.channel["type"] in WITH_LINKS
    return links.make(delivery) if asks else ""


@dataclass(frozen=True)
class Trial:
    """How a test message to one channel of a rule went."""

    channel: str
    delivered: bool
    error: str


def send_test(rule: AlertRule, person: User, now: datetime) -> list[Trial]:
    """Send a test message to every channel of `rule` at once, outside of the outbox."""
    message = _test_message(rule, person, now)
    channels = [(channel_key(channel), channel) for channel in rule.notification_channels]
    if not channels:
        return []
    with ThreadPoolExecutor(max_workers=len(channels), thread_name_prefix="test") as pool:
        return list(pool.map(lambda item: _try(item[0], item[1], message), channels))


def _try(key: str, channel: dict[str, Any], message: Message) -> Trial:
    try:
        config = secrets.reveal(channel["config"])
        for event in _TEST_EVENTS.get(channel["type"], ("test",)):
            CHANNELS[channel["type"]](config, replace(message, event=event))
    except (NotDelivered, secrets.Unreadable) as failure:
        return Trial(key, False, str(failure))
    except Exception as error:  # a channel's own fault is what the test is there to show
        return Trial(key, False, f"{type(error).__name__}: {error}")
    return Trial(key, True, "")


# An incident that a test has opened is closed at once.
_TEST_EVENTS = {"pagerduty": ("opened", "resolved")}


def _test_message(rule: AlertRule, person: User, now: datetime) -> Message:
    return Message(
        delivery_id=str(uuid4()),
        event="test",
        at=now,
        alert_key=f"test:{rule.pk}",
        alert_id=str(rule.pk),
        title=f"Test message of {rule.rule_name}",
        description=f"{person.get_username()} tries the channels of this rule. Nothing is wrong.",
        severity="low",
        status="test",
        asset_name="",
        environment="",
        rule_name=rule.rule_name,
        trigger_value=None,
        threshold_value=None,
        first_triggered_at=now,
        actor=person.get_username(),
        note="",
        runbook_url=rule.runbook_url or "",
        business_impact="",
        link=f"{settings.PUBLIC_URL}/admin/monitoring/alerts/rules/{rule.pk}",
    )
