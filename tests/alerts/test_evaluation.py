"""Rules on real samples in the real database: what opens, what resolves, who is told."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from alerts import evaluation, readings, transitions
from alerts.conditions import MetricCondition
from alerts.models import AlertInstance, AlertRule, MaintenanceWindow, NotificationDelivery
from alerts.selection import active_assets
from assets.metrics import ingestion
from assets.metrics.compaction import compact
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")
WEBHOOK = {"type": "webhook", "config": {"url": "http://127.0.0.1:1/hook", "secret": "hush"}}


@pytest.fixture
def rule(committed):
    def make(name: str = "cpu", **columns: Any) -> AlertRule:
        condition = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80, "aggregation": "avg",
                     "time_window": 300}  # fmt: skip
        defaults = {"metric_conditions": [condition], "severity": "high", "notification_channels": [WEBHOOK]}
        return AlertRule.objects.create(rule_name=name, **(defaults | columns))

    return make


@pytest.fixture
def measured(now):
    def store(asset: Any, value: float, at: Any, name: str = "cpu_usage_percent", kind: str = "gauge", **labels: str):
        key = SeriesKey(name, kind, "percent", labels, "push")
        outcome = ingestion.store_samples([Sample(str(asset.pk), key, int(at.timestamp() * 1000), value)], at)
        assert outcome.refusals == []

    return store


def evaluate(now: Any) -> evaluation.Report:
    from alerts.models import RuleEvaluation

    RuleEvaluation.objects.update(next_evaluation_at=now)
    return evaluation.evaluate_due(now)


def test_a_breach_opens_an_alert_that_says_what_is_wrong_and_queues_its_message(asset, rule, measured, now):
    web = asset()
    rule(business_impact="Guests cannot open invitations.")
    measured(web, 93.1, now)
    assert evaluate(now).messages_due == 1
    alert = AlertInstance.objects.get()
    assert alert.alert_title == "CPU usage is 93.1 % on web-01"
    assert "avg of CPU usage over 5 min > 80 %" in alert.alert_description
    assert "Guests cannot open invitations." in alert.alert_description
    assert (alert.status, alert.trigger_value, alert.threshold_value) == ("open", 93.1, 80)
    assert NotificationDelivery.objects.get().event.kind == "opened"


def test_one_trouble_is_one_alert_however_often_it_is_seen(asset, rule, measured, now):
    web = asset()
    rule()
    for step in range(4):
        at = now + timedelta(minutes=step)
        measured(web, 90, at)
        evaluate(at)
    assert AlertInstance.objects.count() == 1
    assert NotificationDelivery.objects.count() == 1


def test_it_resolves_below_the_recovery_threshold_and_whoever_was_told_is_told(asset, rule, measured, now):
    web = asset()
    rule(
        threshold_config={"recovery_threshold": 70},
        metric_conditions=[{"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80, "time_window": 60}],
    )
    for step, (value, status) in enumerate([(90, "open"), (75, "open"), (60, "resolved")]):
        at = now + timedelta(minutes=2 * step)
        measured(web, value, at)
        evaluate(at)
        assert AlertInstance.objects.get().status == status
    kinds = NotificationDelivery.objects.order_by("event_id").values_list("event__kind", flat=True)
    assert list(kinds) == ["opened", "resolved"]


def test_silence_is_not_recovery(asset, rule, measured, now):
    web = asset()
    rule()
    measured(web, 90, now)
    evaluate(now)
    evaluate(now + timedelta(hours=2))
    alert = AlertInstance.objects.get()
    assert (alert.status, alert.missing_since) == ("open", now + timedelta(hours=2))


def disk(**columns: Any) -> dict[str, Any]:
    return {"metric_name": "disk_usage_percent", "operator": "gte", "threshold": 90, "time_window": 60} | columns


def test_a_series_that_stops_while_it_breaches_has_not_recovered(asset, rule, measured, now):
    web = asset()
    rule(metric_conditions=[disk()])
    for mount, value in (("/", 40), ("/data", 97), ("/var", 95)):
        measured(web, value, now, "disk_usage_percent", mount=mount)
    evaluate(now)
    seen = []
    steps = [{"/": 40, "/var": 95}, {"/": 40, "/var": 30}, {"/": 40, "/var": 30, "/data": 50}]
    for minutes, values in enumerate(steps, start=2):
        at = now + timedelta(minutes=2 * minutes)
        for mount, value in values.items():
            measured(web, value, at, "disk_usage_percent", mount=mount)
        evaluate(at)
        alert = AlertInstance.objects.get()
        seen.append((alert.status, alert.missing_since is not None))
    assert seen == [("open", False), ("open", True), ("resolved", False)]


def test_what_a_rule_no_longer_asks_about_does_not_keep_its_alert_open(asset, rule, measured, now):
    web, one = asset(), rule(metric_conditions=[disk()])
    measured(web, 97, now, "disk_usage_percent", mount="/data")
    evaluate(now)
    one.metric_conditions = [{"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80}]
    one.save()
    later = now + timedelta(minutes=5)
    measured(web, 10, later)
    evaluate(later)
    assert AlertInstance.objects.get().status == "resolved"


def test_a_series_that_breaches_is_named_before_one_that_is_larger(asset, rule, measured, now):
    web = asset()
    rule(metric_conditions=[{"metric_name": "check_up", "operator": "ne", "threshold": 1}])
    measured(web, 1, now, "check_up", check="home")
    measured(web, 0, now, "check_up", check="rsvp")
    evaluate(now)
    assert "check rsvp" in AlertInstance.objects.get().alert_title


def test_a_value_that_overflows_is_no_value_and_silences_nobody(asset, rule, measured, now):
    broken, busy = asset("broken"), asset("busy")
    one = rule()
    for seconds in (10, 5):
        measured(broken, 1.5e308, now - timedelta(seconds=seconds))
    measured(busy, 95, now)
    evaluate(now)
    one.refresh_from_db()
    assert (AlertInstance.objects.get().asset, one.evaluation.last_error) == (busy, "")


def test_a_huge_value_has_words(asset, rule, measured, now):
    measured(asset(), 1.5e308, now)
    rule()
    evaluate(now)
    assert "is 1.5e+308" in AlertInstance.objects.get().alert_title


def test_the_worst_series_of_an_asset_is_named(asset, rule, measured, now):
    web = asset()
    rule(metric_conditions=[{"metric_name": "disk_usage_percent", "operator": "gte", "threshold": 90}])
    measured(web, 40, now, "disk_usage_percent", mount="/")
    measured(web, 97, now, "disk_usage_percent", mount="/data")
    evaluate(now)
    assert AlertInstance.objects.get().alert_title == "Disk usage (mount /data) is 97 % on web-01"


def test_all_conditions_of_a_rule_must_hold(asset, rule, measured, now):
    busy, slow = asset("busy"), asset("slow")
    rule(
        metric_conditions=[
            {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80},
            {"metric_name": "response_time_ms", "operator": "gt", "threshold": 1000},
        ]
    )
    for one, cpu, response in ((busy, 95, 100), (slow, 95, 2000)):
        measured(one, cpu, now)
        measured(one, response, now, "response_time_ms")
    evaluate(now)
    assert AlertInstance.objects.get().asset == slow


@pytest.mark.parametrize(
    ("asset_filter", "matched"),
    [
        ({}, {"web", "db"}),
        ({"asset_types": ["database"]}, {"db"}),
        ({"environments": ["staging"]}, {"web"}),
        ({"tags": {"role": "primary"}}, {"db"}),
        ({"asset_names": ["web"]}, {"web"}),
        ({"asset_names": ["web"], "asset_types": ["database"]}, set()),
    ],
)
def test_the_filter_says_which_assets_a_rule_is_about(asset, rule, measured, now, asset_filter, matched):
    for one in (asset("web", environment="staging"), asset("db", asset_type="database", tags=["role:primary"])):
        measured(one, 90, now)
    rule(asset_filter=asset_filter)
    evaluate(now)
    assert set(AlertInstance.objects.values_list("asset__asset_name", flat=True)) == matched


@pytest.mark.parametrize(
    ("operator", "aggregation", "threshold", "opens"),
    [
        ("gt", "avg", 20, False), ("gte", "avg", 20, True), ("lt", "min", 11, True), ("lte", "max", 29, False),
        ("eq", "count", 3, True), ("ne", "sum", 60, False), ("ne", "sum", 61, True),
    ],
)  # fmt: skip
def test_every_operator_and_aggregation(asset, rule, measured, now, operator, aggregation, threshold, opens):
    web = asset()
    for age, value in ((30, 10), (20, 20), (10, 30)):
        measured(web, value, now - timedelta(seconds=age))
    condition = {
        "metric_name": "cpu_usage_percent",
        "operator": operator,
        "threshold": threshold,
        "aggregation": aggregation,
    }
    rule(metric_conditions=[condition])
    evaluate(now)
    assert AlertInstance.objects.exists() == opens


def test_a_counter_that_begins_again_makes_no_negative_rate(asset, rule, measured, now):
    web = asset()
    for age, value in ((40, 1000), (30, 1100), (20, 10), (10, 20)):
        measured(web, value, now - timedelta(seconds=age), "requests", "counter")
    rule(metric_conditions=[{"metric_name": "requests", "operator": "lt", "threshold": 0, "aggregation": "min"}])
    evaluate(now)
    assert not AlertInstance.objects.exists()


def test_a_counter_that_reports_every_four_minutes_has_a_rate(asset, rule, measured, now):
    web = asset()
    for minutes, value in ((4, 0), (0, 2400)):
        measured(web, value, now - timedelta(minutes=minutes), "requests", "counter")
    rule(metric_conditions=[{"metric_name": "requests", "operator": "gt", "threshold": 9, "time_window": 60}])
    evaluate(now)
    assert AlertInstance.objects.get().trigger_value == 10


def test_rules_with_windows_of_other_lengths_do_not_see_each_others_samples(asset, rule, measured, now):
    measured(asset(), 90, now - timedelta(minutes=9))
    short, long = (
        rule("short"),
        rule("long", metric_conditions=[disk(metric_name="cpu_usage_percent", time_window=3600)]),
    )
    evaluate(now)
    assert AlertInstance.objects.get().alert_rule == long
    short.refresh_from_db()
    assert short.evaluation.last_error == ""


def test_a_window_with_more_samples_than_memory_is_refused_for_its_rule_alone(asset, rule, measured, now, monkeypatch):
    web = asset()
    monkeypatch.setattr(readings, "MOST_SAMPLES", 1000)
    measured(web, 90, now)
    good = rule("good")
    greedy = rule("greedy", metric_conditions=[disk(metric_name="cpu_usage_percent", time_window=30 * 86400)])
    evaluate(now)
    assert AlertInstance.objects.get().alert_rule == good
    greedy.refresh_from_db()
    assert "shorten time_window" in greedy.evaluation.last_error


def test_long_windows_are_not_all_in_memory_at_once(asset, measured, now, monkeypatch):
    web = asset()
    for number in range(3):
        for ago in range(20, 100, 20):
            measured(web, number, now - timedelta(minutes=ago), f"m{number}")
    monkeypatch.setattr(readings, "MOST_SAMPLES", 8)
    windows = [readings.Window(f"m{number}", 7200, timedelta(0)) for number in range(3)]
    held = readings.Readings(windows, active_assets(), now)
    for _ in range(2):
        for number in range(3):
            condition = MetricCondition(metric_name=f"m{number}", operator="gt", threshold=0, time_window=7200)
            assert held.column(condition, timedelta(0)).values.tolist() == [number]
            assert sum(len(one.samples.values) for one in held._long.values()) <= 8


@pytest.mark.parametrize("time_window", [1200, 7200])
def test_a_metric_that_cannot_be_read_fails_its_own_rules_alone(asset, rule, measured, now, time_window):
    """A broken block of one asset and metric."""
    web, db = asset("web-01"), asset("db-01")
    at = now.replace(minute=5, second=0, microsecond=0)
    measured(web, 99, at - timedelta(minutes=10))
    measured(db, 99, at - timedelta(minutes=10), "disk_usage_percent")
    compact(at + timedelta(minutes=10))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE metric_block SET times = '' WHERE asset_id = %s", [db.pk])
    good = rule("good", metric_conditions=[disk(metric_name="cpu_usage_percent", time_window=1200)])
    broken = rule("broken", metric_conditions=[disk(time_window=time_window)])
    evaluate(at)
    assert AlertInstance.objects.get().alert_rule == good
    broken.refresh_from_db()
    assert broken.evaluation.last_error
    assert broken.evaluation.next_evaluation_at > at


def test_back_filled_samples_page_nobody(asset, rule, measured, now):
    web = asset()
    rule()
    measured(web, 99, now - timedelta(hours=3))
    evaluate(now)
    assert not AlertInstance.objects.exists()


def test_a_window_keeps_people_from_being_told_and_not_the_alert_from_being_seen(asset, rule, measured, now):
    web = asset()
    rule()
    window = MaintenanceWindow.objects.create(
        window_name="work",
        start_time=now - timedelta(hours=1),
        end_time=now + timedelta(minutes=1),
        affected_assets=[str(web.pk)],
    )
    measured(web, 99, now)
    assert evaluate(now).messages_due == 0
    assert AlertInstance.objects.get().status == "suppressed"
    later = window.end_time + timedelta(minutes=1)
    measured(web, 99, later)
    assert evaluate(later).messages_due == 1
    assert AlertInstance.objects.get().status == "open"


def test_a_rule_that_fails_does_not_stop_the_others(asset, rule, measured, now):
    web = asset()
    broken, good = rule("broken"), rule("good")
    AlertRule.objects.filter(pk=broken.pk).update(metric_conditions=[{"metric_name": "cpu_usage_percent"}])
    measured(web, 99, now)
    evaluate(now)
    assert AlertInstance.objects.get().alert_rule == good
    broken.refresh_from_db()
    assert "ValidationError" in broken.evaluation.last_error
    assert broken.evaluation.next_evaluation_at > now


def test_a_rule_that_is_switched_off_ends_its_alerts(asset, rule, measured, now):
    web, one = asset(), rule()
    measured(web, 99, now)
    evaluate(now)
    one.is_enabled = False
    one.save()
    evaluate(now + timedelta(seconds=10))
    alert = AlertInstance.objects.get()
    assert (alert.status, alert.resolution_type, alert.resolution_notes) == (
        "resolved",
        "auto",
        "The rule was switched off.",
    )


def test_a_rule_that_was_changed_is_evaluated_at_once(asset, rule, measured, now):
    one = rule(evaluation_frequency=86400)
    measured(asset(), 70, now)
    evaluate(now)
    one.metric_conditions = [one.metric_conditions[0] | {"threshold": 60}]
    one.save()
    evaluation.evaluate_due(now + timedelta(seconds=10))
    assert AlertInstance.objects.get().status == "open"


def test_missed_evaluations_are_made_up_once(asset, rule, now):
    from alerts.models import RuleEvaluation

    one = rule(evaluation_frequency=60)
    RuleEvaluation.objects.create(rule=one, next_evaluation_at=now - timedelta(minutes=10))
    assert evaluation.evaluate_due(now).rules == 1
    assert evaluation.evaluate_due(now).rules == 0
    one.refresh_from_db()
    assert now < one.evaluation.next_evaluation_at <= now + timedelta(seconds=60)


def test_two_evaluators_open_one_alert(asset, rule, measured, now):
    web = asset()
    rule()
    measured(web, 99, now)
    both = threading.Barrier(2)

    def run() -> None:
        both.wait()
        evaluation.evaluate_due(now)
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AlertInstance.objects.count() == 1
    assert NotificationDelivery.objects.count() == 1


@pytest.mark.parametrize("value", [10, 99], ids=["all is well", "everything breaches and stays open"])
def test_the_queries_of_an_evaluation_do_not_grow_with_assets(asset, rule, measured, now, value):
    def count() -> int:
        from django.db import connection

        with CaptureQueriesContext(connection) as captured:
            evaluate(now)
        return len(captured)

    rule()
    measured(asset("one"), value, now)
    evaluate(now)
    few = count()
    for number in range(8):
        measured(asset(f"more-{number}"), value, now)
    evaluate(now)
    assert count() <= few


def test_the_queries_of_an_evaluation_do_not_grow_with_rules(asset, rule, measured, now):
    def count() -> int:
        from django.db import connection

        with CaptureQueriesContext(connection) as captured:
            evaluate(now)
        # Savepoints are per rule; what is asked of the tables is not.
        return len([query for query in captured if "SAVEPOINT" not in query["sql"]])

    measured(asset("one"), 10, now)
    rule("one")
    few = count()
    for number in range(8):
        rule(f"more-{number}")
    count()
    assert count() <= few


def test_the_specifications_hundred_rules_are_evaluated_within_five_seconds(asset, rule, measured, now):
    measured(asset("web-01"), 250, now, "response_time_ms")
    condition = {"metric_name": "response_time_ms", "operator": "gt", "threshold": 1000, "aggregation": "avg",
                 "time_window": 300}  # fmt: skip
    for number in range(100):
        rule(f"test-rule-{number}", metric_conditions=[condition], severity="medium", evaluation_frequency=60)
    report = evaluate(now)
    assert (report.rules, report.series) == (100, 100)
    assert report.seconds < 5


def test_acknowledging_and_resolving_by_a_person_is_told_to_systems(asset, rule, measured, now, person):
    sre = person(Role.SRE)
    measured(asset(), 99, now)
    rule()
    evaluate(now)
    alert = AlertInstance.objects.get()
    transitions.acknowledge(alert.pk, sre, "on it", 30, now)
    transitions.resolve(alert.pk, sre, "manual", "restarted", now, root_cause="a loop")
    alert.refresh_from_db()
    assert (alert.status, alert.acknowledged_by, alert.resolved_by) == ("resolved", sre, sre)
    assert alert.context_data["root_cause"] == "a loop"
    kinds = NotificationDelivery.objects.order_by("event_id").values_list("event__kind", flat=True)
    assert list(kinds) == ["opened", "acknowledged", "resolved"]
    with pytest.raises(transitions.Refused, match="resolved cannot be resolved"):
        transitions.resolve(alert.pk, sre, "manual", "again", now)


def test_within_the_suppression_period_the_same_trouble_is_recorded_and_not_told(asset, rule, measured, now, person):
    measured(asset(), 99, now)
    rule(suppression_config={"suppression_period": 600})
    evaluate(now)
    transitions.resolve(AlertInstance.objects.get().pk, person(), "manual", "done", now)
    assert evaluate(now + timedelta(minutes=1)).messages_due == 0
    again = AlertInstance.objects.get(status="open")
    assert "suppression period" in again.events.get().note
