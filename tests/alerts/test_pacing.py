"""A storm is told as one message, a channel gets what it can take, and nothing is dropped."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from alerts import notification
from alerts.models import AlertEvent, AlertInstance, AlertRule, NotificationDelivery

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def storm(receiver, now):
    """Let `count` alerts happen at `at`: `storm(12)`, `storm(12, kind="resolved")`. They go to one Slack channel."""

    def rule_of(kind: str, per_minute: int | None) -> AlertRule:
        channel = {"type": kind, "config": {"webhook_url" if kind == "slack" else "url": receiver.url}}
        rule, _ = AlertRule.objects.get_or_create(
            rule_name="cpu",
            defaults={
                "metric_conditions": [{"metric_name": "cpu", "operator": "gt", "threshold": 1}],
                "notification_channels": [channel | ({"per_minute": per_minute} if per_minute else {})],
            },
        )
        return rule

    def make(count=1, at=now, channel="slack", per_minute=None, severity="high") -> list[AlertInstance]:
        rule = rule_of(channel, per_minute)
        alerts = [
            AlertInstance(
                alert_rule=rule, alert_key=f"{at}-{n}", alert_title=f"CPU {n}", alert_description="d",
                severity=severity, first_triggered_at=at, last_triggered_at=at,
            )
            for n in range(count)
        ]  # fmt: skip
        AlertInstance.objects.bulk_create(alerts)
        happen(alerts, "opened", at)
        return alerts

    return make


def happen(alerts, kind, at) -> None:
    events = AlertEvent.objects.bulk_create([AlertEvent(alert=alert, kind=kind, at=at) for alert in alerts])
    notification.enqueue(list(zip(alerts, events, strict=True)), at)


def deliver(at) -> int:
    sent = 0
    while tried := notification.deliver_due(at, chance=random.Random(1)):
        sent += tried
    return sent


def texts(receiver) -> list[str]:
    return [json.loads(body)["text"] for _, body in receiver.got]


def test_a_storm_is_one_message_that_counts_and_every_event_is_told_by_it(storm, receiver, now):
    storm(40, severity="critical")
    storm(12, at=now + timedelta(seconds=1))
    assert deliver(now + timedelta(seconds=1)) == 1
    assert texts(receiver) == ["[Summary] 52 alerts opened at once: 40 critical, 12 high"]
    section = json.loads(receiver.got[0][1])["blocks"][1]["text"]["text"]
    assert "52 × cpu" in section
    assert NotificationDelivery.objects.filter(status="delivered").count() == 52
    assert NotificationDelivery.objects.values("told_by").distinct().count() == 1


def test_a_few_alerts_are_told_one_by_one(storm, receiver, now):
    storm(10)
    assert deliver(now) == 10
    assert not NotificationDelivery.objects.exclude(told_by=None).exists()


def test_what_a_storm_goes_on_with_is_the_next_minutes_summary(storm, receiver, now):
    storm(20)
    deliver(now)
    for seconds in (10, 20):
        storm(5, at=now + timedelta(seconds=seconds))
        assert deliver(now + timedelta(seconds=seconds)) == 0
    assert deliver(now + timedelta(seconds=60)) == 1
    assert texts(receiver)[1].startswith("[Summary] 10 alerts opened at once")
    assert not NotificationDelivery.objects.filter(status="queued").exists()


def test_whoever_was_told_by_a_summary_is_told_of_the_end(storm, receiver, now):
    alerts = storm(20)
    deliver(now)
    later = now + timedelta(minutes=5)
    happen(alerts[:2], "resolved", later)
    deliver(later)
    assert sorted(texts(receiver)[1:]) == ["[Resolved] CPU 0", "[Resolved] CPU 1"]
    happen(alerts[2:], "resolved", later + timedelta(minutes=5))
    deliver(later + timedelta(minutes=5))
    assert texts(receiver)[3:] == ["[Summary] 18 alerts resolved at once: 18 high"]


def test_a_summary_that_fails_is_tried_again_whole(storm, receiver, now):
    storm(20)
    receiver.answers = [(500, {})]
    deliver(now)
    assert NotificationDelivery.objects.filter(status="queued", last_error__contains="500").count() == 20
    deliver(now + timedelta(minutes=1))
    assert len(receiver.got) == 2
    assert len({json.loads(body)["text"] for _, body in receiver.got}) == 1
    assert NotificationDelivery.objects.filter(status="delivered").count() == 20


def test_one_that_was_given_up_with_its_summary_can_be_sent_by_itself(storm, receiver, now):
    storm(20)
    receiver.answers = [(404, {})]
    deliver(now)
    assert NotificationDelivery.objects.filter(status="failed").count() == 20
    notification.resend(NotificationDelivery.objects.exclude(pk=carrier()).earliest("event_id").pk, now)
    deliver(now)
    assert texts(receiver)[1] == "[HIGH] CPU 1"


def carrier():
    return NotificationDelivery.objects.values_list("told_by", flat=True).distinct().get()


def test_programs_get_every_event(storm, receiver, now):
    storm(30, channel="webhook")
    assert deliver(now) == 30
    deliver(now + timedelta(minutes=1))  # what did not get through at the first try
    assert NotificationDelivery.objects.filter(status="delivered", told_by=None).count() == 30
    assert len(receiver.got) >= 30


def test_what_is_beyond_a_channels_limit_waits_visibly_and_then_goes(storm, receiver, now):
    storm(7, per_minute=3)
    assert deliver(now) == 3
    held = NotificationDelivery.objects.filter(status="queued")
    assert {one.last_error for one in held} == {"Held back: this channel gets 3 messages a minute; it follows then."}
    assert {(one.next_attempt_at, one.attempts) for one in held} == {(now + timedelta(minutes=1), 0)}
    assert deliver(now + timedelta(seconds=59)) == 0
    assert deliver(now + timedelta(seconds=61)) == 3
    assert deliver(now + timedelta(seconds=125)) == 1
    assert sorted(texts(receiver)) == [f"[HIGH] CPU {n}" for n in range(7)]


def test_a_channel_that_is_full_does_not_hold_up_another(storm, receiver, now, monkeypatch):
    monkeypatch.setattr(notification, "BATCH", 2)
    storm(8, per_minute=1)
    other = AlertRule.objects.create(
        rule_name="other",
        metric_conditions=[{"metric_name": "cpu", "operator": "gt", "threshold": 1}],
        notification_channels=[{"type": "webhook", "config": {"url": f"{receiver.url}/other"}}],
    )
    alert = AlertInstance.objects.create(
        alert_rule=other, alert_key="o", alert_title="Other", alert_description="d", severity="low",
        first_triggered_at=now, last_triggered_at=now,
    )  # fmt: skip
    happen([alert], "opened", now)
    deliver(now)
    assert len(receiver.got) == 2


def test_pagerduty_keeps_one_incident_per_alert_in_a_storm(storm, now):
    rule = AlertRule.objects.create(
        rule_name="cpu",
        metric_conditions=[{"metric_name": "cpu", "operator": "gt", "threshold": 1}],
        notification_channels=[{"type": "pagerduty", "config": {"routing_key": "k"}}],
    )
    assert rule.pk
    storm(20)
    sent: list[str] = []
    notification.deliver_due(now, send=lambda one: sent.append(notification.message_of(one).alert_key))
    assert len(set(sent)) == 20
