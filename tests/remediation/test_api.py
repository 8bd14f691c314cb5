"""Remediation actions and what was executed, over REST."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from remediation.models import RemediationAction, RemediationExecution
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor import secrets
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
ACTIONS = "/api/monitoring/remediation/actions"
EXECUTIONS = "/api/monitoring/remediation/executions"
RESTART = {
    "action_name": "restart the web server",
    "action_type": "restart_service",
    "action_config": {"service_name": "nginx", "service_action": "restart"},
    "target_assets": [],
    "prerequisites": [{"type": "time_constraint", "condition": {"before": "22:00"}}],
    "success_criteria": [{"metric_name": "service_up", "operator": "eq", "expected_value": 1, "timeout_seconds": 60}],
    "execution_timeout": 120,
    "cooldown_period": 600,
    "max_executions_per_hour": 3,
    "approval_required": True,
    "risk_level": "low",
    "business_impact": "A second without pages.",
    "runbook_reference": "wiki/nginx",
}
LISTED = {
    "id", "action_name", "action_type", "target_assets", "risk_level", "approval_required", "execution_count_24h",
    "success_rate", "avg_execution_time_seconds", "last_executed", "is_enabled", "created_at",
}  # fmt: skip
EXECUTED = {
    "id", "action_name", "execution_trigger", "asset_name", "started_at", "completed_at", "status",
    "duration_seconds", "success_verification", "business_impact", "triggered_by",
}  # fmt: skip


@pytest.fixture
def sre(api):
    return api(Role.SRE)


@pytest.fixture
def action(database):
    def make(name: str = "restart", **columns) -> RemediationAction:
        config = {"action_type": "restart_service", "action_config": {"service_name": "nginx"}}
        return RemediationAction.objects.create(action_name=name, **(config | columns))

    return make


@pytest.fixture
def execution(now):
    def make(
        of: RemediationAction, status: str = "completed", hours_ago: float = 1, seconds: float | None = 10, **more
    ):
        start = now - timedelta(hours=hours_ago)
        end = None if seconds is None else start + timedelta(seconds=seconds)
        columns = {"execution_trigger": "manual", "started_at": start, "completed_at": end, "status": status}
        return RemediationExecution.objects.create(action=of, **(columns | more))

    return make


def test_the_specifications_action_is_declared(api, person, asset, action):
    admin, web, undo = person(Role.SYSTEM_ADMIN), asset("web-01"), action("undo")
    body = RESTART | {"target_assets": [str(web.pk)], "rollback_action_id": str(undo.pk)}
    answer = api(user=admin).post(ACTIONS, body, format="json")
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    assert {name: shown[name] for name in body} == body
    assert set(shown) >= LISTED
    assert (shown["execution_count_24h"], shown["success_rate"], shown["last_executed"]) == (0, None, None)
    assert RemediationAction.objects.get(pk=shown["id"]).created_by == admin


def test_the_secrets_of_an_action_are_masked_and_kept(sre):
    config = {"api_endpoint": "https://api.example/scale", "headers": {"Authorization": "t0ken"}}
    call = RESTART | {"action_type": "api_call", "action_config": config}
    created = sre.post(ACTIONS, call, format="json")
    assert created.status_code == 201, created.content
    shown = created.json()["action_config"]
    assert shown["headers"] == {"Authorization": "********"}
    one = f"{ACTIONS}/{created.json()['id']}"
    assert sre.put(one, {"action_config": shown | {"http_method": "PUT"}}, format="json").status_code == 200
    assert secrets.reveal(RemediationAction.objects.get().action_config) == config | {"http_method": "PUT"}


@pytest.mark.parametrize(
    "change",
    [
        {"api_endpoint": "https://elsewhere.example/"},
        {"script_path": "/tmp/other"},
        {"script_args": ["--send-to", "elsewhere.example"]},
    ],
)
def test_secrets_do_not_follow_to_another_destination(sre, action, change):
    config = {"api_endpoint": "https://api.example/scale", "headers": {"Authorization": "t0ken"}}
    row = action(action_type="api_call", action_config=config)
    masked = config | {"headers": {"Authorization": "********"}}
    refused = sre.patch(f"{ACTIONS}/{row.pk}", {"action_config": masked | change}, format="json")
    assert fields_of(refused) == {"action_config"}
    assert secrets.reveal(RemediationAction.objects.get().action_config) == config
    entered = config | change | {"headers": {"Authorization": "an0ther"}}
    assert sre.patch(f"{ACTIONS}/{row.pk}", {"action_config": entered}, format="json").status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"action_name": ""}, "action_name"),
        ({"action_name": ["restart"]}, "action_name"),
        ({"action_type": "prayer"}, "action_type"),
        ({"action_type": "script"}, "action_config"),
        ({"action_type": "api_call"}, "action_config"),
        ({"action_config": []}, "action_config"),
        ({"action_config": {"service_name": 7}}, "action_config.service_name"),
        ({"action_config": {"service_name": "nginx", "target_capacity": -1}}, "action_config.target_capacity"),
        ({"action_config": {"service_name": "nginx", "sudo": True}}, "action_config"),
        ({"target_assets": ["web-01"]}, "target_assets"),
        ({"target_assets": [str(uuid4())]}, "target_assets"),
        ({"prerequisites": [{"type": "omen", "condition": {}}]}, "prerequisites[0].type"),
        ({"success_criteria": [RESTART["success_criteria"][0] | {"timeout_seconds": 0}]},
         "success_criteria[0].timeout_seconds"),
        ({"success_criteria": {}}, "success_criteria"),
        ({"rollback_action_id": str(uuid4())}, "rollback_action_id"),
        ({"execution_timeout": 0}, "execution_timeout"),
        ({"cooldown_period": -1}, "cooldown_period"),
        ({"max_executions_per_hour": 2**40}, "max_executions_per_hour"),
        ({"max_executions_per_hour": True}, "max_executions_per_hour"),
        ({"approval_required": "no"}, "approval_required"),
        ({"risk_level": "fun"}, "risk_level"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_a_field_that_does_not_fit_is_refused_by_its_path(sre, change, field):
    assert fields_of(sre.post(ACTIONS, RESTART | change, format="json")) == {field}
    assert not RemediationAction.objects.exists()


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"action_name": "a\\u0000b"}', b'{"cooldown_period": 1e999}', b"\xff"])
def test_a_body_that_cannot_be_stored_is_a_400(sre, raw):
    assert is_problem(sre.generic("POST", ACTIONS, raw, content_type="application/json"), 400)


@pytest.mark.parametrize("method", ["put", "patch"])
def test_an_action_is_changed_in_part_and_removed(sre, action, method):
    restart = action(risk_level="high")
    one = f"{ACTIONS}/{restart.pk}"
    assert getattr(sre, method)(one, {"is_enabled": False}, format="json").status_code == 200
    restart.refresh_from_db()
    assert (restart.is_enabled, restart.risk_level) == (False, "high")
    assert sre.delete(one).status_code == 204
    assert is_problem(sre.get(one), 404)


def test_the_list_says_what_executions_say(sre, action, execution, now):
    restart = action("restart", risk_level="high")
    action("never run", is_enabled=False)
    execution(restart, "completed", 2, 10)
    execution(restart, "failed", 30, 30)
    execution(restart, "running", 1, None)
    body = sre.get(ACTIONS).json()
    never, ran = body["actions"]
    assert set(ran) >= LISTED
    assert (ran["execution_count_24h"], ran["success_rate"], ran["avg_execution_time_seconds"]) == (2, 50.0, 20.0)
    assert ran["last_executed"] == f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%S.%fZ}"
    assert (never["execution_count_24h"], never["success_rate"], never["last_executed"]) == (0, None, None)
    assert body["action_statistics"] == {
        "total_actions": 2,
        "enabled_actions": 1,
        "executions_24h": 2,
        "success_rate_24h": 100.0,
        "actions_by_risk_level": {"low": 0, "medium": 1, "high": 1},
    }


def test_executions_have_the_specifications_envelope(sre, person, rule_alert, action, execution, now):
    ada, restart = person(), action()
    execution(restart, "failed", 24 * 9, 50)
    execution(restart, "completed", 2, 10, triggered_by=ada, alert_instance=rule_alert,
              success_verification={"verified": True, "service_up": 1}, business_impact={"pages": 3})  # fmt: skip
    execution(restart, "running", 1, None, execution_trigger="alert")
    body = sre.get(EXECUTIONS).json()
    running, done, _ = body["executions"]
    assert set(done) >= EXECUTED
    assert (done["asset_name"], done["triggered_by"], done["duration_seconds"]) == ("web-01", ada.username, 10.0)
    assert (done["success_verification"], done["verification"]["service_up"]) == (True, 1)
    assert done["business_impact"] == {"pages": 3}
    assert (running["completed_at"], running["duration_seconds"], running["success_verification"]) == (None,) * 3
    assert body["execution_summary"] == {
        "total_executions": 3,
        "successful_executions": 1,
        "failed_executions": 1,
        "avg_execution_time_seconds": 30.0,
        "success_rate_7d": 100.0,
    }
    trend = body["execution_trends"]
    assert [one["date"] for one in trend] == [f"{now - timedelta(days=back):%Y-%m-%d}" for back in range(6, -1, -1)]
    assert sum(one["total_executions"] for one in trend) == 2
    assert sum(one["successful_executions"] for one in trend) == 1


@pytest.fixture
def rule_alert(asset, now):
    """An alert on web-01."""
    from alerts.models import AlertInstance, AlertRule

    condition = {"metric_name": "cpu", "operator": "gt", "threshold": 1}
    rule = AlertRule.objects.create(rule_name="cpu", metric_conditions=[condition])
    return AlertInstance.objects.create(
        alert_rule=rule, asset=asset("web-01"), alert_key="k", alert_title="t", alert_description="d",
        severity="low", first_triggered_at=now, last_triggered_at=now,
    )  # fmt: skip


def test_without_executions_nothing_is_made_up(sre):
    body = sre.get(EXECUTIONS).json()
    assert body["executions"] == []
    assert set(body["execution_summary"].values()) == {0, None}
    assert len(body["execution_trends"]) == 7


def test_executions_are_filtered_and_ordered(sre, action, execution, rule_alert, now):
    restart, scale = action("restart"), action("scale")
    execution(restart, "failed", 5, alert_instance=rule_alert, execution_trigger="alert")
    execution(scale, "completed", 1)

    def found(**query) -> list[str]:
        return [one["action_name"] for one in sre.get(EXECUTIONS, query).json()["executions"]]

    assert found(action=restart.pk) == found(alert=rule_alert.pk) == found(execution_trigger="alert") == ["restart"]
    assert found(status="completed") == ["scale"]
    assert found(status=["completed", "failed"]) == ["scale", "restart"]
    assert found(ordering="started_at") == ["restart", "scale"]
    assert found(**{"from": (now - timedelta(hours=2)).isoformat()}) == ["scale"]
    assert found(to=(now - timedelta(hours=2)).isoformat()) == ["restart"]


@pytest.mark.parametrize(
    ("url", "query"),
    [
        (ACTIONS, {"colour": "red"}),
        (ACTIONS, {"risk_level": "fun"}),
        (ACTIONS, {"approval_required": "maybe"}),
        (ACTIONS, {"q": "\0"}),
        (EXECUTIONS, {"colour": "red"}),
        (EXECUTIONS, {"status": "lost"}),
        (EXECUTIONS, {"action": "restart"}),
        (EXECUTIONS, {"from": "9" * 99}),
    ],
)
def test_a_query_parameter_that_is_not_understood_is_refused(sre, url, query):
    assert fields_of(sre.get(url, query)) == set(query)


def test_executions_are_not_written_over_rest(sre, action, execution):
    one = f"{EXECUTIONS}/{execution(action()).pk}"
    assert sre.get(one).status_code == 200
    assert is_problem(sre.post(EXECUTIONS, {}, format="json"), 405)
    for method in ("put", "patch", "delete"):
        assert is_problem(getattr(sre, method)(one, {}, format="json"), 405)


@pytest.mark.parametrize("role", [Role.OPS_ENGINEER, Role.DEVELOPER])
def test_readers_read_and_do_not_write(api, action, execution, role):
    restart, reader = action(), api(role)
    one = f"{ACTIONS}/{restart.pk}"
    for url in (ACTIONS, one, EXECUTIONS, f"{EXECUTIONS}/{execution(restart).pk}"):
        assert reader.get(url).status_code == 200
    assert is_problem(reader.post(ACTIONS, RESTART, format="json"), 403)
    for method in ("put", "patch", "delete"):
        assert is_problem(getattr(reader, method)(one, {}, format="json"), 403)


def test_viewers_and_strangers_do_not_get_in(api, client):
    for url in (ACTIONS, EXECUTIONS):
        assert is_problem(api(Role.VIEWER).get(url), 403)
        assert is_problem(api().get(url), 403)
        assert is_problem(client.get(url), 401)


def test_the_number_of_queries_does_not_grow_with_the_rows(sre, person, action, execution):
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            execution(action(f"action {number}"), triggered_by=person())

    grow(0, 2)
    few = [queries_of(sre, url) for url in (ACTIONS, EXECUTIONS)]
    grow(2, 20)
    assert [queries_of(sre, url) for url in (ACTIONS, EXECUTIONS)] == few
    assert max(few) <= 8
