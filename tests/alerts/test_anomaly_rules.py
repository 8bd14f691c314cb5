"""Rules about what is unusual: judged by what was before, in words, with what they still learn."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts import learning, preview
from alerts.models import AlertInstance, AlertRule, NotificationDelivery, PerformanceBaseline, RuleEvaluation
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Columns, Decoded
from tests.alerts.rounds import evaluate, measure
from tests.pages import opened
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")
CPU = "cpu_usage_percent"
WATCHED = {"anomaly_config": {"metric_name": CPU}}
WEBHOOK = {"type": "webhook", "config": {"url": "http://127.0.0.1:1/hook"}}


@pytest.fixture
def watched(committed):
    """Make an anomaly rule: `watched(direction="up")`."""

    def make(name: str = "odd", **asked: Any) -> AlertRule:
        return AlertRule.objects.create(
            rule_name=name,
            alert_type="anomaly",
            metric_conditions=[],
            anomaly_config={"metric_name": CPU, "time_window": 60} | asked,
            notification_channels=[WEBHOOK],
            threshold_config={"evaluation_delay_seconds": 0},
        )

    return make


@pytest.fixture
def band_alone(monkeypatch):
    """The detector reads so little of its history in a round that it says nothing."""
    monkeypatch.setattr(learning, "MOST_STEPS", 1)


def history(asset: Any, days: float, until: datetime) -> None:
    """A value every ten minutes up to `until`, between one and two about the `middle` to either side."""
    steps = int(days * 144)
    times = int(until.timestamp() * 1000) - 600_000 * np.arange(steps, 0, -1, dtype=np.int64)
    store(asset, times, 11.5 + np.random.default_rng(7).uniform(-2, 2, steps), until)


def store(asset: Any, times: Any, values: Any, received: datetime) -> None:
    key = SeriesKey(CPU, "gauge", "", {}, "push")
    columns = Columns((key,), times, values[:, None], 0)
    sender = ingestion.Sender(own_asset=asset.pk)
    assert not ingestion.store(Decoded(columns=[columns]), sender, received, lambda names: {}).refusals


def state() -> str:
    return RuleEvaluation.objects.get().last_state


def test_a_value_outside_of_what_its_hour_is_used_to_opens_an_alert_that_says_so(asset, watched, now, band_alone):
    web = asset()
    history(web, 8.2, now)
    watched()
    measure(web, 41, now)
    assert evaluate(now).messages_due == 1
    alert = AlertInstance.objects.get()
    assert alert.alert_title == "CPU usage is unusual on web-01"
    assert alert.context_data["why"].startswith(f"41 % at {now:%a %H:%M} UTC; usually ")
    expected = alert.context_data["expected"]
    assert 0 < expected["lower"] < 10 < expected["middle"] < 13 < expected["upper"] < 25
    assert (alert.trigger_value, alert.threshold_value) == (41, expected["upper"])
    assert state().startswith("reading history")
    measure(web, 12, now + timedelta(seconds=90))
    evaluate(now + timedelta(minutes=2))
    assert AlertInstance.objects.get().status == "resolved"


@pytest.mark.parametrize(
    ("value", "direction", "opens"), [(41, "up", 1), (41, "down", 0), (0, "down", 1), (0, "up", 0)]
)
def test_the_direction_says_which_side_is_trouble(asset, watched, now, band_alone, value, direction, opens):
    web = asset()
    history(web, 2.2, now)
    watched(direction=direction, baseline_days=1)
    measure(web, value, now)
    evaluate(now)
    assert AlertInstance.objects.count() == opens


def test_too_little_history_is_learnt_and_pages_nobody(asset, watched, now, band_alone, signed_in):
    web, old = asset("new"), asset("old")
    history(web, 3.1, now)
    rule = watched()
    measure(web, 99, now)
    evaluate(now)
    assert (state(), AlertInstance.objects.count()) == ("learning, 3 of 7 days", 0)
    page = opened(signed_in(Role.SRE), reverse("console:rules")).text
    assert "learning, 3 of 7 days" in page
    history(old, 8.2, now)
    measure(old, 12, now + timedelta(seconds=30))
    evaluate(now + timedelta(minutes=1))
    assert state() == "learning, 3 of 7 days on 1 of 2 series"
    assert rule.instances.count() == 0


def test_a_baseline_that_somebody_defined_counts_and_needs_no_learning(asset, watched, now):
    web = asset()
    watched()
    PerformanceBaseline.objects.create(
        asset=web, metric_name=CPU, baseline_type="custom", time_period="daily", last_calculated=now,
        next_calculation=now, baseline_config={"lower": 5, "upper": 20}, statistical_data={"median": 12},
    )  # fmt: skip
    measure(web, 19, now - timedelta(minutes=1))
    evaluate(now - timedelta(seconds=50))
    assert AlertInstance.objects.count() == 0
    measure(web, 21, now)
    evaluate(now)
    assert AlertInstance.objects.get().context_data["expected"] == {"lower": 5, "middle": 12, "upper": 20}


def test_a_series_that_stops_while_it_is_unusual_holds_its_alert(asset, watched, now, band_alone):
    web = asset()
    history(web, 2.2, now)
    watched(baseline_days=1)
    measure(web, 41, now)
    evaluate(now)
    evaluate(now + timedelta(minutes=10))
    alert = AlertInstance.objects.get()
    assert (alert.status, alert.missing_since) == ("open", now + timedelta(minutes=10))


def test_two_processes_learn_the_same_and_what_comes_later_changes_nothing(asset, now, monkeypatch):
    """One that followed for hours, and one that began a moment ago and catches up in portions."""
    history(asset(), 1.8, now)
    series = learning.query.find_series(learning.query.SeriesSelector((CPU,)))
    condition = learning.MetricCondition(CPU, "gt", 0, "avg", 300)
    whole, in_parts = learning.Learner(condition, 1), learning.Learner(condition, 1)
    moment = now - timedelta(hours=5)
    monkeypatch.setattr(learning, "MOST_STEPS", 2000)
    whole.advance(series, moment)
    whole.advance(series, now)
    assert whole.caught_up
    monkeypatch.setattr(learning, "MOST_STEPS", 400)
    in_parts.advance(series, now)
    assert not in_parts.caught_up
    in_parts.advance(series, now)
    assert in_parts.caught_up
    ours, theirs = whole.band("medium", now)[0], in_parts.band("medium", now)[0]
    assert (ours.lower, ours.upper) == (theirs.lower, theirs.upper)
    long_ago = timedelta(days=1)
    assert (whole.surprises(now, long_ago).score == in_parts.surprises(now, long_ago).score).all()


def test_the_number_of_queries_does_not_grow_with_the_number_of_series(asset, watched, now, band_alone):
    watched(baseline_days=1)
    counts = []
    for part in (range(1), range(1, 6)):
        for number in part:
            web = asset(f"web-{number}")
            history(web, 1.2, now)
            measure(web, 12, now)
        with CaptureQueriesContext(connection) as queries:
            evaluate(now)
        counts.append(len(queries))
    assert counts[1] <= counts[0]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"anomaly_config": {}}, "watches one metric"),
        ({"metric_conditions": [{"metric_name": CPU, "operator": "gt", "threshold": 1}] * 2}, "watches one metric"),
        ({"metric_conditions": [{"metric_name": CPU, "operator": "gt", "threshold": 1, "aggregation": "count"}],
          "anomaly_config": {}}, "avg, max or min"),
        ({"threshold_config": {"recovery_threshold": 3}}, "no recovery_threshold"),
        ({"anomaly_config": {"metric_name": CPU, "baseline_days": 200}}, "baseline_days up to 89"),
    ],
)  # fmt: skip
def test_what_makes_no_anomaly_rule_is_refused_with_what_to_send(columns, text):
    rule = AlertRule(
        **({"rule_name": "odd", "alert_type": "anomaly", "metric_conditions": []} | WATCHED | columns),
    )
    with pytest.raises(ValidationError, match=text):
        rule.save()


def test_tried_on_history_it_fires_where_evaluating_it_would_have(asset, watched, now):
    web = asset()
    history(web, 1.8, now - timedelta(minutes=9))
    values = {9: 12, 8: 45, 7: 45, 6: 12, 4: 12, 2: 50, 1: 12}
    times = int(now.timestamp() * 1000) - 60_000 * np.array(list(values), dtype=np.int64)
    store(web, times, np.array(list(values.values()), dtype=float), now)
    rule = watched(baseline_days=1)
    found = preview.of_rule(rule, 1, now)
    for ago in range(9, -1, -1):
        evaluate(now - timedelta(minutes=ago))
    opened_at = AlertInstance.objects.values_list("opened_at", "resolved_at").order_by("-opened_at")
    assert [(one.opened_at, one.ended_at) for one in found.alerts] == list(opened_at)
    assert found.message_count == NotificationDelivery.objects.count() > 0


def test_the_alert_and_the_preview_draw_what_was_expected(asset, watched, now, signed_in, band_alone):
    web, sre = asset(), signed_in(Role.SRE)
    history(web, 2.2, now)
    rule = watched(baseline_days=1)
    store(web, np.array([int(now.timestamp() * 1000)]), np.array([41.0]), now)
    evaluate(now)
    alert = AlertInstance.objects.get()
    url = reverse("alert-chart", args=[alert.pk])
    assert url in sre.get(reverse("console:alert", args=[alert.pk])).content.decode()
    drawn = sre.get(url, {"range": "6h"}).json()
    assert [one["label"] for one in drawn["series"]] == [CPU]
    assert all(0 < low < 11.5 < high < 25 for _, low, high in drawn["bands"][0]["points"])
    body = {
        "rule_name": "odd",
        "severity": "high",
        "evaluation_frequency": 600,
        "consecutive_breaches": 1,
        "is_enabled": "on",
        **rule.anomaly_config,
        "sensitivity": "low",
        "direction": "both",
        "aggregation": "avg",
    }
    page = sre.post(reverse("console:rule-preview", args=[rule.pk]), body).content.decode()
    assert "Would have fired 1 time in 7 days" in page
    assert '"bands"' in page


def test_it_is_written_on_a_form_of_its_own(signed_in, rule):
    sre, page = signed_in(Role.SRE), reverse("console:rule-new") + "?type=anomaly"
    body = {"rule_name": "odd", "severity": "high", "evaluation_frequency": 60, "consecutive_breaches": 2,
            "is_enabled": "on", "metric_name": CPU, "sensitivity": "high", "direction": "up", "baseline_days": 14,
            "aggregation": "max", "time_window": 60}  # fmt: skip
    assert sre.post(page, body | {"baseline_days": 365}).status_code == 422
    assert sre.post(page, body).status_code == 302
    made = AlertRule.objects.get()
    assert made.anomaly_config == {"metric_name": CPU, "sensitivity": "high", "direction": "up", "baseline_days": 14,
                                   "aggregation": "max", "time_window": 60}  # fmt: skip
    assert 'value="14"' in sre.get(reverse("console:rule", args=[made.pk])).content.decode()
