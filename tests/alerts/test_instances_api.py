"""Alerts over REST: the list, what people do with an alert, whose alerts one sees, analytics, budgets."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from alerts.models import AlertEvent, NotificationDelivery
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/api/monitoring/alerts/instances"
ANALYTICS = "/api/monitoring/alerts/analytics"
LISTED = {
    "id", "alert_title", "severity", "status", "asset_name", "environment", "trigger_value", "threshold_value",
    "duration_minutes", "first_triggered_at", "acknowledged_at", "acknowledged_by", "escalation_level",
    "business_impact",
}  # fmt: skip
FIXED = {"resolution_type": "manual", "resolution_notes": "Restarted it."}


@pytest.fixture
def sre(api):
    return api(Role.SRE)


def titles(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [one["alert_title"] for one in answer.json()["alerts"]]


def test_the_list_has_the_specifications_envelope(sre, rule, alert, asset, now):
    cpu = rule(business_impact="Couples wait.")
    web = asset("web-01", environment="staging")
    alert(web, alert_rule=cpu, severity="critical", trigger_value=93.5, threshold_value=80)
    alert(web, status="acknowledged", acknowledged_at=now)
    resolved = {"status": "resolved", "resolved_at": now, "severity": "critical"}
    alert(web, first_triggered_at=now - timedelta(minutes=30), **resolved)
    alert(web, status="pending")
    body = sre.get(URL, {"ordering": "-severity", "status": "open"}).json()
    (shown,) = body["alerts"]
    assert set(shown) >= LISTED
    assert (shown["asset_name"], shown["environment"], shown["business_impact"]) == (
        "web-01", "staging", "Couples wait.",
    )  # fmt: skip
    assert (shown["trigger_value"], shown["threshold_value"]) == (93.5, 80)
    assert (shown["duration_minutes"], shown["escalation_level"]) == (5, 0)
    assert (shown["acknowledged_at"], shown["acknowledged_by"]) == (None, None)
    assert shown["first_triggered_at"].endswith("Z")
    assert sre.get(URL).json()["alert_summary"] == {
        "total_alerts": 3,
        "open_alerts": 1,
        "critical_alerts": 1,
        "acknowledged_alerts": 1,
        "avg_resolution_time_minutes": 30.0,
    }


def test_without_alerts_nothing_is_made_up(sre):
    body = sre.get(URL).json()
    assert body["alerts"] == []
    assert body["alert_summary"]["avg_resolution_time_minutes"] is None
    assert len(body["alert_trends"]) == 24


def test_the_trend_counts_openings_by_the_hour_over_all_that_match(sre, alert, asset, now):
    web = asset("web-01")
    three_hours_ago = now.replace(minute=0, second=0) - timedelta(hours=3)
    alert(web, first_triggered_at=three_hours_ago, severity="critical")
    alert(web, first_triggered_at=three_hours_ago + timedelta(minutes=59))
    alert(web, first_triggered_at=now - timedelta(days=2))
    trend = sre.get(URL, {"page_size": 1}).json()["alert_trends"]
    stamps = [one["timestamp"] for one in trend]
    assert stamps == sorted(stamps)
    assert [one for one in trend if one["alert_count"]] == [
        {"timestamp": f"{three_hours_ago:%Y-%m-%dT%H:%M:%SZ}", "alert_count": 2, "critical_count": 1}
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "resolved"}, ["old"]),
        ({"status": ["open", "resolved"]}, ["new", "old"]),
        ({"status": "pending"}, ["silent"]),
        ({"severity": "critical"}, ["new"]),
        ({"environment": "staging"}, ["old"]),
        ({"q": "NE"}, ["new"]),
        ({"ordering": "first_triggered_at"}, ["old", "new"]),
        ({"ordering": "-severity"}, ["new", "old"]),
        ({"ordering": "severity"}, ["old", "new"]),
        ({"page_size": 1, "page": 2}, ["old"]),
    ],
)
def test_alerts_are_filtered_and_ordered(sre, alert, asset, now, query, found):
    alert(asset("web-01"), alert_title="new", severity="critical")
    old = {"status": "resolved", "resolved_at": now, "severity": "low", "first_triggered_at": now - timedelta(hours=9)}
    alert(asset("web-02", environment="staging"), alert_title="old", **old)
    alert(asset("web-03"), alert_title="silent", status="pending")
    assert titles(sre.get(URL, query)) == found


def test_alerts_are_found_by_asset_rule_and_time(sre, rule, alert, asset, now):
    web, disk = asset("web-01"), rule("disk")
    alert(web, alert_title="cpu", first_triggered_at=now - timedelta(hours=2))
    alert(asset("web-02"), alert_title="disk", alert_rule=disk)
    assert titles(sre.get(URL, {"asset": web.pk})) == ["cpu"]
    assert titles(sre.get(URL, {"rule": disk.pk})) == ["disk"]
    an_hour_ago = (now - timedelta(hours=1)).isoformat()
    assert titles(sre.get(URL, {"from": an_hour_ago})) == ["disk"]
    assert titles(sre.get(URL, {"to": an_hour_ago})) == ["cpu"]


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"},
        {"status": "broken"},
        {"severity": "9" * 400},
        {"asset": "web-01"},
        {"rule": "\0"},
        {"from": "yesterday"},
        {"to": "9" * 400},
        {"ordering": "alert_rule__notification_channels"},
        {"page_size": "-1"},
        {"q": "a\0b"},
    ],
)
def test_a_query_parameter_that_is_not_understood_is_refused(sre, query):
    assert fields_of(sre.get(URL, query)) == set(query)


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+14:00", "0036-03-15T19:06:12Z", "9999-12-31T23:59:59-12:00", "2026-01-01T00:00:00+99:99",
        "2026-01-01T00:00:00+24:00", "2026-13-01T00:00:00Z",
    ],
)  # fmt: skip
def test_a_moment_at_the_ends_of_time_or_in_no_zone_is_refused(sre, alert, moment):
    alert()
    assert fields_of(sre.get(URL, {"from": moment})) == {"from"}


def test_an_alert_is_shown_with_its_events_and_who_was_told(sre, person, alert, asset, now):
    one = alert(asset("web-01"))
    event = AlertEvent.objects.create(alert=one, kind="opened", at=now, note="3 breaches", actor=person())
    channel = {"type": "email", "config": {"recipients": ["a@b.example"]}}
    NotificationDelivery.objects.create(
        event=event, channel_key="email:a@b.example", channel=channel, next_attempt_at=now, status="failed",
        last_error="no route", attempts=3,
    )  # fmt: skip
    body = sre.get(f"{URL}/{one.pk}").json()
    assert (body["alert_key"], body["events"][0]["kind"], body["events"][0]["note"]) == (
        one.alert_key, "opened", "3 breaches",
    )  # fmt: skip
    told = body["deliveries"][0]
    assert (told["event"], told["status"], told["attempts"], told["last_error"]) == ("opened", "failed", 3, "no route")


def test_an_alert_outlives_its_asset(sre, alert):
    one = alert(None)
    shown = sre.get(f"{URL}/{one.pk}").json()
    assert (shown["asset_name"], shown["asset_id"], shown["environment"]) == (None, None, None)


def test_an_alert_is_acknowledged_until_its_estimated_resolution(api, person, alert, asset):
    developer, one = person(Role.DEVELOPER), alert(asset("web-01"))
    said = {"acknowledgment_note": "On it.", "estimated_resolution_time": 30}
    answer = api(user=developer).post(f"{URL}/{one.pk}/acknowledge", said, format="json")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["acknowledged_by"]) == ("acknowledged", developer.username)
    one.refresh_from_db()
    assert one.acknowledged_until - one.acknowledged_at == timedelta(minutes=30)
    event = one.events.get()
    assert (event.kind, event.note, event.actor) == ("acknowledged", "On it.", developer)


def test_an_acknowledgement_needs_no_words(sre, alert):
    one = alert()
    answer = sre.post(f"{URL}/{one.pk}/acknowledge")
    assert (answer.status_code, answer.json()["acknowledged_until"]) == (200, None)


def test_an_alert_is_resolved_with_its_cause(api, person, alert, asset):
    engineer, one = person(Role.OPS_ENGINEER), alert(asset("web-01"), status="acknowledged")
    said = FIXED | {"root_cause": "A leak.", "remediation_applied": "A restart."}
    answer = api(user=engineer).post(f"{URL}/{one.pk}/resolve", said, format="json")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["resolution_type"], shown["resolution_notes"]) == (
        "resolved", "manual", "Restarted it.",
    )  # fmt: skip
    one.refresh_from_db()
    assert one.resolved_by == engineer
    assert one.resolved_at is not None
    assert (one.context_data["root_cause"], one.context_data["remediation_applied"]) == ("A leak.", "A restart.")
    assert one.events.get().kind == "resolved"


@pytest.mark.parametrize(
    ("deed", "body", "field"),
    [
        ("acknowledge", {"acknowledgment_note": 7}, "acknowledgment_note"),
        ("acknowledge", {"acknowledgment_note": "n" * 5001}, "acknowledgment_note"),
        ("acknowledge", {"estimated_resolution_time": "30"}, "estimated_resolution_time"),
        ("acknowledge", {"estimated_resolution_time": 0}, "estimated_resolution_time"),
        ("acknowledge", {"estimated_resolution_time": 2**62}, "estimated_resolution_time"),
        ("acknowledge", {"note": "On it."}, "note"),
        ("resolve", {}, "resolution_type"),
        ("resolve", {"resolution_type": "magic"}, "resolution_type"),
        ("resolve", {"resolution_type": ["manual"]}, "resolution_type"),
        ("resolve", {"resolution_notes": ""}, "resolution_notes"),
        ("resolve", {"root_cause": None}, "root_cause"),
    ],
)
def test_what_is_said_about_an_alert_must_fit(sre, alert, deed, body, field):
    one = alert()
    sent = body if deed == "acknowledge" or not body else FIXED | body
    assert field in fields_of(sre.post(f"{URL}/{one.pk}/{deed}", sent, format="json"))
    one.refresh_from_db()
    assert one.status == "open"


@pytest.mark.parametrize("raw", [b"{", b"[]", b"7", b'{"resolution_notes": "a\\u0000b"}', b"\xff"])
def test_a_body_that_is_no_object_is_a_400(sre, alert, raw):
    answer = sre.generic("POST", f"{URL}/{alert().pk}/resolve", raw, content_type="application/json")
    assert is_problem(answer, 400)


@pytest.mark.parametrize(
    ("status", "deed", "body"),
    [("resolved", "acknowledge", {}), ("suppressed", "acknowledge", {}), ("resolved", "resolve", FIXED)],
)
def test_what_an_alerts_state_does_not_allow_is_a_conflict(sre, alert, now, status, deed, body):
    one = alert(status=status, resolved_at=now if status == "resolved" else None)
    answer = sre.post(f"{URL}/{one.pk}/{deed}", body, format="json")
    assert is_problem(answer, 409)
    assert status in answer.json()["detail"]
    assert not one.events.exists()


def test_an_alert_that_is_not_there_or_was_not_told_is_a_404(sre, alert):
    pending = alert(status="pending")
    for pk in (uuid4(), pending.pk):
        assert is_problem(sre.post(f"{URL}/{pk}/acknowledge", {}, format="json"), 404)
        assert is_problem(sre.post(f"{URL}/{pk}/resolve", FIXED, format="json"), 404)
    assert is_problem(sre.get(f"{URL}/{uuid4()}"), 404)


def test_alerts_are_not_made_changed_or_removed_over_rest(sre, alert):
    one = f"{URL}/{alert().pk}"
    assert is_problem(sre.post(URL, {}, format="json"), 405)
    for method in ("put", "patch", "delete"):
        assert is_problem(getattr(sre, method)(one, {}, format="json"), 405)


def test_a_person_without_a_role_sees_only_alerts_on_assets_that_they_created(api, person, alert, asset):
    creator = person()
    own = alert(asset("own", created_by=creator), alert_title="own")
    other = alert(asset("other", created_by=person(Role.SRE)), alert_title="other")
    alert(None, alert_title="of no asset")
    client = api(user=creator)
    assert titles(client.get(URL)) == ["own"]
    assert client.get(URL).json()["alert_summary"]["total_alerts"] == 1
    assert sum(one["alert_count"] for one in client.get(URL).json()["alert_trends"]) == 1
    assert client.get(ANALYTICS).json()["alert_statistics"]["total_alerts_30d"] == 1
    assert client.get(f"{URL}/{own.pk}").status_code == 200
    assert is_problem(client.get(f"{URL}/{other.pk}"), 404)
    for one in (own, other):
        assert is_problem(client.post(f"{URL}/{one.pk}/acknowledge", {}, format="json"), 403)
        assert is_problem(client.post(f"{URL}/{one.pk}/resolve", FIXED, format="json"), 403)


def test_a_viewer_sees_every_alert_and_may_do_nothing(api, alert, asset):
    one, viewer = alert(asset("web-01")), api(Role.VIEWER)
    assert titles(viewer.get(URL)) == ["CPU is high"]
    assert is_problem(viewer.post(f"{URL}/{one.pk}/acknowledge", {}, format="json"), 403)
    assert is_problem(viewer.post(f"{URL}/{one.pk}/resolve", FIXED, format="json"), 403)


def test_nobody_gets_in_without_signing_in(client, alert):
    for url in (URL, f"{URL}/{alert().pk}", ANALYTICS):
        assert is_problem(client.get(url), 401)


def test_the_number_of_queries_does_not_grow_with_the_alerts(sre, rule, alert, asset, person, now):
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            one = alert(
                asset(f"web-{number}"), alert_rule=rule(f"rule {number}"), status="acknowledged",
                acknowledged_by=person(),
            )  # fmt: skip
            AlertEvent.objects.create(alert=busy or one, kind="data_missing", at=now, actor=person())

    busy = None
    busy = alert(asset("busy"))
    grow(0, 2)
    few = [queries_of(sre, url) for url in (URL, f"{URL}/{busy.pk}", ANALYTICS)]
    grow(2, 20)
    assert [queries_of(sre, url) for url in (URL, f"{URL}/{busy.pk}", ANALYTICS)] == few
    assert max(few) <= 9


def test_a_failed_message_is_sent_again_by_those_who_may_acknowledge(api, alert, asset, now):
    event = AlertEvent.objects.create(alert=alert(asset("web-01")), kind="opened", at=now)
    channel = {"type": "email", "config": {"recipients": ["a@b.example"]}}
    failed = NotificationDelivery.objects.create(
        event=event, channel_key="email", channel=channel, next_attempt_at=now, status="failed"
    )
    url = f"/api/monitoring/alerts/deliveries/{failed.pk}/resend"
    assert is_problem(api(Role.VIEWER).post(url), 403)
    answer = api(Role.DEVELOPER).post(url)
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert is_problem(api(Role.DEVELOPER).post(url), 409)


def test_a_failed_message_is_sent_again_from_the_configuration(signed_in, alert, asset, now):
    event = AlertEvent.objects.create(alert=alert(asset("web-01")), kind="opened", at=now)
    channel = {"type": "email", "config": {"recipients": ["a@b.example"]}}
    failed = NotificationDelivery.objects.create(
        event=event, channel_key="email", channel=channel, next_attempt_at=now, status="failed"
    )
    chosen = {"action": "resend", "_selected_action": [str(failed.pk)]}
    signed_in(Role.SRE).post("/admin/alerts/notificationdelivery/", chosen)
    failed.refresh_from_db()
    assert failed.status == "queued"
