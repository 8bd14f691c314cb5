"""A rule tried on stored history: the alerts and messages that evaluating it would have made; how it is asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts import preview
from alerts.models import AlertEvent, AlertInstance, AlertRule, NotificationDelivery
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from tests.alerts.rounds import evaluate
from tests.pages import HTMX, opened
from wedsync_monitor.policy import Role

URL = "/api/monitoring/alerts/rules/preview"
WEBHOOK = {"type": "webhook", "config": {"url": "https://example.com/hook"}}
EMAIL = {"type": "email", "config": {"recipients": ["ops@example.com"]}}
HOT = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80, "time_window": 60, "aggregation": "max"}


@pytest.fixture
def history(committed, now):
    """Store one value a minute, the newest first of all: `history(asset, [90, 20])` was 20 a minute ago."""

    def store(asset: Any, values: list[float | None], **labels: str) -> None:
        key = SeriesKey("cpu_usage_percent", "gauge", "percent", labels, "push")
        samples = [
            Sample(str(asset.pk), key, int((now - timedelta(minutes=ago, seconds=10)).timestamp() * 1000), value)
            for ago, value in enumerate(values)
            if value is not None
        ]
        assert ingestion.store_samples(samples, now).refusals == []

    return store


def hot(**columns: Any) -> AlertRule:
    defaults = {"rule_name": "hot", "metric_conditions": [HOT], "notification_channels": [WEBHOOK, EMAIL]}
    return AlertRule(**(defaults | columns))


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


def test_it_says_when_where_how_long_and_who_would_have_been_told(asset, history, now):
    history(asset("busy"), [90, 20, 20, 95, 95, 95, 20, 20])
    history(asset("calm"), [10] * 8)
    found = preview.of_rule(hot(), 1, now)
    assert (found.fired, found.assets, found.series) == (2, 1, 2)
    lasting, over = found.alerts
    assert (lasting.asset_name, lasting.ended_at) == ("busy", None)
    assert (over.ended_at - over.opened_at, over.seconds) == (timedelta(minutes=3), 180)
    # Each is told of two openings and of one end.
    assert found.messages == [("webhook example.com", 3), ("email o…@example.com", 3)]
    assert AlertInstance.objects.count() == AlertRule.objects.count() == 0


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"threshold_config": {"consecutive_breaches": 2, "recovery_threshold": 50}},
        {"threshold_config": {"keep_firing_seconds": 120}},
        {"auto_resolve_timeout": 120},
        {"suppression_config": {"suppression_period": 180}},
        {"metric_conditions": [HOT | {"aggregation": "avg", "time_window": 180}]},
        {"metric_conditions": [HOT, HOT | {"threshold": 92}]},
    ],
)
def test_it_agrees_with_what_evaluating_the_rule_does(asset, history, now, columns):
    history(asset("web"), [20, 60, 95, 95, 70, 90, None, None, 95, 60, 30, 90, 20, 20], mount="a")
    history(asset("db"), [95, 95, 91, 40, 40, 40, 95, 60, 60, 99, 99, 20, 20, 20])
    delay = {"evaluation_delay_seconds": 0}
    rule = hot(**(columns | {"threshold_config": columns.get("threshold_config", {}) | delay}))
    found = preview.of_rule(rule, 1, now)
    rule.save()
    for ago in range(15, -1, -1):
        evaluate(now - timedelta(minutes=ago))
    opened = AlertInstance.objects.exclude(opened_at=None)
    assert sorted((one.asset_name, one.opened_at, one.ended_at) for one in found.alerts) == sorted(
        opened.values_list("asset__asset_name", "opened_at", "resolved_at"), key=lambda row: row[:2]
    )
    assert found.message_count == NotificationDelivery.objects.count()
    assert AlertEvent.objects.filter(kind="opened").count() == found.fired


def test_only_the_assets_of_the_rule_count(asset, history, now):
    history(asset("busy"), [90])
    history(asset("other"), [90])
    found = preview.of_rule(hot(asset_filter={"asset_names": ["other"]}), 1, now)
    assert [one.asset_name for one in found.alerts] == ["other"]
    assert preview.of_rule(hot(asset_filter={"asset_names": ["nobody"]}), 1, now).series == 0


def test_what_cannot_be_tried_is_refused_with_what_to_send(asset, history, now, monkeypatch):
    with pytest.raises(preview.Refused, match="only threshold and anomaly rules"):
        preview.of_rule(hot(alert_type="absence"), 1, now)
    history(asset("busy"), [90])
    with pytest.raises(preview.Refused, match="send fewer days"):
        preview.of_rule(hot(evaluation_frequency=1, metric_conditions=[HOT | {"time_window": 86400}]), 30, now)


def test_assets_that_do_not_fit_into_memory_together_are_judged_one_after_the_other(asset, history, now, monkeypatch):
    for number in range(3):
        history(asset(f"web-{number}"), [90, 20])
    monkeypatch.setattr(preview, "AT_A_TIME", 1)
    assert preview.of_rule(hot(), 1, now).assets == 3


def test_the_number_of_queries_does_not_grow_with_the_number_of_assets(asset, history, now):
    counts = []
    for size in (2, 20):
        for number in range(size):
            history(asset(f"web-{size}-{number}"), [90, 20])
        with CaptureQueriesContext(connection) as queries:
            preview.of_rule(hot(), 1, now)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_over_rest_a_body_is_tried_and_not_stored(sre, asset, history):
    history(asset("busy"), [90, 20, 95, 20])
    body = {"rule_name": "hot", "metric_conditions": [HOT], "notification_channels": [EMAIL], "days": 2}
    answer = sre.post(URL, body, content_type="application/json")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["days"], found["fired"], found["messages"]) == (
        2, 2, [{"channel": "email o…@example.com", "messages": 3}]
    )  # fmt: skip
    assert AlertRule.objects.count() == 0
    for wrong in ({"days": 31}, {"days": 0}, {"alert_type": "absence"}, {"metric_conditions": []}, {"what": 1}):
        assert sre.post(URL, body | wrong, content_type="application/json").status_code == 400


def test_over_rest_whoever_may_not_make_rules_may_not_try_them(signed_in):
    assert signed_in(Role.VIEWER).post(URL, {}, content_type="application/json").status_code == 403


FORM = {
    "rule_name": "hot", "severity": "high", "metric_name": "cpu_usage_percent", "aggregation": "max",
    "operator": "gt", "threshold": 80, "time_window": 60, "evaluation_frequency": 60, "consecutive_breaches": 1,
    "email_recipients": "ops@example.com",
}  # fmt: skip


def test_the_form_has_a_button_that_tries_what_it_says(sre, asset, history):
    history(asset("busy"), [90, 20, 95, 20])
    url = reverse("console:rule-preview")
    assert "Try on history" in opened(sre, reverse("console:rule-new")).text
    part = sre.post(url, FORM, headers=HTMX).content.decode()
    assert "Would have fired 2 times in 30 days" in part
    assert "<html" not in part
    assert "3 to email o…@example.com" in part
    assert "<html" in sre.post(url, FORM).content.decode()
    assert "Correct the form first" in sre.post(url, FORM | {"threshold": "much"}, headers=HTMX).content.decode()
    assert AlertRule.objects.count() == 0


def test_a_stored_rule_is_tried_as_its_form_says_and_stays_as_it_is(sre, asset, history):
    history(asset("busy"), [90, 20])
    rule = hot(threshold_config={})
    rule.save()
    url = reverse("console:rule-preview", args=[rule.pk])
    assert "fired 0 times" in sre.post(url, FORM | {"threshold": 99}, headers=HTMX).content.decode()
    rule.refresh_from_db()
    assert rule.metric_conditions[0]["threshold"] == 80
    assert sre.get(url).status_code == 302
