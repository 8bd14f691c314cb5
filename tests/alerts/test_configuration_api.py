"""Escalation policies, maintenance windows and baselines over REST."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError

from alerts.models import EscalationPolicy, MaintenanceWindow, PerformanceBaseline
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
POLICIES = "/api/monitoring/alerts/escalation-policies"
WINDOWS = "/api/monitoring/maintenance-windows"
BASELINES = "/api/monitoring/alerts/baselines"
LISTED_AS = {POLICIES: "escalation_policies", WINDOWS: "maintenance_windows", BASELINES: "baselines"}
NIGHT = {
    "policy_name": "night shift",
    "policy_description": "Who is told at night.",
    "escalation_steps": [
        {
            "delay_minutes": 5,
            "notification_channels": [{"type": "slack", "config": {"webhook_url": "https://a.b/s3c"}}],
        },
        {"delay_minutes": 15, "users": ["ada"]},
    ],
    "business_hours": {"timezone": "Europe/Berlin", "days": ["mon"], "start": "09:00", "end": "17:00"},
    "holiday_schedule": {"timezone": "UTC", "dates": ["2026-12-25"]},
    "repeat_escalation": True,
    "repeat_interval": 30,
    "max_escalations": 3,
}
UPGRADE = {
    "window_name": "database upgrade",
    "start_time": "2026-12-01T22:00:00Z",
    "end_time": "2026-12-01T23:00:00Z",
    "recurrence_config": {"rrule": "FREQ=WEEKLY;BYDAY=TU", "timezone": "Europe/London"},
    "maintenance_type": "planned",
    "impact_level": "high",
}


@pytest.fixture(autouse=True)
def ada(person):
    """Whom the policy names."""
    return person(username="ada")


@pytest.fixture
def operator(api):
    return api(Role.OPS_ENGINEER)


@pytest.fixture
def body_for(asset):
    """A body that each of the three resources takes."""

    def body(url: str) -> dict:
        if url == BASELINES:
            web = asset(f"web-{uuid4()}")
            return {"asset_id": str(web.pk), "metric_name": "cpu_usage_percent", "time_period": "daily"}
        return NIGHT if url == POLICIES else UPGRADE

    return body


def test_an_escalation_policy_is_created_and_its_secrets_are_masked(api, person):
    engineer = person(Role.OPS_ENGINEER)
    answer = api(user=engineer).post(POLICIES, NIGHT, format="json")
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    config = shown["escalation_steps"][0]["notification_channels"][0]["config"]
    assert config == {"webhook_url": "********"}
    assert {name: shown[name] for name in NIGHT if name != "escalation_steps"} == {
        name: value for name, value in NIGHT.items() if name != "escalation_steps"
    }
    assert EscalationPolicy.objects.get().created_by == engineer
    assert AuditEntry.objects.get(table_name="escalation_policies").actor == engineer


def test_a_maintenance_window_is_planned_for_assets(operator, asset):
    web = asset("web-01")
    answer = operator.post(WINDOWS, UPGRADE | {"affected_assets": [str(web.pk)]}, format="json")
    assert answer.status_code == 201, answer.content
    window = MaintenanceWindow.objects.get()
    assert (window.affected_assets, window.status, window.alert_suppression) == ([str(web.pk)], "scheduled", True)
    assert answer.json()["start_time"] == "2026-12-01T22:00:00.000000Z"


def test_a_baseline_is_due_for_calculation_at_once(operator, body_for, now):
    answer = operator.post(BASELINES, body_for(BASELINES) | {"confidence_interval": 0.99}, format="json")
    assert answer.status_code == 201, answer.content
    stored = PerformanceBaseline.objects.get()
    assert stored.next_calculation - now < timedelta(minutes=1)
    assert (answer.json()["asset_name"], answer.json()["confidence_interval"]) == (stored.asset.asset_name, 0.99)


@pytest.mark.parametrize(
    ("url", "change", "field"),
    [
        (POLICIES, {"policy_name": None}, "policy_name"),
        (POLICIES, {"escalation_steps": []}, "escalation_steps"),
        (POLICIES, {"escalation_steps": [{"delay_minutes": -1}]}, "escalation_steps[0].delay_minutes"),
        (POLICIES, {"escalation_steps": [{"delay_minutes": "5"}]}, "escalation_steps[0].delay_minutes"),
        (POLICIES, {"business_hours": {"start": "25:00"}}, "business_hours.start"),
        (POLICIES, {"holiday_schedule": {"dates": ["Christmas"]}}, "holiday_schedule.dates[0]"),
        (POLICIES, {"repeat_interval": 0}, "repeat_interval"),
        (POLICIES, {"repeat_interval": None}, "repeat_interval"),
        (POLICIES, {"escalation_steps": [{"delay_minutes": 5, "users": ["nobody"]}]}, "escalation_steps"),
        (POLICIES, {"escalation_steps": [{"delay_minutes": 5, "schedules": ["none"]}]}, "escalation_steps"),
        (POLICIES, {"business_hours": {"timezone": "Mars/Olympus"}}, "business_hours"),
        (POLICIES, {"holiday_schedule": {"dates": ["2026-02-30"]}}, "holiday_schedule"),
        (POLICIES, {"max_escalations": 2**50}, "max_escalations"),
        (POLICIES, {"is_active": 1}, "is_active"),
        (WINDOWS, {"window_name": ""}, "window_name"),
        (WINDOWS, {"start_time": "tomorrow"}, "start_time"),
        (WINDOWS, {"start_time": 7}, "start_time"),
        (WINDOWS, {"start_time": "0001-01-01T00:00:00+14:00"}, "start_time"),
        (WINDOWS, {"end_time": "9999-12-31T23:59:59-12:00"}, "end_time"),
        (WINDOWS, {"start_time": "0036-03-15T19:06:12Z"}, "start_time"),
        (WINDOWS, {"end_time": None}, "end_time"),
        (WINDOWS, {"affected_assets": ["web-01"]}, "affected_assets"),
        (WINDOWS, {"affected_assets": [str(uuid4())]}, "affected_assets"),
        (WINDOWS, {"affected_assets": "web-01"}, "affected_assets"),
        (WINDOWS, {"recurrence_config": {"timezone": "UTC"}}, "recurrence_config"),
        (WINDOWS, {"impact_level": "apocalyptic"}, "impact_level"),
        (WINDOWS, {"notification_config": {"notify_before_minutes": 10**9}},
         "notification_config.notify_before_minutes"),
        (BASELINES, {"asset_id": str(uuid4())}, "asset_id"),
        (BASELINES, {"asset_id": 2**62}, "asset_id"),
        (BASELINES, {"metric_name": ["cpu"]}, "metric_name"),
        (BASELINES, {"metric_name": "n" * 201}, "metric_name"),
        (BASELINES, {"time_period": "yearly"}, "time_period"),
        (BASELINES, {"confidence_interval": 1.5}, "confidence_interval"),
        (BASELINES, {"confidence_interval": "NaN"}, "confidence_interval"),
        (BASELINES, {"confidence_interval": True}, "confidence_interval"),
        (BASELINES, {"calculation_frequency": 59}, "calculation_frequency"),
        (BASELINES, {"baseline_config": [1]}, "baseline_config"),
        (POLICIES, {"colour": "red"}, "colour"),
        (WINDOWS, {"colour": "red"}, "colour"),
        (BASELINES, {"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_a_field_that_does_not_fit_is_refused_by_its_path(operator, body_for, url, change, field):
    assert fields_of(operator.post(url, body_for(url) | change, format="json")) == {field}
    assert operator.get(url).json()[LISTED_AS[url]] == []


def test_a_window_ends_after_it_starts_and_says_so(operator):
    answer = operator.post(WINDOWS, UPGRADE | {"end_time": UPGRADE["start_time"]}, format="json")
    assert is_problem(answer, 400)
    assert "The end must be after the start." in answer.json()["detail"]


def test_a_second_baseline_of_the_same_period_is_refused(operator, body_for):
    body = body_for(BASELINES)
    assert operator.post(BASELINES, body, format="json").status_code == 201
    assert is_problem(operator.post(BASELINES, body, format="json"), 400)
    assert PerformanceBaseline.objects.count() == 1


@pytest.mark.parametrize("url", LISTED_AS)
@pytest.mark.parametrize("raw", [b"{", b"[]", b'"text"', b'{"window_name": "a\\u0000b"}', b"\xff", b"[" * 100_000])
def test_a_body_that_cannot_be_stored_is_a_400(operator, url, raw):
    assert is_problem(operator.generic("POST", url, raw, content_type="application/json"), 400)


@pytest.mark.parametrize(
    ("url", "change"),
    [
        (POLICIES, {"is_active": False}),
        (WINDOWS, {"status": "cancelled"}),
        (BASELINES, {"is_active": False}),
    ],
)
@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_row_is_read_changed_in_part_and_removed(operator, body_for, url, change, method):
    body = body_for(url)
    created = operator.post(url, body, format="json").json()
    one = f"{url}/{created['id']}"
    changed = getattr(operator, method)(one, change, format="json")
    assert changed.status_code == 200, changed.content
    read = operator.get(one).json()
    assert read == changed.json()
    assert {name: value for name, value in read.items() if name not in {*change, "updated_at"}} == {
        name: value for name, value in created.items() if name not in {*change, "updated_at"}
    }
    assert read[next(iter(change))] == next(iter(change.values()))
    assert operator.delete(one).status_code == 204
    assert is_problem(operator.get(one), 404)


def test_a_rule_outlives_its_escalation_policy(operator, rule):
    policy = EscalationPolicy.objects.create(policy_name="night", escalation_steps=[{"delay_minutes": 1}])
    cpu = rule(escalation_policy=policy)
    assert operator.delete(f"{POLICIES}/{policy.pk}").status_code == 204
    cpu.refresh_from_db()
    assert cpu.escalation_policy is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["later", "now"]),
        ({"status": "active"}, ["now"]),
        ({"impact_level": "high"}, ["later"]),
        ({"maintenance_type": "emergency"}, ["now"]),
        ({"q": "LAT"}, ["later"]),
        ({"from": "2026-12-01T13:00:00Z"}, ["later"]),
        ({"from": "2026-12-01T11:30:00Z", "to": "2026-12-01T12:30:00Z"}, ["now"]),
        ({"to": "2026-12-01T10:00:00Z"}, []),
    ],
)
def test_windows_are_filtered_by_what_they_overlap(operator, query, found):
    plans = {
        "now": {"start_time": "2026-12-01T11:00:00Z", "end_time": "2026-12-01T12:00:00Z", "status": "active",
                "maintenance_type": "emergency", "impact_level": "low"},
        "later": {"start_time": "2026-12-08T11:00:00Z", "end_time": "2026-12-08T12:00:00Z"},
    }  # fmt: skip
    for name, plan in plans.items():
        assert operator.post(WINDOWS, UPGRADE | plan | {"window_name": name}, format="json").status_code == 201
    assert [one["window_name"] for one in operator.get(WINDOWS, query).json()["maintenance_windows"]] == found


def test_baselines_and_policies_are_filtered(operator, body_for):
    for url in (BASELINES, BASELINES, POLICIES):
        assert operator.post(url, body_for(url), format="json").status_code == 201
    first = PerformanceBaseline.objects.first()
    shown = operator.get(BASELINES, {"asset": first.asset_id, "time_period": "daily", "is_active": "true"}).json()
    assert [one["id"] for one in shown["baselines"]] == [str(first.pk)]
    assert operator.get(BASELINES, {"metric_name": "memory"}).json()["baselines"] == []
    assert operator.get(POLICIES, {"q": "NIGHT", "is_active": "true"}).json()["escalation_policies"]
    assert operator.get(POLICIES, {"is_active": "false"}).json()["escalation_policies"] == []


@pytest.mark.parametrize(
    ("url", "query"),
    [
        (POLICIES, {"colour": "red"}),
        (POLICIES, {"is_active": "1"}),
        (POLICIES, {"q": "\0"}),
        (WINDOWS, {"from": "yesterday"}),
        (WINDOWS, {"status": "9" * 300}),
        (BASELINES, {"asset": "web-01"}),
        (BASELINES, {"time_period": "yearly"}),
        (BASELINES, {"page_size": "1e3"}),
    ],
)
def test_a_query_parameter_that_is_not_understood_is_refused(operator, url, query):
    assert fields_of(operator.get(url, query)) == set(query)


@pytest.mark.parametrize("url", LISTED_AS)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
def test_readers_read_and_do_not_write(api, operator, body_for, url, role):
    one = f"{url}/{operator.post(url, body_for(url), format='json').json()['id']}"
    reader = api(role)
    assert [reader.get(each).status_code for each in (url, one)] == [200, 200]
    assert is_problem(reader.post(url, {}, format="json"), 403)
    for method in ("put", "patch", "delete"):
        assert is_problem(getattr(reader, method)(one, {}, format="json"), 403)


@pytest.mark.parametrize("url", LISTED_AS)
def test_nobody_without_a_role_or_a_sign_in_gets_in(api, client, url):
    assert is_problem(api().get(url), 403)
    assert is_problem(client.get(url), 401)


@pytest.mark.parametrize("url", LISTED_AS)
def test_the_number_of_queries_does_not_grow_with_the_rows(operator, body_for, url):
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            name = {"policy_name": f"policy {number}"} if url == POLICIES else {}
            assert operator.post(url, body_for(url) | name, format="json").status_code == 201

    grow(0, 2)
    few = queries_of(operator, url)
    grow(2, 12)
    assert queries_of(operator, url) == few <= 5


@pytest.mark.parametrize("written", ["nonsense", "9d0c0d0a-0000-4000-8000-000000000009", "in capitals"])
def test_the_configuration_refuses_a_window_over_assets_that_are_none(asset, now, written):
    ids = [str(asset().pk).upper() if written == "in capitals" else written]
    window = MaintenanceWindow(window_name="work", start_time=now, end_time=now + timedelta(hours=1))
    window.affected_assets = ids
    with pytest.raises(ValidationError) as refused:
        window.full_clean()
    assert set(refused.value.message_dict) == {"affected_assets"}
