"""Which messages go out now, and how many of them to one channel.

1. Of a storm, more than STORM_AFTER openings (or ends) to one channel within a minute, people get one summary: the
   messages wait for the one that carries it, and share its fate.
2. A channel gets so many messages a minute; what is beyond that is held back and says so. Nothing is dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from alerts.models import DecisionKind, DeliveryStatus, EventKind, NotificationDecision, NotificationDelivery

# While a delivery is being sent, nobody else takes it; whoever dies leaves it due again after this.
LEASE = timedelta(seconds=60)
MINUTE = timedelta(seconds=60)
# Channels that people read: programs want every event.
READ_BY_PEOPLE = ("email", "slack", "apprise")
ASKING = (EventKind.OPENED, EventKind.UNSUPPRESSED, EventKind.ACKNOWLEDGEMENT_EXPIRED, EventKind.FLAPPING)
_LOCK = 7_302_118  # claims go one after the other: what a channel may still get is counted once


def claim(now: datetime, most: int) -> list[NotificationDelivery]:
    """Take at most `most` due deliveries by moving them ahead."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        _gather_storms(now)
        rows = _allowed(now, most)
        for row in rows:
            row.next_attempt_at, row.attempts = now + LEASE, row.attempts + 1
        taken = NotificationDelivery.objects.filter(pk__in=[row.pk for row in rows])
        taken.update(next_attempt_at=now + LEASE, last_attempt_at=now)
    return rows


def _due(now: datetime) -> QuerySet[NotificationDelivery]:
    """What could go now. A later message of an alert to a channel waits for the earlier."""
    earlier = NotificationDelivery.objects.filter(
        event__alert=OuterRef("event__alert"),
        channel_key=OuterRef("channel_key"),
        status=DeliveryStatus.QUEUED,
        event_id__lt=OuterRef("event_id"),
    )
    queued = NotificationDelivery.objects.filter(status=DeliveryStatus.QUEUED, next_attempt_at__lte=now)
    return queued.filter(~Exists(earlier))


def _allowed(now: datetime, most: int) -> list[NotificationDelivery]:
    """Those that are due and whose channels may get more. Whoever has waited longest goes first: under load the
    newest must not starve the oldest."""
    due = _due(now).filter(Q(told_by=None) | Q(told_by=F("pk"))).select_for_update(skip_locked=True, of=("self",))
    related = due.select_related("event__alert__alert_rule", "event__alert__asset", "event__actor")
    while rows := list(related.order_by("next_attempt_at", "event_id")[:most]):
        allowed, full = _within_limits(rows, now)
        for key, (limit, free_at) in full.items():
            why = f"Held back: this channel gets {limit} messages a minute; it follows then."
            waiting = NotificationDelivery.objects.filter(
                channel_key=key, status=DeliveryStatus.QUEUED, next_attempt_at__lte=now
            )
            held = waiting.exclude(pk__in=[row.pk for row in allowed])
            _note_held(held, limit, now, free_at)
            held.update(next_attempt_at=free_at, last_error=why)
        if allowed:
            return allowed
    return []


def _note_held(held: QuerySet[NotificationDelivery], limit: int, now: datetime, free_at: datetime) -> None:
    """Keep of each message once that its channel was full."""
    noted = NotificationDecision.objects.filter(delivery=OuterRef("pk"), kind=DecisionKind.RATE_LIMITED)
    reason = f"The channel had had {limit} messages within a minute, which is its limit."
    rows = held.filter(~Exists(noted)).values_list("pk", "event__alert_id")
    NotificationDecision.objects.bulk_create(
        NotificationDecision(
            alert_id=alert, delivery_id=pk, kind=DecisionKind.RATE_LIMITED, at=now, reason=reason, until=free_at
        )
        for pk, alert in rows
    )


def _within_limits(
    rows: Sequence[NotificationDelivery], now: datetime
) -> tuple[list[NotificationDelivery], dict[str, tuple[int, datetime]]]:
    """The rows that may go, and the channels that are full: how many they get, and when they are free again."""
    limited = {row.channel_key for row in rows if limit_of(row.channel) is not None}
    tried: dict[str, list[datetime]] = defaultdict(list)
    recent = NotificationDelivery.objects.filter(channel_key__in=limited, last_attempt_at__gt=now - MINUTE)
    for key, at in recent.order_by("last_attempt_at").values_list("channel_key", "last_attempt_at"):
        tried[key].append(at or now)
    allowed, full = [], {}
    for row in rows:
        limit, times = limit_of(row.channel), tried[row.channel_key]
        if limit is not None and len(times) >= limit:
            full[row.channel_key] = limit, times[-limit] + MINUTE
        else:
            allowed.append(row)
            times.append(now)
    return allowed, full


def limit_of(channel: dict[str, Any]) -> int | None:
    """How many messages a minute `channel` gets; None for as many as there are."""
    usual = settings.NOTIFICATIONS_PER_MINUTE if channel["type"] in READ_BY_PEOPLE else None
    return channel.get("per_minute") or usual


def _gather_storms(now: datetime) -> None:
    loose = _due(now).filter(told_by=None, attempts=0, channel__type__in=READ_BY_PEOPLE)
    waiting: dict[tuple[str, bool], list[UUID]] = defaultdict(list)
    rows = loose.filter(event__kind__in=[*ASKING, EventKind.RESOLVED]).order_by("event_id")
    for pk, key, kind in rows.values_list("pk", "channel_key", "event__kind"):
        waiting[key, kind == EventKind.RESOLVED].append(pk)
    for (key, over), members in waiting.items():
        kinds = [EventKind.RESOLVED] if over else list(ASKING)
        alike = NotificationDelivery.objects.filter(channel_key=key, event__kind__in=kinds)
        if alike.filter(event__at__gt=now - MINUTE).count() > settings.NOTIFICATION_STORM_AFTER:
            _join(alike, members, now)


def _join(alike: QuerySet[NotificationDelivery], members: Sequence[UUID], now: datetime) -> None:
    """Let one message carry all of `members`: one that waits already, or the first of them."""
    carriers = alike.filter(told_by=F("pk"))
    waiting = carriers.filter(status=DeliveryStatus.QUEUED, last_attempt_at=None).first()
    if waiting is None and len(members) < 2:
        return
    last = carriers.filter(last_attempt_at__gt=now - MINUTE).order_by("-last_attempt_at").first()
    at = waiting.next_attempt_at if waiting else last.last_attempt_at + MINUTE if last and last.last_attempt_at else now
    why = "Part of one summary for many messages."
    rows = NotificationDelivery.objects.filter(pk__in=members)
    rows.update(told_by=waiting.pk if waiting else members[0], next_attempt_at=at, last_error=why)
