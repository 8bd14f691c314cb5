"""Acknowledging by a link in a message: signed, for one use, for a day.

A link stands for one message: whoever holds it acts as the person whose own mailbox it went to, or else as the channel.
Looking at it changes nothing, because mail scanners look at every link.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.db import transaction

from alerts import transitions
from alerts.models import AlertInstance, NotificationDelivery
from alerts.naming import shown_channel
from wedsync_monitor import policy
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb

LIFETIME = timedelta(hours=24)
_SALT = "alerts.links"


class Unusable(Exception):
    """The link cannot be used; the text says why. `gone`: it once could."""

    def __init__(self, reason: str, gone: bool = False):
        super().__init__(reason)
        self.gone = gone


@dataclass(frozen=True)
class Link:
    """What a link stands for."""

    delivery: NotificationDelivery
    person: User | None
    channel: str

    @property
    def alert(self) -> AlertInstance:
        return self.delivery.event.alert

    @property
    def who(self) -> str:
        """In whose name it acts."""
        return self.person.get_username() if self.person else self.channel


def make(delivery: NotificationDelivery) -> str:
    """The link of a message that is sent now."""
    until = delivery.next_attempt_at + LIFETIME
    token = signing.dumps([str(delivery.pk), int(until.timestamp())], salt=_SALT)
    return f"{settings.PUBLIC_URL}/acknowledge/{token}"


def read(token: str, now: datetime) -> Link:
    """What `token` stands for. Raises Unusable."""
    try:
        pk, until = signing.loads(token, salt=_SALT)
    except signing.BadSignature as error:
        raise Unusable("This link is not genuine, or a part of it is missing.") from error
    if datetime.fromtimestamp(until, UTC) <= now:
        raise Unusable("This link has expired: links hold for a day.", gone=True)
    rows = NotificationDelivery.objects.select_related("event__alert__asset", "event__alert__acknowledged_by")
    delivery = rows.filter(pk=pk).first()
    if delivery is None:
        raise Unusable("The alert of this link is not kept any more.", gone=True)
    if delivery.link_used_at is not None:
        raise Unusable(f"This link was used at {delivery.link_used_at:%Y-%m-%d %H:%M} UTC.", gone=True)
    return Link(delivery, _owner(delivery.channel), shown_channel(delivery.channel))


def use(token: str, now: datetime) -> Link:
    """Acknowledge by `token`, once. Raises Unusable, and Refused where the alert's state does not allow it."""
    link = read(token, now)
    with transaction.atomic():
        free = NotificationDelivery.objects.filter(pk=link.delivery.pk, link_used_at=None)
        if not free.update(link_used_at=now):
            raise Unusable("This link was used just now.", gone=True)
        note = f"By the link that was sent to {link.channel}."
        transitions.acknowledge(link.alert.pk, link.person, note, None, now)
    return link


def _owner(channel: dict[str, Any]) -> User | None:
    """The person whose own mailbox it is. Raises Unusable where that person may not acknowledge."""
    recipients = channel["config"].get("recipients", [])
    if channel["type"] != "email" or len(recipients) != 1:
        return None
    people = list(User.objects.filter(email__iexact=recipients[0])[:2])
    if len(people) != 1:
        return None
    person = people[0]
    if not (person.is_active and policy.may(person, Verb.ACKNOWLEDGE, "alerts")):
        raise Unusable("The person whom this link was sent to may not acknowledge alerts any more.")
    return person
