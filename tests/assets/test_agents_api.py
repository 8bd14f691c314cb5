"""Agents over REST: as people manage them, and what an agent's key opens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from assets import agents, enrolment
from assets.authentication import OVERLAP, find_agent_key, issue_key
from assets.models import AgentKey, Discovery, InfrastructureAsset, MonitoringAgent
from wedsync_monitor import tokens
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/api/monitoring/agents"
BEAT = {
    "agent_version": "1.2",
    "health_status": "healthy",
    "metrics_collected": 10,
    "bytes_transmitted": 100,
    "spool_depth": 0,
    "dropped_samples": 0,
    "last_error": None,
}


@pytest.fixture
def agent(asset):
    return MonitoringAgent.objects.create(agent_name="on web-01", asset=asset("web-01"))


@pytest.fixture
def sre(api):
    return api(Role.SRE)


def bearer(secret: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def own(agent, now):
    return bearer(issue_key(agent, now)[1])


def field_of(answer) -> str:
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json"), answer.content
    return answer.json()["errors"][0]["field"]


def test_an_agent_is_made_listed_changed_and_removed(sre, asset):
    web = asset("web-01")
    made = sre.post(URL, {"agent_name": "a", "asset_id": str(web.pk)}, format="json")
    assert made.status_code == 201
    one = f"{URL}/{made.json()['id']}"
    assert [row["agent_name"] for row in sre.get(URL, {"asset": str(web.pk)}).json()["agents"]] == ["a"]
    changed = sre.patch(one, {"collection_interval": 15, "agent_config": {"discovery": False}}, format="json")
    assert (changed.status_code, changed.json()["collection_interval"]) == (200, 15)
    assert sre.delete(one).status_code == 204
    assert sre.get(one).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"agent_type": "spy"}, "agent_type"),
        ({"asset_id": "x"}, "asset_id"),
        ({"asset_id": str(uuid4())}, "asset_id"),
        ({"collection_interval": 0}, "collection_interval"),
        ({"collection_interval": "60"}, "collection_interval"),
        ({"collection_interval": 2**40}, "collection_interval"),
        ({"agent_config": {"collectors": ["camera"]}}, "agent_config"),
        ({"agent_config": {"speed": 1}}, "agent_config"),
        ({"digest": "x"}, "digest"),
    ],
)
def test_a_field_that_does_not_fit_is_refused_by_name(sre, asset, change, field):
    body = {"agent_name": "a", "asset_id": str(asset("web-01").pk)} | change
    answer = sre.post(URL, body, format="json")
    assert field_of(answer).partition(".")[0] == field


def test_a_secret_of_the_configuration_is_masked_for_people_and_open_for_the_agent(sre, agent, own):
    config = {"exporters": [{"url": "http://127.0.0.1:9100/metrics", "authorization": "Bearer s3cret"}]}
    answer = sre.patch(f"{URL}/{agent.pk}", {"agent_config": config}, format="json")
    assert b"s3cret" not in answer.content
    assert own.get(f"{URL}/configuration").json()["agent_config"] == config
    assert "s3cret" not in str(list(AuditEntry.objects.values_list("changes", flat=True)))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
def test_readers_see_agents_and_cannot_make_keys_or_tokens(api, agent, role):
    reader = api(role)
    assert reader.get(f"{URL}/{agent.pk}").status_code == 200
    body = {"agent_name": "b", "asset_id": str(agent.asset_id)}
    assert reader.post(URL, body, format="json").status_code == 403
    assert reader.post(f"{URL}/enrolment-tokens", body, format="json").status_code == 403
    assert reader.post(f"{URL}/{agent.pk}/keys").status_code == 403
    assert reader.delete(f"{URL}/{agent.pk}/keys/{uuid4()}").status_code == 403
    assert reader.delete(f"{URL}/{agent.pk}").status_code == 403


def test_an_enrolment_token_lets_one_agent_in_once(sre, asset):
    web = asset("web-01")
    body = {"agent_name": "new", "asset_id": str(web.pk)}
    made = sre.post(f"{URL}/enrolment-tokens", body, format="json")
    assert made.status_code == 201
    said = {"token": made.json()["token"], "agent_version": "1.0"}
    let_in = APIClient().post(f"{URL}/enrol", said, format="json")
    assert let_in.status_code == 201
    assert set(let_in.json()) == {"agent_id", "agent_name", "asset_id", "asset_name", "key", "key_expires_at"}
    assert let_in.json()["asset_name"] == "web-01"
    assert bearer(let_in.json()["key"]).get(f"{URL}/configuration").status_code == 200
    assert field_of(APIClient().post(f"{URL}/enrol", said, format="json")) == "token"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"agent_name": ""}, "agent_name"),
        ({"agent_name": 3}, "agent_name"),
        ({"asset_id": str(uuid4())}, "asset_id"),
        ({"valid_minutes": 0}, "valid_minutes"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_enrolment_token_needs_a_name_and_an_asset(sre, asset, change, field):
    body = {"agent_name": "new", "asset_id": str(asset("web-01").pk)} | change
    assert field_of(sre.post(f"{URL}/enrolment-tokens", body, format="json")) == field


def test_a_token_cannot_take_over_another_assets_agent(sre, agent, asset):
    body = {"agent_name": agent.agent_name, "asset_id": str(asset("db-01").pk)}
    assert sre.post(f"{URL}/enrolment-tokens", body, format="json").status_code == 409


def test_a_token_that_has_expired_lets_nobody_in(asset, now):
    _, secret = enrolment.issue_token("new", asset("web-01"), None, now - timedelta(hours=2))
    with pytest.raises(enrolment.Spent):
        enrolment.enrol(secret, "1.0", now)


def test_of_two_enrolments_that_race_one_wins(committed, asset, now):
    _, secret = enrolment.issue_token("new", asset("web-01"), None, now)
    start = Barrier(2)

    def race(_: int) -> bool:
        start.wait(10)
        try:
            enrolment.enrol(secret, "1.0", now)
        except enrolment.Spent:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(race, range(2))) == [False, True]
    assert AgentKey.objects.count() == 1


def test_an_agents_key_opens_its_own_endpoints_and_nothing_else(own, agent):
    assert own.get(f"{URL}/configuration").status_code == 200
    assert own.post(f"{URL}/heartbeat", BEAT, format="json").status_code == 200
    for url in ("/api/monitoring/assets", f"/api/monitoring/assets/{agent.asset_id}", URL, f"{URL}/{agent.pk}"):
        assert own.get(url).status_code == 401
    assert own.post(f"{URL}/{agent.pk}/keys").status_code == 401
    assert own.post("/api/monitoring/assets", {}, format="json").status_code == 401


def test_people_do_not_pass_for_agents(sre, person, now):
    assert sre.get(f"{URL}/configuration").status_code == 401
    token = tokens.issue(person(Role.SYSTEM_ADMIN), "test", now)
    assert bearer(token).post(f"{URL}/heartbeat", BEAT, format="json").status_code == 401


def test_an_agents_key_cannot_write_anothers_metrics(committed, agent, asset, now):
    other, client = asset("db-01"), bearer(issue_key(agent, now)[1])
    sample = {"asset_id": str(other.pk), "metric_name": "m", "metric_value": 1}
    assert client.post("/api/monitoring/metrics", sample, format="json").status_code in (400, 403)
    sample["asset_id"] = str(agent.asset_id)
    assert client.post("/api/monitoring/metrics", sample, format="json").json()["accepted"] == 1


def test_a_heartbeat_is_kept_and_totals_survive_a_restart_of_the_agent(own, agent):
    first = own.post(f"{URL}/heartbeat", BEAT, format="json")
    assert set(first.json()) == {"server_time", "config_version", "key_rotation_due"}
    assert first.json()["server_time"].endswith("Z")
    own.post(f"{URL}/heartbeat", BEAT | {"metrics_collected": 30}, format="json")
    own.post(f"{URL}/heartbeat", BEAT | {"metrics_collected": 5, "last_error": "spool full"}, format="json")
    agent.refresh_from_db()
    assert (agent.metrics_collected, agent.health_status, agent.agent_version) == (35, "healthy", "1.2")
    assert agent.last_report["last_error"] == "spool full"
    assert not AuditEntry.objects.filter(table_name="monitoring_agents", action="change").exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"health_status": "fine"}, "health_status"),
        ({"metrics_collected": -1}, "metrics_collected"),
        ({"metrics_collected": "many"}, "metrics_collected"),
        ({"agent_version": 2}, "agent_version"),
        ({"colour": "red"}, ""),
    ],
)
def test_a_heartbeat_that_does_not_fit_is_refused(own, change, field):
    assert field_of(own.post(f"{URL}/heartbeat", BEAT | change, format="json")) == field


def test_an_agent_is_told_the_interval_that_its_asset_asks_for(own, agent):
    first = own.get(f"{URL}/configuration").json()
    assert first["collection_interval"] == agent.collection_interval
    agent.asset.monitoring_config = {"collection_interval": 7}
    agent.asset.save()
    told = own.get(f"{URL}/configuration").json()
    assert told["collection_interval"] == 7
    assert told["config_version"] != first["config_version"]


def test_the_configuration_is_sent_again_only_when_it_changed(own, sre, agent):
    first = own.get(f"{URL}/configuration")
    assert first["ETag"] == f'"{first.json()["config_version"]}"'
    assert own.get(f"{URL}/configuration", HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304
    sre.patch(f"{URL}/{agent.pk}", {"collection_interval": 5}, format="json")
    changed = own.get(f"{URL}/configuration", HTTP_IF_NONE_MATCH=first["ETag"])
    assert (changed.status_code, changed.json()["collection_interval"]) == (200, 5)


def test_a_new_key_leaves_the_old_one_an_hour_from_its_first_use(own, agent):
    old = AgentKey.objects.get()
    fresh = own.post(f"{URL}/keys/rotate")
    assert fresh.status_code == 201
    old.refresh_from_db()
    assert old.expires_at - old.created_at > OVERLAP * 2
    assert bearer(fresh.json()["key"]).get(f"{URL}/configuration").status_code == 200
    assert own.get(f"{URL}/configuration").status_code == 200
    old.refresh_from_db()
    used = AgentKey.objects.exclude(pk=old.pk).get().first_used_at
    assert abs(old.expires_at - (used + OVERLAP)) < timedelta(seconds=1)


def test_asking_for_a_new_key_again_revokes_the_one_that_got_lost(own, agent):
    lost = own.post(f"{URL}/keys/rotate").json()["key"]
    kept = own.post(f"{URL}/keys/rotate").json()["key"]
    assert bearer(lost).get(f"{URL}/configuration").status_code == 401
    assert bearer(kept).get(f"{URL}/configuration").status_code == 200
    assert own.get(f"{URL}/configuration").status_code == 200


def test_keys_that_end_by_a_rotation_are_in_the_audit_trail(own, agent):
    held = AgentKey.objects.get()
    own.post(f"{URL}/keys/rotate")
    lost = AgentKey.objects.exclude(pk=held.pk).get()
    fresh = own.post(f"{URL}/keys/rotate").json()["key"]
    bearer(fresh).get(f"{URL}/configuration")
    ended = AuditEntry.objects.filter(table_name="agent_keys", action="change", actor_name="agent on web-01")
    assert {(entry.object_id, *entry.changes) for entry in ended} == {
        (str(lost.pk), "revoked_at"),
        (str(held.pk), "expires_at"),
    }


def test_a_key_that_is_first_used_to_send_metrics_ends_the_older_one_in_the_agents_name(committed, agent, now):
    held, _ = issue_key(agent, now - timedelta(days=1))
    fresh = issue_key(agent, now)[1]
    sample = {"metric_name": "m", "metric_value": 1, "asset_id": str(agent.asset_id)}
    assert bearer(fresh).post("/api/monitoring/metrics", sample, format="json").status_code == 200
    (ended,) = AuditEntry.objects.filter(table_name="agent_keys", action="change")
    assert (ended.object_id, ended.actor_name, *ended.changes) == (str(held.pk), "agent on web-01", "expires_at")


@pytest.mark.parametrize(
    ("newer", "due"),
    [
        (None, True),
        ({}, True),
        ({"first_used_at": True}, False),
        ({"first_used_at": True, "revoked_at": True}, True),
    ],
    ids=["none", "lost", "used", "revoked"],
)
def test_a_new_key_is_due_until_one_is_in_use(agent, now, newer, due):
    secret = issue_key(agent, now - timedelta(days=340))[1]
    if newer is not None:
        other, _ = issue_key(agent, now - timedelta(days=1))
        AgentKey.objects.filter(pk=other.pk).update(**dict.fromkeys(newer, now))
    assert bearer(secret).post(f"{URL}/heartbeat", BEAT, format="json").json()["key_rotation_due"] is due


def test_no_key_is_due_while_the_one_in_use_is_young(own):
    assert own.post(f"{URL}/heartbeat", BEAT, format="json").json()["key_rotation_due"] is False


def test_a_revoked_key_is_refused_at_once(sre, agent, now):
    made = sre.post(f"{URL}/{agent.pk}/keys").json()
    client = bearer(made["key"])
    assert client.get(f"{URL}/configuration").status_code == 200
    listed = sre.get(f"{URL}/{agent.pk}/keys").json()["keys"]
    assert [key["key_id"] for key in listed] == [made["key_id"]]
    assert sre.delete(f"{URL}/{agent.pk}/keys/{made['key_id']}").status_code == 204
    assert client.get(f"{URL}/configuration").status_code == 401


@pytest.mark.parametrize("bad", ["expired", "revoked", "inactive", "unknown"])
def test_only_a_valid_key_of_an_active_agent_is_found(agent, now, bad):
    key, secret = issue_key(agent, now)
    assert find_agent_key(secret, now) == key
    if bad == "revoked":
        AgentKey.objects.update(revoked_at=now)
    if bad == "inactive":
        MonitoringAgent.objects.update(is_active=False)
    when = key.expires_at if bad == "expired" else now
    assert find_agent_key("wsa_other" if bad == "unknown" else secret, when) is None


def test_a_key_is_found_with_its_agent_in_one_query(agent, now, django_assert_num_queries):
    secret = issue_key(agent, now)[1]
    with django_assert_num_queries(1):
        key = find_agent_key(secret, now)
        assert key is not None
        assert key.agent.asset.asset_name == "web-01"


def test_what_an_agent_finds_is_offered_once_and_accepted_as_an_asset(own, sre, agent):
    found = {"discoveries": [{"kind": "service", "name": "nginx", "details": {"port": 80}}]}
    assert own.post(f"{URL}/discoveries", found, format="json").json() == {"offered": 1, "known": 0}
    assert own.post(f"{URL}/discoveries", found, format="json").json() == {"offered": 0, "known": 1}
    offered = sre.get("/api/monitoring/discoveries", {"decision": "offered"}).json()["discoveries"]
    assert [one["name"] for one in offered] == ["nginx"]
    answer = sre.post(f"/api/monitoring/discoveries/{offered[0]['id']}/accept")
    made = InfrastructureAsset.objects.get(pk=answer.json()["asset"]["id"])
    assert (made.asset_type, made.parent_asset) == ("service", agent.asset)
    assert sre.post(f"/api/monitoring/discoveries/{offered[0]['id']}/accept").status_code == 409


def test_what_is_ignored_is_not_offered_again(own, sre, api):
    found = {"discoveries": [{"kind": "container", "name": "redis"}]}
    own.post(f"{URL}/discoveries", found, format="json")
    one = Discovery.objects.get()
    assert api(Role.VIEWER).post(f"/api/monitoring/discoveries/{one.pk}/ignore").status_code == 403
    assert sre.post(f"/api/monitoring/discoveries/{one.pk}/ignore").status_code == 200
    own.post(f"{URL}/discoveries", found, format="json")
    assert sre.get("/api/monitoring/discoveries", {"decision": "offered"}).json()["discoveries"] == []


def test_an_agent_has_so_many_discoveries_and_no_more_the_latest_seen(own, agent, now, monkeypatch):
    monkeypatch.setattr(agents, "MAX_DISCOVERIES_PER_AGENT", 3)
    for day in range(3):
        found = [agents.Found("service", f"day-{day}-{number}") for number in range(2)]
        agents.offer(agent, found, now + timedelta(days=day))
        if day == 0:
            Discovery.objects.filter(name="day-0-0").update(decision="accepted")
    kept = set(Discovery.objects.values_list("name", flat=True))
    assert {"day-0-0", "day-2-0", "day-2-1"} < kept
    assert len(kept) == 4


def test_what_was_not_seen_for_a_month_is_forgotten_unless_it_became_an_asset(agent, now):
    seen = {"old": now - timedelta(days=31), "accepted": now - timedelta(days=31), "fresh": now}
    for name, moment in seen.items():
        agents.offer(agent, [agents.Found("service", name)], moment)
    Discovery.objects.filter(name="accepted").update(decision="accepted")
    agents.forget_discoveries(now)
    assert set(Discovery.objects.values_list("name", flat=True)) == {"accepted", "fresh"}


def test_an_error_that_an_agent_tells_is_cut_to_a_length(own, agent):
    beat = BEAT | {"last_error": "e" * 100_000, "agent_version": "v" * 100_000}
    assert own.post(f"{URL}/heartbeat", beat, format="json").status_code == 200
    agent.refresh_from_db()
    assert len(agent.last_report["last_error"]) == agents.MAX_ERROR_LENGTH
    assert len(agent.agent_version) == len(agent.last_report["agent_version"]) == 100


@pytest.fixture
def offered(agent, now):
    agents.offer(agent, [agents.Found("service", "nginx:80"), agents.Found("service", "sshd:22")], now)
    return list(Discovery.objects.order_by("name"))


def decide(browser, action, rows):
    body = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return browser.post("/admin/assets/discovery/", body, follow=True)


def test_discoveries_are_accepted_and_ignored_in_the_admin(signed_in, offered):
    browser = signed_in(Role.SRE)
    decide(browser, "accept", offered[:1])
    decide(browser, "ignore", offered[1:])
    assert list(Discovery.objects.order_by("name").values_list("decision", flat=True)) == ["accepted", "ignored"]
    assert InfrastructureAsset.objects.filter(asset_name="nginx:80 on web-01").exists()
    assert "accepted already" in decide(browser, "accept", offered[:1]).content.decode()


def test_a_discovery_whose_name_is_taken_is_told_and_the_others_are_accepted(signed_in, offered, asset):
    asset("nginx:80 on web-01")
    answer = decide(signed_in(Role.SRE), "accept", offered)
    assert "an asset has this name already" in answer.content.decode()
    assert list(Discovery.objects.order_by("name").values_list("decision", flat=True)) == ["offered", "accepted"]


def test_a_reader_decides_nothing_in_the_admin(signed_in, offered):
    decide(signed_in(Role.VIEWER), "accept", offered)
    assert set(Discovery.objects.values_list("decision", flat=True)) == {"offered"}


@pytest.mark.parametrize(
    "found",
    [{}, {"discoveries": "all"}, {"discoveries": [{"kind": "ghost", "name": "x"}]},
     {"discoveries": [{"kind": "service", "name": ""}]}, {"discoveries": [{"kind": "service", "name": "x" * 5000}]},
     {"discoveries": [{"kind": "service", "name": "x", "details": {"a": "b" * 5000}}]}],
)  # fmt: skip
def test_a_discovery_that_does_not_fit_is_refused(own, found):
    field_of(own.post(f"{URL}/discoveries", found, format="json"))
    assert not Discovery.objects.exists()


def test_the_number_of_queries_does_not_grow_with_the_agents(sre, asset):
    web = asset("web-01")

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert sre.get(URL).status_code == 200
        return len(caught)

    MonitoringAgent.objects.bulk_create(MonitoringAgent(agent_name=f"a{n}", asset=web) for n in range(3))
    few = queries()
    MonitoringAgent.objects.bulk_create(MonitoringAgent(agent_name=f"b{n}", asset=web) for n in range(27))
    assert queries() == few


def test_the_command_prints_a_key_of_an_agent_that_it_makes(asset, now, capsys, tmp_path):
    asset("web-01")
    call_command("enroll_agent", "a", asset="web-01")
    assert find_agent_key(capsys.readouterr().out.strip(), now) is not None
    with pytest.raises(CommandError, match="register it first"):
        call_command("enroll_agent", "b", asset="web-02")
    call_command("enroll_agent", "b", asset="web-02", create=True, key_file=tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert find_agent_key((tmp_path / "key").read_text().strip(), now).agent.asset.asset_name == "web-02"
    with pytest.raises(CommandError, match="another asset"):
        call_command("enroll_agent", "a", asset="web-02")
