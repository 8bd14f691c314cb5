"""An observation of the system: series of its own asset, and values for whoever asks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.defaults import create_heartbeat_rule, create_own_rules
from alerts.evaluation import evaluate_due
from alerts.models import AlertInstance, AlertRule
from alerts.vitals import HEARTBEAT_RULE, heartbeat_problem
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from assets.models import InfrastructureAsset
from wedsync_monitor import counters
from wedsync_monitor.selfmonitoring import outlet, recording
from wedsync_monitor.selfmonitoring.limits import LIMITS
from wedsync_monitor.selfmonitoring.measurements import METRICS, Measurement

HALF_PAST = timedelta(minutes=30)


@pytest.fixture
def half_past(now):
    """The last half hour that was: the heartbeat does not rest."""
    past = now.replace(minute=30, second=0)
    return past if past <= now else past - timedelta(hours=1)


def values(measured):
    return {(one.name, *sorted(one.labels.values())): one.value for one in measured}


def test_the_own_asset_is_made_once_and_leaves_a_name_that_is_taken(db, asset):
    theirs = asset(recording.ASSET_NAME)
    asset("wedsync-monitor-2")
    assert recording.create_asset()
    assert not recording.create_asset()
    own = InfrastructureAsset.objects.get(pk=recording.ASSET)
    assert (own.asset_name, own.asset_type) == ("wedsync-monitor-3", "service")
    theirs.refresh_from_db()
    assert theirs.asset_name == "wedsync-monitor"


def test_an_observation_is_stored_as_series_of_the_own_asset(committed, half_past):
    recording.create_asset()
    counters.add(counters.key("wedsync_ingest_samples_total", way="otlp"), 12)
    connection.ensure_connection()
    counters.flush(connection.connection)
    measured = recording.observe(half_past)
    assert {one.name for one in measured} <= set(METRICS)
    stored = query.read(SeriesSelector(asset_ids=(recording.ASSET,)), half_past - timedelta(seconds=1), half_past)
    assert len(stored.values) == len(measured)
    kinds = {series.title(): (series.metric_type, stored.of(place)[1][0]) for place, series in enumerate(stored.series)}
    assert kinds["wedsync_ingest_samples_total{way=otlp}"] == ("counter", 12)
    assert kinds["wedsync_heartbeat"] == ("gauge", 1)
    assert kinds["wedsync_queue_depth{queue=default}"][1] >= 0
    found = values(measured)
    assert found["wedsync_database_bytes",] > 1e6
    assert found["wedsync_storage_bytes", "head"] > 0
    assert not [one for one in measured if one.name == "wedsync_unobserved" and one.value]


def test_what_is_kept_for_others_are_the_gauges_of_then_and_the_counters_of_now(db, half_past, monkeypatch):
    connection.ensure_connection()
    recording.observe(half_past, {})
    counters.take()
    counters.add(counters.key("wedsync_beat_ticks_total", task="tick"), 3)
    counters.flush(connection.connection)
    with CaptureQueriesContext(connection) as asked:
        last = outlet.last_observation()
    assert len(asked) == 2
    assert last.at == half_past
    assert values(last.measured)["wedsync_beat_ticks_total", "tick"] == 3
    assert values(last.measured)["wedsync_heartbeat",] == 1


def test_a_part_that_cannot_be_observed_hides_no_other(db, half_past):
    def fail(now):
        yield Measurement("wedsync_agents", 1)
        raise ConnectionError("away")

    def ask_wrongly(now):
        with connection.cursor() as cursor:
            cursor.execute("SELECT nonsense")
        yield Measurement("wedsync_agents", 1)

    def work(now):
        yield Measurement("wedsync_rules", 7)

    measured = recording.observe(half_past, {"broker": fail, "agents": ask_wrongly, "evaluation": work})
    found = values(measured)
    assert found["wedsync_rules",] == 7
    assert ("wedsync_agents",) not in found
    unobserved = [found["wedsync_unobserved", part] for part in ("broker", "agents", "evaluation")]
    assert unobserved == [1, 1, 0]


def test_an_observation_takes_few_queries_however_much_there_is(db, asset, half_past):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            recording.observe(half_past)
        return len(asked)

    queries()
    before = queries()
    for number in range(20):
        asset(f"web-{number}")
    assert queries() == before <= 60


def test_the_rules_on_the_system_itself_are_evaluated_without_an_error(committed, half_past):
    recording.create_asset()
    create_own_rules()
    create_heartbeat_rule()
    assert AlertRule.objects.count() == len(LIMITS) + 1
    assert "so far" in str(heartbeat_problem(half_past)) or heartbeat_problem(half_past)
    for seconds in (0, 15, 30):
        moment = half_past + timedelta(seconds=seconds)
        recording.observe(moment)
        evaluate_due(moment)
    assert [rule.evaluation.last_error for rule in AlertRule.objects.select_related("evaluation")] == [""] * (
        len(LIMITS) + 1
    )
    assert heartbeat_problem(half_past + timedelta(seconds=30)) is None
    heartbeat = AlertInstance.objects.get(alert_rule_id=HEARTBEAT_RULE)
    assert (heartbeat.status, heartbeat.breach_count) == ("pending", 3)
    assert heartbeat_problem(half_past + timedelta(seconds=300)) is not None


def test_the_heartbeat_rests_every_hour_so_that_it_never_opens(committed, half_past):
    recording.create_asset()
    create_heartbeat_rule()
    hour = half_past.replace(minute=0)
    for seconds in range(-15, 75, 15):
        recording.observe(hour + timedelta(seconds=seconds), {})
    evaluate_due(hour - timedelta(seconds=15))
    assert AlertInstance.objects.filter(status="pending").count() == 1
    evaluate_due(hour + timedelta(seconds=5))
    assert not AlertInstance.objects.exists()
    assert heartbeat_problem(hour + timedelta(seconds=10)) is None


def test_a_heartbeat_that_the_evaluator_does_not_find_is_told(committed, half_past):
    recording.create_asset()
    create_heartbeat_rule()
    evaluate_due(half_past)
    assert heartbeat_problem(half_past) == "the evaluator does not find the heartbeat in the samples"
    AlertRule.objects.filter(pk=HEARTBEAT_RULE).update(is_enabled=False)
    assert "switched off" in str(heartbeat_problem(half_past))
