"""Many alerts at once, several evaluators, late samples, clocks that jump, evaluators that fall behind."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from alerts import claims, evaluation, lag, transitions
from alerts.claims import Claims
from alerts.lifecycle import Finding, Observation, Terms
from alerts.models import AlertEvent, AlertInstance, AlertRule, NotificationDelivery, RuleEvaluation
from alerts.transitions import Outcome, Subject, door
from assets.metrics import ingestion, recent
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample

pytestmark = pytest.mark.usefixtures("committed")
WEBHOOK = {"type": "webhook", "config": {"url": "http://127.0.0.1:1/hook", "secret": "hush"}}
CONDITION = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80, "time_window": 60}


@pytest.fixture
def rule(rule):
    def make(name: str = "cpu", **columns: Any) -> AlertRule:
        return rule(name, **({"metric_conditions": [CONDITION], "notification_channels": [WEBHOOK]} | columns))

    return make


def measure(asset: Any, value: float, at: Any, received: Any = None) -> None:
    key = SeriesKey("cpu_usage_percent", "gauge", "percent", {}, "push")
    sample = Sample(str(asset.pk), key, int(at.timestamp() * 1000), value)
    assert ingestion.store_samples([sample], received or at).refusals == []


def subject(rule: AlertRule, asset: Any, finding: Finding = Finding.BREACHED, title: str = "CPU is high") -> Subject:
    return Subject(rule, asset.pk, Observation(finding), Terms(), title, "It is at 93 %.", 93, 80)


def observe(found: Any, now: Any, standing: Any = set) -> Outcome:
    outcome = Outcome()
    transitions.observe(found, now, standing, outcome)
    return outcome


def test_two_evaluators_that_find_the_same_open_every_alert_once(asset, rule, now, monkeypatch):
    monkeypatch.setattr(door, "BATCH", 3)
    one, hosts = rule(), [asset(f"host-{number}") for number in range(10)]
    told, both = [], threading.Barrier(2)

    def run(found: list[Any]) -> None:
        both.wait()
        told.append(observe(found, now).messages)
        connections.close_all()

    found = [(subject(one, host), None) for host in hosts]
    threads = [threading.Thread(target=run, args=(mine,)) for mine in (found, found[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(told) == AlertInstance.objects.count() == NotificationDelivery.objects.count() == len(hosts)
    assert AlertEvent.objects.filter(kind="opened").count() == len(hosts)


def test_two_evaluators_that_see_the_same_end_resolve_every_alert_once(asset, rule, now):
    one, hosts = rule(), [asset(f"host-{number}") for number in range(6)]
    observe([(subject(one, host), None) for host in hosts], now)
    live = {alert.asset_id: alert for alert in AlertInstance.objects.all()}
    both = threading.Barrier(2)

    def run() -> None:
        both.wait()
        observe([(subject(one, host, Finding.CLEARED), live[host.pk]) for host in hosts], now)
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(AlertInstance.objects.values_list("status", flat=True)) == {"resolved"}
    assert AlertEvent.objects.filter(kind="resolved").count() == len(hosts)
    assert NotificationDelivery.objects.filter(event__kind="resolved").count() == len(hosts)


@pytest.mark.parametrize("finding", [Finding.BREACHED, Finding.CLEARED])
def test_the_queries_of_a_batch_do_not_grow_with_its_alerts(asset, rule, now, finding):
    one, hosts = rule(), [asset(f"host-{number}") for number in range(12)]
    counts = []
    for some in (hosts[:2], hosts[2:]):
        found: list[Any] = [(subject(one, host), None) for host in some]
        if finding is Finding.CLEARED:
            observe(found, now)
            live = {alert.asset_id: alert for alert in AlertInstance.objects.filter(asset__in=some)}
            found = [(subject(one, host, finding), live[host.pk]) for host in some]
        with CaptureQueriesContext(connection) as captured:
            assert observe(found, now).messages == len(some)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_an_alert_that_cannot_be_written_fails_alone_and_its_rule_says_so(asset, rule, now):
    good, bad = rule("good"), rule("bad")
    hosts = [asset(f"host-{number}") for number in range(3)]
    found = [(subject(good, host), None) for host in hosts] + [(subject(bad, hosts[0], title="nul \0"), None)]
    outcome = observe(found, now)
    assert set(AlertInstance.objects.values_list("alert_rule", flat=True)) == {good.pk}
    assert outcome.messages == NotificationDelivery.objects.count() == len(hosts)
    assert list(outcome.failures) == [bad.pk]


def test_what_was_found_for_a_rule_that_was_changed_meanwhile_is_not_written(asset, rule, now):
    changed, same = rule("changed"), rule("same")
    host = asset()
    claims.begin_new_rules(now)
    taken = Claims(claims.take_due(now))
    changed.save()
    observe([(subject(changed, host), None), (subject(same, host), None)], now, taken.standing)
    taken.finish({changed.pk: 60, same.pk: 60}, now)
    assert AlertInstance.objects.get().alert_rule == same
    due = RuleEvaluation.objects.values_list("rule__rule_name", "next_evaluation_at")
    assert dict(due)["changed"] < now + claims.LEASE
    assert dict(due)["same"] == now + timedelta(seconds=60)


def test_a_rule_whose_evaluator_died_is_due_again_after_the_lease(rule, now):
    rule(evaluation_frequency=86400)
    claims.begin_new_rules(now)
    assert len(claims.take_due(now)) == 1
    assert claims.take_due(now + timedelta(seconds=30)) == []
    assert len(claims.take_due(now + claims.LEASE)) == 1


def test_a_clock_that_was_ahead_and_is_set_back_does_not_stop_a_rule(rule, now):
    one = rule(evaluation_frequency=60)
    evaluation.evaluate_due(now + timedelta(days=1))
    assert evaluation.evaluate_due(now).rules == 1
    one.refresh_from_db()
    assert one.evaluation.next_evaluation_at == now + timedelta(seconds=60)
    assert one.evaluation.last_lag_ms == 0


def test_what_an_evaluation_was_late_by_and_what_fell_out_is_on_the_rule_and_in_the_state(asset, rule, now):
    one = rule(evaluation_frequency=60)
    rule("off", is_enabled=False)
    measure(asset(), 10, now)
    RuleEvaluation.objects.create(rule=one, next_evaluation_at=now - timedelta(seconds=150))
    before = lag.state(now)
    assert (before.rules_enabled, before.rules_overdue, before.lag_seconds) == (1, 1, 150)
    evaluation.evaluate_due(now)
    one.refresh_from_db()
    assert (one.evaluation.last_lag_ms, one.evaluation.missed_evaluations) == (150_000, 2)
    after = lag.state(now)
    assert (after.rules_overdue, after.lag_seconds, after.last_lag_seconds) == (0, 0, 150)
    assert (after.series_seen, after.missed_total, after.rules_failed) == (1, 2, 0)
    assert after.values()["missed_total"] == 2.0


def test_the_state_of_an_evaluator_without_rules_is_all_zero(committed, now):
    assert set(lag.state(now).values().values()) == {0.0}


def test_a_late_sample_is_judged_in_its_window_and_a_back_filled_one_is_not(asset, rule, now, settings):
    settings.EVALUATION_LATENESS_SECONDS = 120
    late, filled = asset("late"), asset("filled")
    rule(metric_conditions=[CONDITION | {"time_window": 600}])
    evaluation.evaluate_due(now)
    measure(late, 99, now - timedelta(seconds=60))
    measure(filled, 99, now - timedelta(seconds=300))
    for _ in range(2):
        RuleEvaluation.objects.update(next_evaluation_at=now)
        evaluation.evaluate_due(now + timedelta(seconds=5))
        assert AlertInstance.objects.get().asset == late
        # A process that has just begun finds the same.
        recent.forget()


def test_windows_end_a_little_before_now_where_the_rule_or_the_setting_says_so(asset, rule, now, settings):
    settings.EVALUATION_DELAY_SECONDS = 2
    patient = rule("patient", threshold_config={"evaluation_delay_seconds": 20})
    rule("usual")
    measure(asset(), 99, now)
    seen = []
    for seconds in (1, 2, 19, 20):
        RuleEvaluation.objects.update(next_evaluation_at=now)
        evaluation.evaluate_due(now + timedelta(seconds=seconds))
        seen.append(sorted(AlertInstance.objects.values_list("alert_rule__rule_name", flat=True)))
    assert seen == [[], ["usual"], ["usual"], ["patient", "usual"]]
    assert AlertInstance.objects.filter(alert_rule=patient).count() == 1


def test_an_alert_that_only_goes_on_is_not_written_at_every_evaluation(asset, rule, now):
    measure(asset(), 99, now)
    rule(metric_conditions=[CONDITION | {"time_window": 600}])
    evaluation.evaluate_due(now)
    seen = []
    for seconds in (10, 50, 60):
        RuleEvaluation.objects.update(next_evaluation_at=now)
        evaluation.evaluate_due(now + timedelta(seconds=seconds))
        seen.append(AlertInstance.objects.get().last_triggered_at - now)
    assert seen == [timedelta(0), timedelta(0), timedelta(seconds=60)]


def test_rules_of_one_selector_cost_no_further_queries(asset, rule, now):
    host = asset()

    def count(step: int) -> int:
        at = now + timedelta(seconds=step)
        measure(host, 10, at)
        RuleEvaluation.objects.update(next_evaluation_at=at)
        with CaptureQueriesContext(connection) as captured:
            evaluation.evaluate_due(at)
        return len(captured)

    rule("one")
    count(0)
    count(1)
    few = count(2)
    for number in range(30):
        rule(f"more-{number}", metric_conditions=[CONDITION | {"threshold": 80 + number / 10}])
    count(3)
    assert count(4) == few
