"""An existing Prometheus may use us as its Alertmanager."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from alerts import evaluation, notification
from alerts.external import reception, wire
from alerts.models import AlertInstance, AlertRule, ExternalAlert, NotificationDelivery, Silence
from wedsync_monitor import tokens
from wedsync_monitor.models import TokenScope
from wedsync_monitor.policy import Role

HOOK = {"type": "webhook", "config": {"url": "https://hooks.example.com"}}


@pytest.fixture
def say(now):
    """Send one alert as Prometheus does: `say(at, ends_at, instance="web-01:9100")`."""

    def send(at=now, ends_at=None, **labels) -> None:
        labels = {"alertname": "HighCPU", "severity": "critical", "instance": "web-01:9100"} | labels
        said = {"labels": labels, "annotations": {"summary": "CPU is high", "description": "It is at 93 %."}}
        posted, problems = wire.decode(
            json.dumps([said | ({"endsAt": ends_at.isoformat()} if ends_at else {})]).encode()
        )
        assert problems == []
        reception.receive(posted, at)

    return send


@pytest.fixture
def told(database):
    """Rules of external alerts tell a webhook."""
    AlertRule.objects.create(
        rule_name=reception.PATTERN,
        alert_type="external",
        metric_conditions=reception.CONDITIONS,
        notification_channels=[HOOK],
    )


def test_an_alert_opens_on_its_asset_and_is_told_like_any_other(say, asset, told, now):
    owner = asset("web-01")
    say()
    alert = AlertInstance.objects.get()
    assert (alert.asset, alert.status, alert.severity) == (owner, "open", "critical")
    assert (alert.alert_title, alert.alert_description) == ("CPU is high", "It is at 93 %.")
    assert alert.alert_rule.rule_name == "HighCPU (external)"
    assert [one.event.kind for one in NotificationDelivery.objects.all()] == ["opened"]


def test_what_is_said_again_is_the_same_alert_and_told_once(say, told, now):
    for minutes in range(5):
        say(now + timedelta(minutes=minutes))
    assert AlertInstance.objects.count() == AlertRule.objects.exclude(rule_name=reception.PATTERN).count() == 1
    assert NotificationDelivery.objects.count() == 1


def test_another_set_of_labels_is_another_alert_of_the_same_rule(say, database):
    say(instance="a:1")
    say(instance="b:1", severity="info")
    assert sorted(AlertInstance.objects.values_list("severity", flat=True)) == ["critical", "low"]
    assert AlertInstance.objects.values("alert_rule").distinct().count() == 1


def test_it_resolves_when_its_sender_says_so(say, told, now):
    say()
    say(now + timedelta(minutes=1), ends_at=now + timedelta(minutes=1))
    assert AlertInstance.objects.get().status == "resolved"
    assert [one.event.kind for one in NotificationDelivery.objects.order_by("event_id")] == ["opened", "resolved"]
    assert not ExternalAlert.objects.exists()


def test_it_resolves_when_nobody_says_it_again_in_time(say, database, now):
    say(ends_at=now + timedelta(minutes=4))
    reception.settle(now + timedelta(minutes=3))
    assert AlertInstance.objects.get().status == "open"
    reception.settle(now + timedelta(minutes=4))
    assert AlertInstance.objects.get().status == "resolved"


def test_a_resolve_of_what_was_never_said_opens_nothing(say, database, now):
    say(ends_at=now - timedelta(minutes=1))
    assert not AlertInstance.objects.exists()
    assert not ExternalAlert.objects.exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_silence_keeps_it_from_people_and_its_end_tells_them(say, told, asset, now, known):
    if known:
        asset("web-01")
    Silence.objects.create(
        matchers=[{"name": "severity", "value": "critical"}, {"name": "team", "value": "db"}],
        starts_at=now, ends_at=now + timedelta(minutes=2), comment="known",
    )  # fmt: skip
    say(team="db")
    assert AlertInstance.objects.get().status == "suppressed"
    assert not NotificationDelivery.objects.exists()
    say(now + timedelta(minutes=3), team="db")
    assert [one.event.kind for one in NotificationDelivery.objects.all()] == ["unsuppressed"]


def test_the_evaluator_leaves_it_alone_and_switching_the_rule_off_ends_it(say, database, now):
    say()
    evaluation.evaluate_due(now + timedelta(minutes=1))
    assert AlertInstance.objects.get().status == "open"
    AlertRule.objects.filter(rule_name="HighCPU (external)").update(is_enabled=False)
    reception.settle(now + timedelta(minutes=2))
    assert AlertInstance.objects.get().status == "resolved"


def test_a_rule_of_ours_with_its_name_stays_what_it_is(say, rule, now):
    rule("HighCPU (external)")
    with pytest.raises(reception.Refused, match="threshold"):
        say()


def test_queries_do_not_grow_with_the_alerts(database, now, django_assert_max_num_queries):
    said = [{"labels": {"alertname": "Down", "instance": f"web-{n}"}} for n in range(300)]
    posted, _ = wire.decode(json.dumps(said).encode())
    reception.receive(posted[:1], now)
    with django_assert_max_num_queries(40):
        reception.receive(posted, now + timedelta(seconds=1))
    assert AlertInstance.objects.filter(status="open").count() == 300


def post(token: str, body: object) -> object:
    return Client().post(
        "/api/v2/alerts",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )


def test_prometheus_sends_with_a_token(person, now):
    token = tokens.issue(person(Role.SRE), "prometheus", timezone.now())
    answer = post(token, [{"labels": {"alertname": "HighCPU"}, "endsAt": "0001-01-01T00:00:00.000Z"}])
    assert answer.status_code == 200, answer.content
    assert AlertInstance.objects.get().status == "open"
    half = post(token, [{"labels": {"alertname": "Other"}}, {"labels": {}}])
    assert half.status_code == 400
    assert "[1]: send the label alertname" in half.content.decode()
    assert AlertInstance.objects.count() == 2
    assert post(token, {"no": "array"}).status_code == 400


def test_whoever_may_not_send_alerts_cannot(person):
    body = [{"labels": {"alertname": "HighCPU"}}]
    viewer = tokens.issue(person(Role.VIEWER), "v", timezone.now())
    reader = tokens.issue(person(Role.SRE), "r", timezone.now(), scope=TokenScope.READ)
    assert [post(one, body).status_code for one in (viewer, reader, "wst_none")] == [403, 403, 401]
    assert not AlertInstance.objects.exists()


def test_it_goes_out_as_an_alertmanager_would_send_it(say, receiver, asset, now):
    asset("web-01")
    out = {"type": "alertmanager", "config": {"url": receiver.url, "headers": {"Authorization": "Bearer hush"}}}
    say()
    rule = AlertRule.objects.get(rule_name="HighCPU (external)")
    rule.notification_channels = [out]
    rule.save()
    alert = AlertInstance.objects.get()
    for event in alert.events.all():
        notification.enqueue([(AlertInstance.objects.get(), event)], now)
    notification.send_delivery(NotificationDelivery.objects.get())
    headers, body = receiver.got[0]
    said = json.loads(body)
    assert headers["authorization"] == "Bearer hush"
    assert (said["version"], said["status"], len(said["alerts"])) == ("4", "firing", 1)
    one = said["alerts"][0]
    assert (one["labels"]["instance"], one["labels"]["severity"]) == ("web-01:9100", "critical")
    assert (one["annotations"]["summary"], one["endsAt"]) == ("CPU is high", "0001-01-01T00:00:00Z")
