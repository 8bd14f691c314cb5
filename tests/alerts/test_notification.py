"""Messages reach real receivers on loopback, whatever those do first."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from alerts import notification, pacing, tasks
from alerts.models import AlertEvent, AlertInstance, AlertRule, NotificationDelivery
from tests.receivers import Receiver
from wedsync_monitor import secrets

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def opened(asset, now):
    """An alert whose opening is to be told by `channels`."""

    def make(*channels: dict[str, Any]) -> AlertInstance:
        rule = AlertRule.objects.create(
            rule_name="cpu",
            metric_conditions=[{"metric_name": "cpu", "operator": "gt", "threshold": 1}],
            notification_channels=list(channels),
        )
        alert = AlertInstance.objects.create(
            alert_rule=rule,
            asset=asset(),
            alert_key="key",
            alert_title="CPU is high on web-01",
            alert_description="It is.",
            severity="high",
            first_triggered_at=now,
            last_triggered_at=now,
        )
        tell(alert, "opened", now)
        return alert

    return make


def tell(alert: AlertInstance, kind: str, now: Any) -> None:
    event = AlertEvent.objects.create(alert=alert, kind=kind, at=now)
    notification.enqueue([(alert, event)], now)


def webhook(url: str, **config: Any) -> dict[str, Any]:
    return {"type": "webhook", "config": {"url": url, **config}}


def deliver(now: Any) -> int:
    return notification.deliver_due(now, chance=random.Random(1))


def test_a_webhook_is_signed_and_says_everything(receiver, opened, now):
    opened(webhook(receiver.url, secret="hush"))
    assert deliver(now) == 1
    headers, body = receiver.got[0]
    said = json.loads(body)
    assert (said["event"], said["title"], said["asset_name"]) == ("opened", "CPU is high on web-01", "web-01")
    assert said["delivery_id"] == headers["x-wedsync-delivery"] == str(NotificationDelivery.objects.get().pk)
    stamp, signature = (part.split("=", 1)[1] for part in headers["x-wedsync-signature"].split(","))
    assert signature == hmac.new(b"hush", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def test_secrets_rest_sealed_and_are_never_shown(receiver, opened, now):
    alert = opened(webhook(receiver.url, secret="hush", headers={}))
    stored = AlertRule.objects.values_list("notification_channels", flat=True).get()
    assert "hush" not in json.dumps(stored)
    assert "hush" not in json.dumps(NotificationDelivery.objects.values_list("channel", flat=True).get())
    assert secrets.mask(alert.alert_rule.notification_channels)[0]["config"]["secret"] == secrets.MASK


def test_what_fails_is_tried_again_with_growing_pauses_and_the_same_id(receiver, opened, now):
    opened(webhook(receiver.url))
    receiver.answers = [(500, {}), (503, {})]
    moment, pauses = now, []
    for _ in range(3):
        deliver(moment)
        delivery = NotificationDelivery.objects.get()
        pauses.append((delivery.next_attempt_at - moment).total_seconds())
        moment = delivery.next_attempt_at
    assert delivery.status == "delivered"
    assert pauses[0] < pauses[1]
    assert len({headers["x-wedsync-delivery"] for headers, _ in receiver.got}) == 1


def test_the_receivers_wish_to_wait_is_kept(receiver, opened, now):
    opened(webhook(receiver.url))
    receiver.answers = [(429, {"Retry-After": "120"})]
    deliver(now)
    assert NotificationDelivery.objects.get().next_attempt_at >= now + timedelta(seconds=120)
    assert deliver(now + timedelta(seconds=60)) == 0


def test_what_can_never_arrive_is_given_up_and_seen(receiver, opened, now):
    opened(webhook(receiver.url))
    receiver.answers = [(404, {})]
    deliver(now)
    delivery = NotificationDelivery.objects.get()
    assert (delivery.status, delivery.last_error) == ("failed", "the receiver answered 404")


def test_one_channel_that_hangs_does_not_delay_another(receiver, opened, now):
    slow = Receiver()
    threading.Thread(target=slow.serve_forever, daemon=True).start()
    slow.hang.clear()
    opened(webhook(slow.url), webhook(receiver.url))
    worker = threading.Thread(target=lambda: (deliver(now), connections.close_all()))
    worker.start()
    for _ in range(100):
        if receiver.got:
            break
        threading.Event().wait(0.05)
    assert receiver.got
    assert not slow.got
    slow.hang.set()
    worker.join()
    slow.shutdown()
    slow.server_close()


def test_a_receiver_is_known_wherever_it_stands_on_the_rule(receiver, opened, now):
    first, second = webhook(f"{receiver.url}/first"), webhook(f"{receiver.url}/second")
    alert = opened(first)
    alert.alert_rule.notification_channels = [second, first]
    alert.alert_rule.save()
    tell(alert, "acknowledged", now)
    told = NotificationDelivery.objects.get(event__kind="acknowledged")
    assert told.channel["config"]["url"] == first["config"]["url"]


def test_a_channel_is_told_only_what_it_has_a_word_for(opened, now):
    alert = opened({"type": "pagerduty", "config": {"routing_key": "key"}})
    for kind in ("data_missing", "data_back", "acknowledged"):
        tell(alert, kind, now)
    kinds = NotificationDelivery.objects.order_by("event_id").values_list("event__kind", flat=True)
    assert list(kinds) == ["opened", "acknowledged"]


def test_whoever_has_waited_longest_is_sent_first(receiver, opened, now, monkeypatch):
    monkeypatch.setattr(notification, "BATCH", 1)
    opened(*[webhook(f"{receiver.url}/{number}") for number in range(3)])
    waiting = list(NotificationDelivery.objects.order_by("pk"))
    for minutes, delivery in enumerate(waiting):
        NotificationDelivery.objects.filter(pk=delivery.pk).update(next_attempt_at=now - timedelta(minutes=minutes))
    deliver(now)
    assert NotificationDelivery.objects.get(status="delivered").pk == waiting[-1].pk


def test_a_batch_that_fails_as_a_whole_does_not_hold_up_the_next(receiver, opened, now, monkeypatch):
    monkeypatch.setattr(notification, "BATCH", 2)
    opened(*[webhook(f"{receiver.url}/{number}") for number in range(6)])
    receiver.answers = [(500, {})] * 2
    tasks.deliver_due_notifications()
    assert NotificationDelivery.objects.filter(status="delivered").count() == 4


def test_a_later_message_waits_for_the_earlier_one(receiver, opened, now):
    alert = opened(webhook(receiver.url))
    receiver.answers = [(500, {})]
    deliver(now)
    tell(alert, "resolved", now)
    assert deliver(now) == 0
    later = now + timedelta(minutes=1)
    deliver(later)
    deliver(later)
    assert [json.loads(body)["event"] for _, body in receiver.got] == ["opened", "opened", "resolved"]


def test_a_worker_that_dies_while_sending_leaves_it_due_again(receiver, opened, now):
    opened(webhook(receiver.url))

    def die(delivery: NotificationDelivery) -> None:
        notification.send_delivery(delivery)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        notification.deliver_due(now, send=die)
    assert NotificationDelivery.objects.get().status == "queued"
    assert deliver(now + pacing.LEASE) == 1
    assert len({headers["x-wedsync-delivery"] for headers, _ in receiver.got}) == 1


def test_two_workers_send_each_message_once(receiver, opened, now):
    opened(*[webhook(f"{receiver.url}/{number}") for number in range(8)])
    both = threading.Barrier(2)

    def run() -> None:
        both.wait()
        notification.deliver_due(now)
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.got) == len({headers["x-wedsync-delivery"] for headers, _ in receiver.got}) == 8


def test_private_addresses_are_refused_unless_an_operator_allows_them(receiver, opened, now, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    opened(webhook(receiver.url))
    deliver(now)
    delivery = NotificationDelivery.objects.get()
    assert delivery.status == "queued"
    assert "WEDSYNC_ALLOWED_NETWORKS" in delivery.last_error
    assert not receiver.got
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    deliver(delivery.next_attempt_at)
    assert len(receiver.got) == 1


def test_whoever_never_heard_of_an_alert_is_not_told_that_its_data_is_back(receiver, opened, now):
    alert = opened(webhook(receiver.url))
    receiver.answers = [(404, {})]
    deliver(now)
    tell(alert, "data_missing", now)
    tell(alert, "data_back", now)
    assert [one.event.kind for one in NotificationDelivery.objects.all()] == ["opened"]


def test_a_message_that_was_given_up_is_sent_again_when_somebody_asks_for_it(receiver, opened, now):
    opened(webhook(receiver.url))
    receiver.answers = [(404, {})]
    deliver(now)
    notification.resend(NotificationDelivery.objects.get().pk, now)
    deliver(now)
    assert NotificationDelivery.objects.get().status == "delivered"
    with pytest.raises(notification.NotAgain, match="delivered"):
        notification.resend(NotificationDelivery.objects.get().pk, now)


def test_the_beginning_of_an_alert_that_is_over_is_not_told_again(receiver, opened, now):
    opened(webhook(receiver.url))
    receiver.answers = [(404, {})]
    deliver(now)
    AlertInstance.objects.update(status="resolved", resolved_at=now)
    with pytest.raises(notification.NotAgain, match="over"):
        notification.resend(NotificationDelivery.objects.get().pk, now)


def test_a_bots_message_of_an_alert_is_kept_up_to_date(slack_api, opened, now):
    alert = opened({"type": "slack", "config": {"bot_token": "xoxb-hush", "channel": "#ops"}})
    for kind in ("acknowledged", "resolved"):
        tell(alert, kind, now)
    for _ in range(3):
        deliver(now)
    root, *replies = slack_api.messages.values()
    assert root["text"] == "[Resolved] CPU is high on web-01"
    assert [one["thread_ts"] for one in replies] == ["1700000000.000000"] * 2
    assert not NotificationDelivery.objects.exclude(status="delivered").exists()


def test_a_webhook_says_what_its_template_says(receiver, opened, now):
    template = {"summary": "${headline} ($$)", "value": "${trigger_value}", "who": ["${actor}", 1]}
    opened(webhook(receiver.url, template=template, secret="hush"))
    AlertInstance.objects.update(alert_title='"}, {"x": "${secret}', trigger_value=93.5)
    deliver(now)
    headers, body = receiver.got[0]
    expected = {"summary": '[HIGH] "}, {"x": "${secret} ($)', "value": 93.5, "who": ["", 1]}
    assert json.loads(body) == expected
    assert "x-wedsync-signature" in headers


def test_email_goes_out_in_text_and_html(opened, now, mailoutbox):
    opened({"type": "email", "config": {"recipients": ["ops@wedsync.example"]}})
    assert deliver(now) == 1
    mail = mailoutbox[0]
    assert mail.subject == "[HIGH] CPU is high on web-01"
    assert "web-01" in mail.body
    assert mail.alternatives[0][1] == "text/html"
    assert mail.to == ["ops@wedsync.example"]
