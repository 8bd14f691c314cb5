"""Escalation of stored alerts: what is written, who is told, when it stops and goes on."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from alerts import paging, transitions
from alerts.lifecycle import Finding, Observation, Terms
from alerts.models import (
    AlertEvent,
    AlertInstance,
    AlertRule,
    ContactPreference,
    EscalationPolicy,
    NotificationDelivery,
    OnCallOverride,
    OnCallSchedule,
    RuleEvaluation,
)
from alerts.transitions import Outcome, Subject

MINUTE = timedelta(minutes=1)
TEAM = {"type": "email", "config": {"recipients": ["team@example.com"]}}


@pytest.fixture
def opened(rule, asset, now, person):
    """Alerts of a rule with an escalation policy that evaluations have just opened."""

    def make(*steps: dict[str, Any], alerts: int = 1, severity: str = "high", **policy: Any) -> list[AlertInstance]:
        followed = EscalationPolicy.objects.create(policy_name="night", escalation_steps=list(steps), **policy)
        made = rule("cpu", severity=severity, escalation_policy=followed, notification_channels=[TEAM])
        found = [(subject(made, asset(f"web-{n}"), Finding.BREACHED), None) for n in range(alerts)]
        observe(found, now)
        return list(AlertInstance.objects.order_by("pk"))

    return make


def subject(rule: AlertRule, asset: Any, finding: Finding, suppressed: str = "") -> Subject:
    return Subject(rule, asset.pk, Observation(finding, suppressed), Terms(), "CPU is high", "It is.")


def observe(found: list[Any], now: Any) -> None:
    outcome = Outcome()
    transitions.observe(found, now, lambda rules: rules, outcome)
    assert outcome.failures == {}


def found_again(alert: AlertInstance, now: Any, finding: Finding = Finding.BREACHED, suppressed: str = "") -> None:
    alert.refresh_from_db()
    observe([(subject(alert.alert_rule, alert.asset, finding, suppressed), alert)], now)


def steps_of(alert: AlertInstance) -> list[tuple[int, int]]:
    rows = AlertEvent.objects.filter(alert=alert, kind="escalated").order_by("pk")
    return [(row.data["round"], row.data["step"]) for row in rows]


def told(kind: str = "escalated") -> list[str]:
    rows = NotificationDelivery.objects.filter(event__kind=kind).order_by("event_id")
    return [one for row in rows for one in row.channel["config"]["recipients"]]


@pytest.fixture
def ana(person):
    made = person(username="ana")
    made.email = "ana@example.com"
    made.save()
    return made


@pytest.mark.usefixtures("database")
class TestSteps:
    def test_a_step_that_is_due_is_written_raises_the_level_and_tells_whom_it_names(self, opened, ana, now):
        (alert,) = opened(
            {"delay_minutes": 5, "users": ["ana"]}, {"delay_minutes": 10, "notification_channels": [TEAM]}
        )
        assert paging.escalate_due(now) == 0
        alert.refresh_from_db()
        assert (alert.next_escalation_at, alert.escalation_level) == (now + 5 * MINUTE, 0)
        assert paging.escalate_due(now + 5 * MINUTE) == 1
        assert paging.escalate_due(now + 5 * MINUTE) == 0
        alert.refresh_from_db()
        assert (alert.escalation_level, alert.next_escalation_at) == (1, now + 10 * MINUTE)
        assert told() == ["ana@example.com"]
        event = AlertEvent.objects.get(kind="escalated")
        assert event.note == "Step 1 of round 1: ana."
        assert paging.escalate_due(now + 10 * MINUTE) == 1
        alert.refresh_from_db()
        assert (alert.escalation_level, alert.next_escalation_at) == (2, None)
        assert told() == ["ana@example.com", "team@example.com"]

    def test_whoever_was_told_by_a_step_is_told_the_end(self, opened, ana, now):
        (alert,) = opened({"delay_minutes": 0, "users": ["ana"]})
        paging.escalate_due(now)
        transitions.resolve(alert.pk, ana, "manual", "done", now + MINUTE)
        assert sorted(told("resolved")) == ["ana@example.com", "team@example.com"]
        assert paging.escalate_due(now + 60 * MINUTE) == 0

    def test_what_quiet_hours_hold_is_not_sent_after_the_end_and_neither_is_the_end(self, opened, ana, now):
        quiet = {"start": f"{(now - timedelta(hours=1)):%H:%M}", "end": f"{(now + timedelta(hours=2)):%H:%M}"}
        ContactPreference.objects.create(user=ana, quiet_hours=quiet)
        (alert,) = opened({"delay_minutes": 0, "users": ["ana"]})
        assert paging.escalate_due(now) == 1
        found_again(alert, now + MINUTE, Finding.CLEARED)
        held = NotificationDelivery.objects.get(event__kind="escalated")
        assert (held.status, held.last_error) == ("dropped", "Not sent: the alert was over before the quiet hours.")
        assert told("resolved") == ["team@example.com"]

    def test_a_higher_severity_tells_again_and_escalates_anew_after_an_acknowledgement(self, opened, ana, now):
        (alert,) = opened({"delay_minutes": 0, "users": ["ana"]})
        paging.escalate_due(now)
        transitions.acknowledge(alert.pk, ana, "mine", 60, now)
        AlertRule.objects.update(severity="critical")
        alert = AlertInstance.objects.select_related("alert_rule").get()
        found_again(alert, now + MINUTE)
        alert.refresh_from_db()
        assert (alert.status, alert.severity, alert.acknowledged_until) == ("open", "critical", None)
        assert AlertEvent.objects.filter(kind="opened").last().note == "Severity raised from high to critical."
        assert told("opened") == ["team@example.com"] * 2
        assert paging.escalate_due(now + MINUTE) == 1
        assert steps_of(alert) == [(1, 1), (1, 1)]

    def test_after_a_window_an_acknowledged_alert_is_theirs_again_and_nobody_is_told(self, opened, ana, now):
        (alert,) = opened({"delay_minutes": 30, "users": ["ana"]})
        transitions.acknowledge(alert.pk, ana, "mine", None, now)
        found_again(alert, now + MINUTE, suppressed="a window")
        found_again(alert, now + 2 * MINUTE)
        alert.refresh_from_db()
        assert (alert.status, alert.acknowledged_by, told("unsuppressed")) == ("acknowledged", ana, [])
        assert AlertEvent.objects.last().note == "It was acknowledged before it was suppressed."

    def test_a_system_that_a_step_told_hears_of_the_acknowledgement(self, opened, ana, now):
        pager = {"type": "pagerduty", "config": {"routing_key": "key"}}
        (alert,) = opened({"delay_minutes": 0, "notification_channels": [pager]})
        assert paging.escalate_due(now) == 1
        transitions.acknowledge(alert.pk, ana, "on it", None, now)
        kinds = NotificationDelivery.objects.filter(channel__type="pagerduty").order_by("event_id")
        assert list(kinds.values_list("event__kind", flat=True)) == ["escalated", "acknowledged"]

    def test_acknowledged_stops_it_and_it_goes_on_once_that_has_run_out(self, opened, ana, now):
        (alert,) = opened({"delay_minutes": 5, "users": ["ana"]})
        paging.escalate_due(now)
        transitions.acknowledge(alert.pk, ana, "on it", 30, now + 2 * MINUTE)
        assert paging.escalate_due(now + 20 * MINUTE) == 0
        RuleEvaluation.objects.create(rule=alert.alert_rule, next_evaluation_at=now + timedelta(days=1))
        assert paging.escalate_due(now + 32 * MINUTE) == 0
        # The rule is evaluated at once, however seldom it is due.
        assert RuleEvaluation.objects.get().next_evaluation_at == now + 32 * MINUTE
        found_again(alert, now + 32 * MINUTE)
        assert paging.escalate_due(now + 34 * MINUTE) == 0
        assert paging.escalate_due(now + 35 * MINUTE) == 1
        assert steps_of(alert) == [(1, 1)]

    def test_suppressed_time_does_not_use_up_steps(self, opened, ana, now):
        (alert,) = opened({"delay_minutes": 5, "users": ["ana"]})
        found_again(alert, now + 4 * MINUTE, suppressed="Maintenance window.")
        assert paging.escalate_due(now + 60 * MINUTE) == 0
        found_again(alert, now + 60 * MINUTE)
        assert paging.escalate_due(now + 60 * MINUTE) == 0
        assert paging.escalate_due(now + 61 * MINUTE) == 1

    def test_rounds_repeat_up_to_the_maximum(self, opened, ana, now):
        steps = ({"delay_minutes": 0, "users": ["ana"]}, {"delay_minutes": 5, "users": ["ana"]})
        (alert,) = opened(*steps, repeat_escalation=True, repeat_interval=10, max_escalations=3)
        for minute in range(60):
            paging.escalate_due(now + minute * MINUTE)
        assert steps_of(alert) == [(1, 1), (1, 2), (2, 1)]

    def test_a_policy_that_is_changed_takes_effect_at_once(self, opened, ana, now):
        opened({"delay_minutes": 600, "users": ["ana"]})
        paging.escalate_due(now)
        policy = EscalationPolicy.objects.get()
        policy.escalation_steps = [{"delay_minutes": 1, "users": ["ana"]}]
        policy.save()
        assert paging.escalate_due(now + 5 * MINUTE) == 1
        policy.is_active = False
        policy.save()
        assert paging.escalate_due(now + 5 * MINUTE) == 0

    def test_an_alert_of_a_rule_that_gets_a_policy_later_is_escalated(self, rule, asset, now, ana):
        made = rule("cpu")
        observe([(subject(made, asset(), Finding.BREACHED), None)], now)
        assert AlertInstance.objects.get().next_escalation_at is None
        steps = [{"delay_minutes": 0, "users": ["ana"]}]
        made.escalation_policy = EscalationPolicy.objects.create(policy_name="p", escalation_steps=steps)
        made.save()
        assert paging.escalate_due(now + MINUTE) == 1

    def test_an_alert_that_cannot_be_escalated_does_not_hold_up_the_others(self, opened, ana, now):
        alerts = opened({"delay_minutes": 0, "users": ["ana"]}, alerts=2)
        broken = EscalationPolicy.objects.create(policy_name="broken", escalation_steps=[{"delay_minutes": 0}])
        with connection.cursor() as cursor:
            cursor.execute("UPDATE escalation_policies SET escalation_steps = '[]' WHERE id = %s", [broken.pk])
        bad = AlertRule.objects.create(rule_name="bad", metric_conditions=alerts[0].alert_rule.metric_conditions)
        AlertRule.objects.filter(pk=bad.pk).update(escalation_policy=broken)
        AlertInstance.objects.filter(pk=alerts[0].pk).update(alert_rule=bad)
        assert paging.escalate_due(now) == 1
        alerts[0].refresh_from_db()
        assert alerts[0].next_escalation_at == now + paging.PUSHED_AHEAD

    def test_many_alerts_take_as_many_queries_as_few(self, opened, ana, now):
        opened({"delay_minutes": 0, "users": ["ana"]}, alerts=30)
        with CaptureQueriesContext(connection) as few:
            assert paging.escalate_due(now) == 30
        assert len(few) <= 14


@pytest.mark.usefixtures("database")
class TestPeople:
    def test_whoever_is_on_call_is_told_and_an_override_counts(self, opened, ana, person, now):
        ben = person(username="ben")
        ben.email = "ben@example.com"
        ben.save()
        layers = [{"users": ["ana"], "starts_at": "2020-01-01T00:00"}]
        schedule = OnCallSchedule.objects.create(schedule_name="ops", layers=layers)
        opened({"delay_minutes": 0, "schedules": ["ops"]}, {"delay_minutes": 5, "schedules": ["ops"]})
        paging.escalate_due(now)
        OnCallOverride.objects.create(schedule=schedule, person=ben, starts_at=now, ends_at=now + 60 * MINUTE)
        paging.escalate_due(now + 5 * MINUTE)
        assert told() == ["ana@example.com", "ben@example.com"]
        assert "ben (on call by ops)" in AlertEvent.objects.filter(kind="escalated").last().note

    def test_what_reaches_nobody_says_why(self, opened, person, now):
        person(username="cleo")
        opened({"delay_minutes": 0, "users": ["cleo", "gone"], "schedules": ["missing"]})
        assert paging.escalate_due(now) == 0
        note = AlertEvent.objects.get(kind="escalated").note
        assert note.startswith("Step 1 of round 1: nobody. Not reached: cleo: the account has no email address;")
        assert "gone: no active account has this name" in note
        assert "no schedule missing" in note

    @pytest.mark.parametrize(("severity", "waits"), [("high", True), ("critical", False)])
    def test_quiet_hours_put_off_what_is_not_critical(self, opened, ana, now, severity, waits):
        quiet = {"start": f"{(now - timedelta(hours=1)):%H:%M}", "end": f"{(now + timedelta(hours=2)):%H:%M}"}
        ContactPreference.objects.create(user=ana, quiet_hours=quiet)
        opened({"delay_minutes": 0, "users": ["ana"]}, severity=severity)
        assert paging.escalate_due(now) == 1
        due = NotificationDelivery.objects.get(event__kind="escalated").next_attempt_at
        assert (due > now + timedelta(minutes=118)) is waits
        assert ("after quiet hours" in AlertEvent.objects.get(kind="escalated").note) is waits

    def test_people_are_reached_as_they_prefer_and_from_the_severity_they_prefer(self, opened, ana, now):
        hook = {"type": "webhook", "config": {"url": "https://hooks.example.com", "secret": "hush"}}
        preference = ContactPreference.objects.create(user=ana, channels=[hook], minimum_severity="critical")
        steps = ({"delay_minutes": 0, "users": ["ana"]}, {"delay_minutes": 1, "users": ["ana"]})
        opened(*steps)
        assert paging.escalate_due(now) == 0
        preference.minimum_severity = "low"
        preference.save()
        assert paging.escalate_due(now + MINUTE) == 1
        channel = NotificationDelivery.objects.get(event__kind="escalated").channel
        assert channel["config"]["url"] == "https://hooks.example.com"
        assert "hush" not in str(channel)


@pytest.mark.usefixtures("committed")
class TestWorkers:
    def test_two_workers_take_each_step_once(self, opened, ana, now):
        alerts = opened({"delay_minutes": 0, "users": ["ana"]}, {"delay_minutes": 0, "users": ["ana"]}, alerts=40)
        barrier = threading.Barrier(2)

        def work() -> None:
            barrier.wait()
            try:
                for _ in range(3):
                    paging.escalate_due(now)
            finally:
                connections.close_all()

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        paging.escalate_due(now)
        assert all(steps_of(alert) == [(1, 1), (1, 2)] for alert in alerts)
        assert NotificationDelivery.objects.filter(event__kind="escalated").count() == 80

    def test_a_worker_that_dies_has_done_nothing(self, opened, ana, now, monkeypatch):
        (alert,) = opened({"delay_minutes": 0, "users": ["ana"]})

        class Killed(BaseException):
            pass

        def die(*_: Any) -> int:
            raise Killed

        with monkeypatch.context() as dying:
            dying.setattr("alerts.paging.notification.enqueue_to", die)
            with pytest.raises(Killed):
                paging.escalate_due(now)
        assert steps_of(alert) == []
        assert paging.escalate_due(now) == 1
        assert steps_of(alert) == [(1, 1)]
