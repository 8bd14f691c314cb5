"""The noise of rules: what counts, budgets that are spent, and better terms that lose nothing people acted on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.urls import reverse

from alerts import budgets, listing, noise, proposals
from alerts.models import AlertEvent, AlertRule, NotificationDelivery
from alerts.noise import Acted, Change, Tried
from alerts.rehearsal import Episode
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from tests.pages import opened, queries_of
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

NOW = datetime(2026, 6, 13, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEB = UUID(int=1)
RULES, LIST = "/api/monitoring/alerts/rules", "/admin/monitoring/alerts/rules"
ANALYTICS = "/admin/monitoring/alerts/analytics"
HOT = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80, "time_window": 60, "aggregation": "max"}
WEBHOOK = {"type": "webhook", "config": {"url": "https://example.com/hook"}}


@pytest.mark.parametrize(
    ("compare", "terms", "expected"),
    [
        ("gt", 80, [82, 84, 88, 90, 96]),
        ("lt", 10, [9.75, 9.5, 9, 8]),
        ("eq", 80, []),
        (None, 80, []),
        ("gt", 0, [90]),
    ],
)
def test_thresholds_are_tried_on_the_worse_side_of_the_present_one_the_nearest_first(compare, terms, expected):
    seen = [90.0] * 4 if compare == "gt" else []
    found = noise.candidates({"threshold": terms, "consecutive_breaches": 3, "keep_firing_seconds": 900}, compare, seen)
    assert [one.value for one in found if one.field == "threshold"] == expected
    assert [(one.field, one.value) for one in found if one.field != "threshold"] == [
        ("consecutive_breaches", 5), ("consecutive_breaches", 10), ("keep_firing_seconds", 1800),
    ]  # fmt: skip


@pytest.mark.parametrize(("opens", "lost"), [(-9, 1), (-2, 1), (-1, 0), (0, 0), (4, 0), (6, 0), (7, 1)])
def test_an_alert_is_lost_where_none_would_have_opened_between_its_beginning_and_what_people_did(opens, lost):
    lives = {WEB: [Episode(NOW + opens * MINUTE, None, ())]}
    assert noise.lost([Acted(WEB, NOW, NOW + 5 * MINUTE)], lives, MINUTE) == lost
    assert noise.lost([Acted(None, NOW, NOW), Acted(UUID(int=2), NOW, NOW)], lives, MINUTE) == 2


def test_of_each_term_the_mildest_that_keeps_to_the_budget_is_best():
    def tried(field: Any, *fired: int) -> list[Tried]:
        return [Tried(Change(field, value, 0), number) for value, number in enumerate(fired, 1)]

    every = [
        *tried("threshold", 21, 9, 3, 0),
        *tried("consecutive_breaches", 20, 15),
        *tried("keep_firing_seconds", 21),
    ]
    assert [(one.change.field, one.change.value) for one in noise.best(every, 21, 4)] == [
        ("threshold", 3), ("consecutive_breaches", 2),
    ]  # fmt: skip
    assert (noise.allowed(7, 100, 2, 30), noise.allowed(0, 21, 2, 30), noise.allowed(0, 4, 3, 30)) == (32, 10.5, 3)


def told(one: Any, kind: str = "opened") -> None:
    event = AlertEvent.objects.create(alert=one, kind=kind, at=one.first_triggered_at)
    NotificationDelivery.objects.create(
        event=event, channel_key="webhook", channel=WEBHOOK, next_attempt_at=one.first_triggered_at
    )


@pytest.fixture
def ended(alert, now):
    """Make an alert of a day ago that ended after some minutes and that somebody was told of."""

    def make(minutes: float = 2, kind: str = "opened", **columns: Any) -> None:
        began = now - timedelta(days=1)
        own = {"first_triggered_at": began, "status": "resolved", "resolution_type": "auto"}
        told(alert(**(own | {"resolved_at": began + minutes * MINUTE} | columns)), kind)

    return make


def noise_of(rule: AlertRule, now: datetime) -> int:
    return budgets.with_noise(AlertRule.objects.filter(pk=rule.pk), now).get().noise


def test_noise_is_what_was_told_and_nobody_acted_on(rule, alert, ended, now):
    cpu = rule("cpu")
    for quiet in (
        {"minutes": 6}, {"acknowledged_at": now}, {"resolution_type": "manual"}, {"resolution_type": "timeout"},
        {"kind": "flapping", "resolution_type": "manual"}, {"first_triggered_at": now - timedelta(days=8)},
    ):  # fmt: skip
        ended(**quiet)
    alert(status="resolved", resolved_at=now, resolution_type="auto")
    assert noise_of(cpu, now) == 0
    for loud in ({}, {"minutes": 60, "kind": "flapping"}, {"resolution_type": "manual", "false_positive": True}):
        ended(**loud)
    assert noise_of(cpu, now) == 3


@pytest.mark.usefixtures("database")
def test_lists_show_and_find_the_rules_whose_budget_is_spent(rule, ended, api, signed_in, settings):
    settings.NOISE_BUDGET = 2
    own, without, calm = rule("own", noise_budget=1), rule("without", noise_budget=0), rule("calm")
    for one in (own, without, calm):
        ended(alert_rule=one)
    client = api(Role.VIEWER)
    found = client.get(f"{RULES}?noise_spent=true").json()["rules"]
    assert [(one["rule_name"], one["noise_budget"], one["noise"]) for one in found] == [
        ("own", 1, {"last_week": 1, "budget": 1, "is_spent": True})
    ]
    assert [one["rule_name"] for one in client.get(f"{RULES}?noise_spent=false").json()["rules"]] == ["calm", "without"]
    assert client.get(f"{RULES}/{calm.pk}/noise").json() == {
        "budget": 2, "last_week": 1, "is_spent": False, "found": None,
    }  # fmt: skip
    console = signed_in(Role.VIEWER)
    assert opened(console, LIST).testids.count("noise-spent") == 1
    page = opened(console, f"{LIST}?noise=spent")
    assert ("own" in page.text, "calm" in page.text) == (True, False)
    assert "Find better terms" not in opened(console, f"{LIST}/{own.pk}/noise").text
    assert queries_of(console, f"{LIST}/{own.pk}/noise") <= 8


@pytest.fixture
def noisy(committed, rule, asset, alert, now):
    """A rule that opened for one minute at 85 every half an hour of a day, and once at 95, which was acknowledged."""
    web = asset("web")
    cpu = rule("cpu", metric_conditions=[HOT], noise_budget=1)
    peaks = dict.fromkeys(range(60, 1440, 30), 85.0) | {600: 95.0, 601: 95.0, 602: 95.0}
    key = SeriesKey("cpu_usage_percent", "gauge", "percent", {}, "push")
    ingestion.store_samples(
        [Sample(str(web.pk), key, int((now - ago * MINUTE - 10 * MINUTE / 60).timestamp() * 1000), peaks.get(ago, 20.0))
         for ago in range(1440)], now,
    )  # fmt: skip
    began = now - 602 * MINUTE
    alert(
        web, alert_rule=cpu, first_triggered_at=began, acknowledged_at=began + MINUTE, status="resolved",
        resolved_at=began + 4 * MINUTE, resolution_type="auto", trigger_value=95,
    )  # fmt: skip
    AlertRule.objects.update(updated_at=now - timedelta(days=2))
    cpu.refresh_from_db()
    return cpu


def test_a_better_term_is_found_on_history_and_loses_nothing_that_people_acted_on(noisy, now):
    found = proposals.find(noisy, now)
    assert (found.days, found.fired, found.acted, found.reason) == (30, 46, 1, "")
    assert [(one.change.field, one.change.value, one.fired) for one in found.proposals] == [
        ("threshold", 88, 1), ("consecutive_breaches", 2, 1),
    ]  # fmt: skip
    assert found.proposals[0].text == (
        "With 88 instead of 80: 1 instead of 46 alerts in 30 days; the one that people acted on is not lost."
    )
    fresh = listing.rules_with_triggers(now).get()
    assert proposals.known(fresh, now + MINUTE) == found
    assert proposals.known(fresh, now + proposals.KEPT) is None
    fresh.save()
    assert proposals.known(AlertRule.objects.select_related("evaluation").get(), now) is None


def test_where_what_people_acted_on_is_not_in_history_nothing_is_proposed(noisy, alert, now):
    began = now - timedelta(days=3)
    alert(None, alert_rule=noisy, first_triggered_at=began, acknowledged_at=began, alert_key="gone")
    found = proposals.find(noisy, now)
    assert (found.proposals, found.acted) == ((), 2)
    assert found.reason.startswith("1 of the 2 alerts that people acted on cannot be found again")


def test_a_proposal_is_applied_as_an_edit_that_has_a_history(noisy, api, signed_in):
    url = f"{RULES}/{noisy.pk}/noise"
    client = api(Role.DEVELOPER)
    best = client.post(url).json()["found"]["proposals"][0]
    body = {name: best[name] for name in ("field", "value", "instead_of")}
    assert api(Role.VIEWER).post(f"{url}/apply", body, format="json").status_code == 403
    assert client.post(f"{url}/apply", body | {"field": "severity"}, format="json").status_code == 400
    applied = client.post(f"{url}/apply", body, format="json")
    assert applied.json()["metric_conditions"][0]["threshold"] == 88
    assert AuditEntry.objects.filter(object_id=str(noisy.pk), action="change").count() == 1
    assert client.post(f"{url}/apply", body, format="json").status_code == 409
    assert client.get(url).json()["found"] is None
    noisy.alert_type = "absence"
    noisy.absence_config = {"metric_name": "cpu_usage_percent"}
    noisy.save()
    assert "only threshold and anomaly rules" in str(client.post(url).json())


def test_the_recommendation_of_the_analytics_is_applied_with_one_click(noisy, alert, signed_in, now):
    for number in range(90):
        began = now - timedelta(minutes=number)
        alert(alert_rule=noisy, first_triggered_at=began, status="resolved", resolved_at=began, resolution_type="auto")
    client = signed_in(Role.SRE)
    page = f"{LIST}/{noisy.pk}/noise"
    assert "Find better terms" in opened(client, ANALYTICS).text
    part = client.post(page, headers={"HX-Request": "true"}).content.decode()
    assert part.count("apply-proposal") == 2
    shown = opened(client, ANALYTICS)
    assert "With 88 instead of 80" in shown.text
    assert shown.testids.count("apply-proposal") == 1
    sent = {"field": "threshold", "value": "88.0", "instead_of": "80", "back": "analytics"}
    assert client.post(f"{page}/apply", sent).headers["Location"] == reverse("console:alert-analytics")
    noisy.refresh_from_db()
    assert noisy.metric_conditions[0]["threshold"] == 88
    again = client.post(f"{page}/apply", sent, follow=True).content.decode()
    assert "ask for a proposal again" in again
    assert client.get(f"{page}/apply").headers["Location"] == page
