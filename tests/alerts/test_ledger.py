"""The ledger of an alert and of a person: every message, delay and reason, from what was stored with it."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import ledger, notification, paging, transitions
from alerts.channels import NotDelivered
from alerts.lifecycle import Finding, Observation, Terms
from alerts.models import (
    AlertEvent,
    AlertInstance,
    ContactPreference,
    EscalationPolicy,
    NotificationDecision,
    NotificationDelivery,
    OnCallSchedule,
)
from alerts.transitions import Outcome, Subject
from tests.pages import opened
from wedsync_monitor.policy import Role

MINUTE = timedelta(minutes=1)
TEAM = {"type": "email", "config": {"recipients": ["team@example.com"]}}
PAGE = "/admin/monitoring/alerts/ledger"


def open_alerts(rule, assets, now) -> list[AlertInstance]:
    seen = Observation(Finding.BREACHED)
    found = [(Subject(rule, one.pk, seen, Terms(), "CPU is high", "It is."), None) for one in assets]
    transitions.observe(found, now, lambda rules: rules, Outcome())
    return list(AlertInstance.objects.filter(alert_rule=rule).order_by("pk"))


@pytest.fixture
def escalated(rule, asset, now):
    """Open alerts whose rule escalates by these steps."""

    def make(*steps, alerts=1, **policy):
        followed = EscalationPolicy.objects.create(policy_name="night", escalation_steps=list(steps), **policy)
        made = rule("cpu", severity="medium", escalation_policy=followed, notification_channels=[TEAM])
        return open_alerts(made, [asset(f"web-{n}") for n in range(alerts)], now)

    return make


def ledger_of(alert) -> list[tuple[str, str]]:
    return [(entry.kind, entry.text) for entry in ledger.entries(ledger.lines(alert))]


@pytest.mark.usefixtures("database")
class TestDecisions:
    def test_a_step_keeps_who_was_asked_and_who_was_on_call(self, escalated, person, now):
        ana = person(username="ana")
        ana.email = "ana@example.com"
        ana.save()
        hour = f"{now:%H}:00", f"{now + 2 * timedelta(hours=1):%H}:00"
        ContactPreference.objects.create(user=ana, quiet_hours={"start": hour[0], "end": hour[1]})
        layers = [{"users": ["ana"], "starts_at": "2099-01-01T00:00"}]
        OnCallSchedule.objects.create(schedule_name="later", layers=layers)
        (alert,) = escalated({"delay_minutes": 0, "users": ["ana"], "schedules": ["later"]})
        paging.escalate_due(now)
        data = AlertEvent.objects.get(kind="escalated").data
        assert data["on_call"] == {"later": None}
        (asked,) = data["asked"]
        assert (asked["person"], len(asked["channels"]), asked["until"] is not None) == ("ana", 1, True)
        texts = [text for _, text in ledger_of(alert)]
        assert any("nobody is on call by later" in text and "it was the last step" in text for text in texts)
        assert any("The quiet hours of ana hold it until" in text for text in texts)

    def test_a_step_that_waits_for_working_time_is_noted_once(self, escalated, now):
        other_day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(now.weekday() + 3) % 7]
        hours = {"days": [other_day], "start": "09:00", "end": "10:00"}
        (alert,) = escalated({"delay_minutes": 5, "notification_channels": [TEAM]}, business_hours=hours)
        for tick in (0, 0, 1):
            AlertInstance.objects.update(next_escalation_at=now)
            paging.escalate_due(now + tick * MINUTE)
        decision = NotificationDecision.objects.get()
        alert.refresh_from_db()
        assert (decision.kind, decision.until) == ("outside_hours", alert.next_escalation_at)
        assert "Step 1 of round 1 would have come outside of working time; it goes on at" in ledger_of(alert)[-1][1]

    def test_a_message_that_is_sent_again_says_so(self, escalated, now):
        (alert,) = escalated({"delay_minutes": 5, "users": []})
        delivery = NotificationDelivery.objects.get()
        NotificationDelivery.objects.update(status="failed")
        notification.resend(delivery.pk, now)
        assert ledger_of(alert)[-1][0] == "sent_again"


@pytest.mark.usefixtures("committed")
class TestDeliveries:
    def test_every_try_and_every_delay_of_a_message_is_kept_with_its_reason(self, rule, asset, now):
        def refuse(delivery):
            raise NotDelivered("the server said 421")

        dice = random.Random(1)
        (alert,) = open_alerts(rule("cpu", notification_channels=[TEAM]), [asset()], now)
        notification.deliver_due(now, refuse, dice)
        notification.deliver_due(now + MINUTE, refuse, dice)
        notification.deliver_due(now + 10 * MINUTE, lambda delivery: None, dice)
        kinds = [kind for kind, _ in ledger_of(alert)]
        assert kinds == ["opened", "queued", "failed", "failed", "delivered"]
        texts = [text for _, text in ledger_of(alert)]
        assert "failed: the server said 421; it goes on at" in texts[2]
        assert texts[-1] == "The message to email t…@example.com arrived at try 3 (opened)."
        # A channel that is full: of each message that waits it is noted once.
        channel = {"type": "webhook", "config": {"url": "https://hooks.example.com"}, "per_minute": 1}
        limited = rule("disk", notification_channels=[channel])
        alerts = open_alerts(limited, [asset(f"web-1{n}") for n in range(3)], now)
        for minute in range(3):
            notification.deliver_due(now + minute * MINUTE, lambda delivery: None)
        assert NotificationDecision.objects.filter(kind="rate_limited").count() == 2
        assert sorted(len(ledger_of(alert)) for alert in alerts) == [3, 4, 4]


@pytest.mark.usefixtures("database")
class TestPages:
    def test_an_alert_that_nobody_was_told_of_says_why(self, rule, asset, now, api):
        (alert,) = open_alerts(rule("cpu"), [asset()], now)
        answer = api(Role.VIEWER).get(f"/api/monitoring/alerts/{alert.pk}/ledger")
        (entry,) = answer.json()["entries"]
        assert entry["text"] == "Opened. Nobody was told: the rule had no channel."
        assert answer["X-Total-Count"] == "1"

    def test_the_page_of_an_alert_shows_its_ledger(self, rule, asset, now, signed_in):
        (alert,) = open_alerts(rule("cpu", notification_channels=[TEAM]), [asset()], now)
        page = opened(signed_in(Role.VIEWER), f"/admin/monitoring/alerts/{alert.pk}")
        assert "alert-ledger" in page.testids
        assert "A message to email t…@example.com was put into the outbox (opened)." in page.text

    def test_a_person_sees_of_each_alert_whether_they_were_told(self, escalated, person, now, signed_in):
        ana = person(Role.VIEWER, username="ana")
        alerts = escalated({"delay_minutes": 5, "users": ["ana"]}, alerts=2)
        transitions.acknowledge(alerts[0].pk, ana, "", None, now)
        page = opened(signed_in(user=ana), PAGE)
        assert "was not reached: the alert was acknowledged by ana" in page.text
        assert "step 1 of night, which could name ana, is not due before" in page.text
        gone = {"from": "2020-01-01T00:00", "to": "2020-01-02T00:00"}
        assert "No alerts in this time" in opened(signed_in(user=ana), PAGE, gone).text

    def test_what_cannot_be_asked_is_said(self, person, signed_in, api):
        assert "nobody whom you may ask for" in opened(signed_in(Role.VIEWER), PAGE, {"person": "x"}).text.lower()
        backwards = {"from": "2020-01-02T00:00", "to": "2020-01-01T00:00"}
        assert "Send a time after the beginning" in opened(signed_in(Role.VIEWER), PAGE, backwards).text
        client = api(Role.VIEWER)
        for query in ("person=x", "person=%00", "from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z", "from=x", "q=1"):
            assert client.get(f"/api/monitoring/alerts/ledger?{query}").status_code == 400

    def test_who_has_no_role_asks_only_for_oneself(self, person, api):
        person(username="ana")
        client = api()
        assert client.get("/api/monitoring/alerts/ledger?person=ana").status_code == 400
        assert client.get("/api/monitoring/alerts/ledger").json()["alerts"] == []

    def test_many_alerts_take_as_many_queries_as_few(self, escalated, person, api, now):
        person(username="ana")
        alerts = escalated({"delay_minutes": 0, "users": ["ana"]}, alerts=30)
        paging.escalate_due(now)
        client = api(Role.VIEWER)
        for url, most in (("ledger?person=ana", 12), (f"{alerts[0].pk}/ledger", 10)):
            client.get(f"/api/monitoring/alerts/{url}")
            with CaptureQueriesContext(connection) as asked:
                assert client.get(f"/api/monitoring/alerts/{url}").status_code == 200
            assert len(asked) <= most, url
