"""Unknown hosts that become assets when a token that may discover sends of them."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.test import Client

from assets import discovered
from assets.models import InfrastructureAsset
from tests.prometheus import snappy, write_request
from wedsync_monitor import tokens
from wedsync_monitor.models import ApiToken, AuditEntry, TokenScope
from wedsync_monitor.policy import Role


@pytest.fixture
def secret(committed, person, now):
    return tokens.issue(person(Role.SRE, username="ann"), "fleet", now, TokenScope.METRICS, may_discover=True)


def write(secret, now, *hosts):
    at = int(now.timestamp() * 1000)
    body = write_request([({"__name__": "up", "host": host}, [(at, 1.0)]) for host in hosts]).SerializeToString()
    headers = {"Authorization": f"Bearer {secret}", "Content-Encoding": "snappy"}
    return Client().post("/api/v1/write", snappy(body), "application/x-protobuf", headers=headers)


def names():
    return sorted(InfrastructureAsset.objects.values_list("asset_name", flat=True))


def test_unknown_hosts_become_assets_that_are_marked_and_audited(secret, asset, now):
    asset("db-01")
    for _ in range(2):
        assert write(secret, now, "web-01", "web-02", "db-01").status_code == 204
    assert names() == ["db-01", "web-01", "web-02"]
    web = InfrastructureAsset.objects.get(asset_name="web-01")
    token = ApiToken.objects.get()
    assert web.configuration == {"discovered": {"token": str(token.pk), "label": "fleet"}}
    assert web.created_by == token.user
    entries = AuditEntry.objects.filter(
        table_name="infrastructure_assets", object_name__startswith="web", action="create"
    )
    assert {(one.actor_name, one.object_name) for one in entries} == {("ann", "web-01"), ("ann", "web-02")}


def test_the_systems_own_way_in_discovers_too(secret, now):
    sample = {"asset_name": "web-01", "metric_name": "load", "metric_value": 1.0}
    headers = {"Authorization": f"Bearer {secret}"}
    answer = Client().post("/api/monitoring/metrics", json.dumps(sample), "application/json", headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert names() == ["web-01"]


def test_a_token_that_may_not_is_told_what_to_do(committed, person, now):
    answer = write(tokens.issue(person(Role.SRE), "plain", now), now, "web-01")
    assert answer.status_code == 400
    assert b"register it, or send with a token that may discover assets" in answer.content
    assert names() == []


def test_a_token_discovers_so_many_in_an_hour_and_no_more(secret, now, monkeypatch):
    monkeypatch.setattr(discovered, "MAX_AN_HOUR", 2)
    answer = write(secret, now, "a", "b", "c")
    assert answer.status_code == 400
    assert answer.content.startswith(b"1 refused, 2 samples stored; series 2: asset: no asset has the id or name 'c'")
    assert b"a token may discover" in answer.content
    assert write(secret, now, "d").status_code == 400
    assert names() == ["a", "b"]
    InfrastructureAsset.objects.update(created_at=now - timedelta(minutes=61))
    assert write(secret, now, "c").status_code == 204
    assert names() == ["a", "b", "c"]


@pytest.mark.parametrize("name", [str(uuid.UUID(int=7)), " web-01", "web\n01", "x" * 201])
def test_what_is_no_name_of_a_host_is_not_discovered(secret, now, name):
    assert write(secret, now, name).status_code == 400
    assert names() == []


def test_the_permission_counts_when_the_asset_is_made(secret, now):
    assert write(secret, now, "web-01").status_code == 204
    ApiToken.objects.update(may_discover=False)  # the sender is remembered for some seconds
    assert write(secret, now, "web-02").status_code == 400
    assert names() == ["web-01"]


def test_an_administrator_grants_it_by_api(api):
    admin = api(Role.SYSTEM_ADMIN)
    person = ApiToken._meta.get_field("user").related_model.objects.get()
    body = {"username": person.username, "label": "fleet", "may_discover": True}
    answer = admin.post("/api/monitoring/tokens", body, format="json")
    assert (answer.status_code, answer.json()["may_discover"]) == (201, True)
    assert ApiToken.objects.get().may_discover
    assert "may_discover" in AuditEntry.objects.get(table_name="api_tokens").changes
