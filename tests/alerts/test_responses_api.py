"""Snooze, assign, comment, and the same with many alerts at once, over REST."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from alerts import lifecycle, transitions
from alerts.lifecycle import Event, Finding, Observation, State, Terms
from alerts.models import AlertEvent, AlertInstance, NotificationDelivery
from tests.answers import fields_of, is_problem
from tests.wedsync_monitor import stored
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
ALERTS = "/api/monitoring/alerts/instances"
BULK = f"{ALERTS}/bulk"


@pytest.fixture
def developer(api):
    return api(Role.DEVELOPER)


def kinds(alert: AlertInstance) -> list[str]:
    return list(AlertEvent.objects.filter(alert=alert).order_by("pk").values_list("kind", flat=True))


def seen(alert: AlertInstance, now, suppressed: str = "") -> None:
    """An evaluation finds that the alert still breaches."""
    alert.refresh_from_db()
    subject = transitions.Subject(
        alert.alert_rule, alert.asset_id, Observation(Finding.BREACHED, suppressed), Terms(), "t"
    )
    outcome = transitions.Outcome()
    transitions.observe([(subject, alert)], now, lambda rules: rules, outcome)
    assert not outcome.failures
    alert.refresh_from_db()


def test_a_snoozed_alert_returns_by_itself_and_is_told_again(developer, alert, rule, asset, now):
    one = alert(asset(), alert_rule=rule("cpu", notification_channels=[stored.WEBHOOK]))
    until = now + timedelta(hours=1)
    answer = developer.post(f"{ALERTS}/{one.pk}/snooze", {"until": until.isoformat(), "note": "lunch"}, format="json")
    assert (answer.status_code, answer.data["status"]) == (200, "suppressed"), answer.data
    seen(one, until - timedelta(seconds=1))
    assert one.status == "suppressed"
    # A window that begins meanwhile holds it back for longer.
    seen(one, until, suppressed="Maintenance window.")
    assert one.status == "suppressed"
    seen(one, until + timedelta(minutes=1))
    assert (one.status, one.snoozed_until) == ("open", None)
    assert kinds(one) == ["snoozed", "unsuppressed"]
    assert NotificationDelivery.objects.get().event.kind == "unsuppressed"


def test_a_snoozed_alert_still_resolves(developer, alert, asset, now):
    one = alert(asset())
    developer.post(f"{ALERTS}/{one.pk}/snooze", {"until": (now + timedelta(hours=1)).isoformat()}, format="json")
    snapshot = transitions.snapshot_of(AlertInstance.objects.get())
    ended = lifecycle.decide(snapshot, Observation(Finding.CLEARED), Terms(), now)
    assert (ended.state, ended.events) == (State.RESOLVED, (Event.RESOLVED,))


def test_an_alert_is_given_to_a_person_and_to_nobody(developer, person, alert, asset):
    person(username="ben")
    one = alert(asset())
    given = developer.post(f"{ALERTS}/{one.pk}/assign", {"assignee": "ben"}, format="json")
    assert (given.data["assigned_to"], given.data["status"]) == ("ben", "open")
    assert [row["id"] for row in developer.get(ALERTS, {"assigned_to": "ben"}).data["alerts"]] == [str(one.pk)]
    assert developer.post(f"{ALERTS}/{one.pk}/assign", {"assignee": None}, format="json").data["assigned_to"] is None
    assert AlertEvent.objects.order_by("pk").first().note == "To ben."
    assert fields_of(developer.post(f"{ALERTS}/{one.pk}/assign", {"assignee": "x"}, format="json")) == {"assignee"}


def test_comments_stand_on_the_timeline_also_of_an_alert_that_is_over(developer, alert, asset, now):
    one = alert(asset(), status="resolved", resolved_at=now, resolution_type="auto")
    answer = developer.post(f"{ALERTS}/{one.pk}/comments", {"comment": "it was the disk"}, format="json")
    assert answer.status_code == 200, answer.data
    event = developer.get(f"{ALERTS}/{one.pk}").data["events"][0]
    assert (event["kind"], event["note"]) == ("commented", "it was the disk")
    one.refresh_from_db()
    assert (one.resolved_at, one.resolution_type) == (now, "auto")
    assert is_problem(developer.post(f"{ALERTS}/{one.pk}/assign", {"assignee": None}, format="json"), 409)


@pytest.mark.parametrize("delta", [timedelta(0), timedelta(days=-1), timedelta(days=31)])
def test_a_snooze_that_is_over_or_too_long_is_refused(developer, alert, asset, now, delta):
    one = alert(asset())
    answer = developer.post(f"{ALERTS}/{one.pk}/snooze", {"until": (now + delta).isoformat()}, format="json")
    assert is_problem(answer, 409)


class TestBulk:
    def test_alerts_are_acknowledged_together_and_those_that_cannot_be_say_why(self, developer, alert, asset, now):
        web = asset()
        first, second = alert(web), alert(web)
        over = alert(web, status="resolved", resolved_at=now)
        strange = uuid4()
        ids = [str(pk) for pk in (first.pk, over.pk, second.pk, strange)]
        said = {"action": "acknowledge", "ids": ids, "details": {"acknowledgment_note": "storm"}}
        answer = developer.post(BULK, said, format="json")
        assert answer.status_code == 200, answer.data
        assert answer.data["done"] == [str(first.pk), str(second.pk)]
        assert {row["id"]: row["reason"] for row in answer.data["refused"]} == {
            str(over.pk): "An alert that is resolved cannot be acknowledged.",
            str(strange): "There is no such alert.",
        }
        assert kinds(first) == kinds(second) == ["acknowledged"]

    def test_what_a_filter_finds_is_changed_and_nothing_else(self, developer, person, alert, asset, now):
        person(username="ben")
        web, other = asset("web-01"), asset("web-02")
        mine, high = alert(web, severity="low"), alert(web, severity="high")
        alert(other, severity="low")
        asked = {"asset": [str(web.pk)], "severity": ["low", "medium"]}
        for action, details in (
            ("assign", {"assignee": "ben"}),
            ("snooze", {"until": (now + timedelta(hours=1)).isoformat()}),
            ("resolve", {"resolution_type": "manual", "resolution_notes": "done", "root_cause": "disk"}),
        ):
            said = {"action": action, "filter": asked, "details": details}
            assert developer.post(BULK, said, format="json").data["done"] == [str(mine.pk)], action
        mine.refresh_from_db()
        assert (mine.status, mine.assigned_to.username, mine.context_data) == (
            "resolved",
            "ben",
            {"root_cause": "disk"},
        )
        high.refresh_from_db()
        assert high.status == "open"

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"ids": []}, "ids"),
            ({"filter": {"status": ["open"]}}, "ids"),
            ({"action": "explode"}, "action"),
            ({"action": "snooze"}, "details.until"),
            ({"ids": ["web-01"]}, "ids.0"),
        ],
    )
    def test_what_cannot_be_understood_is_refused(self, developer, alert, asset, change, field):
        said = {"action": "acknowledge", "ids": [str(alert(asset()).pk)]} | change
        assert field in fields_of(developer.post(BULK, said, format="json"))

    @pytest.mark.parametrize("asked", [{"stauts": ["open"]}, {"severity": ["huge"]}, {"status": "open"}, {}])
    def test_a_filter_that_is_mistyped_changes_nothing(self, developer, alert, asset, asked):
        one = alert(asset())
        assert is_problem(developer.post(BULK, {"action": "acknowledge", "filter": asked}, format="json"), 400)
        one.refresh_from_db()
        assert one.status == "open"

    def test_whoever_may_only_look_is_refused(self, api, alert, asset):
        said = {"action": "acknowledge", "ids": [str(alert(asset()).pk)]}
        assert is_problem(api(Role.VIEWER).post(BULK, said, format="json"), 403)
