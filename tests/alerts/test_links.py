"""Acknowledging by a link: once, for a day, and not by looking at it."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from alerts import links, notification
from alerts.models import AlertEvent, AlertInstance, NotificationDelivery
from wedsync_monitor.models import User
from wedsync_monitor.policy import Role

MAIL = {"type": "email", "config": {"recipients": ["ann@wedsync.example"]}}
HOOK = {"type": "webhook", "config": {"url": "https://hooks.example.com/secret-path"}}


@pytest.fixture
def sent(alert, rule):
    """A message of an alert that opened just now: `sent(MAIL)` answers it and its link's path."""

    def make(channel, kind="opened"):
        moment = timezone.now()
        event = AlertEvent.objects.create(
            alert=alert(alert_rule=rule(f"{channel['type']} {kind}")), kind=kind, at=moment
        )
        delivery = NotificationDelivery.objects.create(
            event=event, channel_key="key", channel=channel, next_attempt_at=moment
        )
        return delivery, urlsplit(notification.message_of(delivery).acknowledge_link).path

    return make


def test_looking_changes_nothing_and_pressing_acknowledges(sent):
    _, path = sent(HOOK)
    for look in (Client().get, Client().head, Client().get):
        answer = look(path)
        assert (answer.status_code, answer["Referrer-Policy"]) == (200, "no-referrer")
    assert AlertInstance.objects.get().status == "open"
    done = Client(enforce_csrf_checks=True).post(path)
    assert done.status_code == 200
    assert b"secret-path" not in done.content
    alert = AlertInstance.objects.get()
    assert (alert.status, alert.acknowledged_by) == ("acknowledged", None)
    assert alert.events.get(kind="acknowledged").note == "By the link that was sent to webhook hooks.example.com."


def test_it_works_once(sent):
    _, path = sent(HOOK)
    assert Client().post(path).status_code == 200
    for again in (Client().post(path), Client().get(path)):
        assert again.status_code == 410
        assert b"was used" in again.content
    assert AlertEvent.objects.filter(kind="acknowledged").count() == 1


def test_it_expires(sent):
    _, path = sent(HOOK)
    token = path.rpartition("/")[2]
    later = timezone.now() + links.LIFETIME
    with pytest.raises(links.Unusable, match="expired") as failure:
        links.use(token, later)
    assert failure.value.gone
    assert links.read(token, later - timedelta(minutes=1))


@pytest.mark.parametrize("change", [lambda path: path[:-1], lambda path: path + "x", lambda _: "/acknowledge/nonsense"])
def test_one_that_was_changed_is_not_genuine(sent, change):
    _, path = sent(HOOK)
    assert Client().post(change(path)).status_code == 404
    assert AlertInstance.objects.get().status == "open"


def test_ones_own_mailbox_is_the_person(sent, person):
    ann = person(Role.SRE)
    User.objects.filter(pk=ann.pk).update(email="Ann@wedsync.example")
    _, path = sent(MAIL)
    assert ann.get_username() in Client().get(path).content.decode()
    Client().post(path)
    assert AlertInstance.objects.get().acknowledged_by == ann


@pytest.mark.parametrize("change", [{"is_active": False}, {}])
def test_a_person_who_may_not_acknowledge_cannot_by_a_link(sent, person, change):
    ann = person(Role.VIEWER if not change else Role.SRE)
    User.objects.filter(pk=ann.pk).update(email="ann@wedsync.example", **change)
    _, path = sent(MAIL)
    answer = Client().post(path)
    assert (answer.status_code, b"may not" in answer.content) == (404, True)
    assert AlertInstance.objects.get().status == "open"


def test_an_alert_that_is_over_says_so(sent):
    delivery, path = sent(HOOK)
    AlertInstance.objects.update(status="resolved", resolved_at=timezone.now())
    assert Client().post(path).status_code == 409
    delivery.refresh_from_db()
    assert delivery.link_used_at is None


def test_only_what_asks_people_has_a_link(sent):
    assert sent(HOOK, kind="resolved")[1] == ""
    assert sent({"type": "pagerduty", "config": {"routing_key": "k"}})[1] == ""
