"""Assets over REST: shapes, filters, writing, roles and budgets."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import AlertInstance, AlertRule
from assets.models import AssetHealth, InfrastructureAsset
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/api/monitoring/assets"
WEB = {
    "asset_name": "web-server-01",
    "asset_type": "server",
    "asset_category": "compute",
    "environment": "production",
    "location": "us-east-1a",
    "provider": "aws",
    "is_critical": True,
    "monitoring_config": {"collection_interval": 30, "retention_days": 90},
}
LISTED = {
    "id", "asset_name", "asset_type", "asset_category", "environment", "location", "provider", "is_critical",
    "is_active", "health_status", "last_metric_timestamp", "active_alerts", "dependencies", "created_at",
}  # fmt: skip


@pytest.fixture
def sre(api):
    return api(Role.SRE)


def alert(asset, now, **columns):
    rule, _ = AlertRule.objects.get_or_create(
        rule_name="cpu",
        defaults={
            "metric_conditions": [
                {"metric_name": "m", "operator": "gt", "threshold": 1, "aggregation": "avg", "time_window": 60}
            ],
            "severity": "high",
        },
    )
    defaults = {
        "alert_key": str(uuid4()),
        "alert_title": "CPU is high",
        "alert_description": "",
        "severity": "high",
        "status": "open",
        "first_triggered_at": now - timedelta(minutes=5),
        "last_triggered_at": now,
    }
    return AlertInstance.objects.create(alert_rule=rule, asset=asset, **(defaults | columns))


def fields_of(answer) -> set[str]:
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {error["field"] for error in answer.json().get("errors", [])}


def test_an_infrastructure_asset_is_registered_with_monitoring(api, person):
    operator = person(Role.OPS_ENGINEER)
    answer = api(user=operator).post(URL, WEB, format="json")
    assert answer.status_code == 201
    stored = InfrastructureAsset.objects.get(pk=answer.json()["id"])
    assert {name: getattr(stored, name) for name in WEB} == WEB
    assert stored.created_by == operator
    assert AuditEntry.objects.get(table_name="infrastructure_assets").actor == operator


def test_the_list_has_the_specifications_envelope(sre, asset, now):
    asset("web-01", is_critical=True)
    down = asset("db-01", asset_type="database", environment="staging")
    AssetHealth.objects.create(asset=down, health_status="unhealthy", last_metric_timestamp=now, assessed_at=now)
    alert(down, now)
    alert(down, now, status="acknowledged")
    alert(down, now, status="resolved", resolved_at=now)
    body = sre.get(URL).json()
    assert set(body["assets"][0]) >= LISTED
    database, web = body["assets"]
    assert (database["asset_name"], database["health_status"], database["active_alerts"]) == ("db-01", "unhealthy", 2)
    assert database["last_metric_timestamp"].endswith("Z")
    assert (web["health_status"], web["last_metric_timestamp"], web["active_alerts"]) == ("unknown", None, 0)
    assert body["asset_summary"] == {
        "total_assets": 2,
        "healthy_assets": 0,
        "degraded_assets": 0,
        "unhealthy_assets": 1,
        "critical_assets": 1,
    }
    assert body["environment_breakdown"] == {"production": 1, "staging": 1}
    assert body["asset_type_breakdown"] == {"server": 1, "database": 1}


def test_the_summary_counts_all_that_match_and_not_only_the_page(sre, asset):
    for number in range(5):
        asset(f"web-{number}", environment="staging" if number == 4 else "production")
    answer = sre.get(URL, {"page_size": 2, "environment": "production"})
    assert len(answer.json()["assets"]) == 2
    assert answer.json()["asset_summary"]["total_assets"] == 4
    assert answer["X-Total-Count"] == "4"
    assert 'rel="next"' in answer["Link"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"environment": "staging"}, ["db-01"]),
        ({"asset_type": "database"}, ["db-01"]),
        ({"asset_category": "storage"}, ["db-01"]),
        ({"provider": "aws"}, ["db-01"]),
        ({"is_critical": "true"}, ["db-01"]),
        ({"is_active": "false"}, ["web-01"]),
        ({"health_status": "healthy"}, ["db-01"]),
        ({"health_status": "unknown"}, ["web-01"]),
        ({"tag": "tier:1"}, ["db-01"]),
        ({"q": "WEB"}, ["web-01"]),
        ({"ordering": "-asset_name"}, ["web-01", "db-01"]),
        ({"ordering": "environment"}, ["web-01", "db-01"]),
        ({"ordering": "health_status"}, ["db-01", "web-01"]),
    ],
)
def test_assets_are_filtered_and_ordered(sre, asset, now, query, names):
    asset("web-01", is_active=False)
    database = asset(
        "db-01", asset_type="database", asset_category="storage", environment="staging", provider="aws",
        is_critical=True, tags=["tier:1", "primary"],
    )  # fmt: skip
    AssetHealth.objects.create(asset=database, health_status="healthy", assessed_at=now)
    assert [one["asset_name"] for one in sre.get(URL, query).json()["assets"]] == names


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"},
        {"environment": "prod"},
        {"is_critical": "perhaps"},
        {"ordering": "password"},
        {"page_size": "0"},
        {"q": "a\0b"},
    ],
)
def test_a_query_parameter_that_is_not_understood_is_refused(sre, asset, query):
    asset("web-01")
    assert fields_of(sre.get(URL, query)) == set(query)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"asset_name": ""}, "asset_name"),
        ({"asset_name": None}, "asset_name"),
        ({"asset_name": 7}, "asset_name"),
        ({"asset_name": "n" * 5000}, "asset_name"),
        ({"asset_type": "toaster"}, "asset_type"),
        ({"environment": ["production"]}, "environment"),
        ({"is_critical": "yes"}, "is_critical"),
        ({"tags": "web"}, "tags"),
        ({"tags": [7]}, "tags[0]"),
        ({"configuration": []}, "configuration"),
        ({"monitoring_config": {"retention_days": 0}}, "monitoring_config.retention_days"),
        ({"monitoring_config": {"interval": 5}}, "monitoring_config"),
        ({"parent_asset_id": "not-an-id"}, "parent_asset_id"),
        ({"parent_asset_id": str(uuid4())}, "parent_asset_id"),
        ({"dependencies": ["not-an-id"]}, "dependencies"),
        ({"dependencies": [str(uuid4())]}, "dependencies"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_field_that_does_not_fit_is_refused_by_name(sre, change, field):
    answer = sre.post(URL, WEB | change, format="json")
    assert fields_of(answer) == {field}
    assert not InfrastructureAsset.objects.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"{", b"[]", b"null", b'"text"', b'{"asset_name": NaN}', b"[" * 100_000,
        b'{"asset_name": "a\\u0000b"}',
        b'{"asset_name": "web", "asset_type": "server", "asset_category": "compute", "environment": "production",'
        b' "configuration": {"a": "\\ud800"}}',
        b'{"asset_name": "web", "asset_type": "server", "asset_category": "compute", "environment": "production",'
        b' "configuration": {"a": 1e400}}',
        b'{"asset_name": "web", "asset_type": "server", "asset_category": "compute", "environment": "production",'
        b' "configuration": {"\\u0000": 1}}',
        b"\xff\xfe",
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_stored_is_a_400(sre, raw):
    answer = sre.generic("POST", URL, raw, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def test_a_name_that_is_taken_is_refused(sre, asset):
    asset("web-server-01")
    assert fields_of(sre.post(URL, WEB, format="json")) == {"asset_name"}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_put_and_patch_change_only_what_is_sent(sre, asset, method):
    web = asset("web-01", location="hall 3", tags=["a"])
    answer = getattr(sre, method)(f"{URL}/{web.pk}", {"is_critical": True}, format="json")
    assert answer.status_code == 200
    web.refresh_from_db()
    assert (web.is_critical, web.location, web.tags) == (True, "hall 3", ["a"])


def test_a_cycle_of_parents_is_refused_and_told(sre, asset):
    top = asset("rack")
    child = asset("host", parent_asset=top)
    answer = sre.put(f"{URL}/{top.pk}", {"parent_asset_id": str(child.pk)}, format="json")
    assert fields_of(answer) == {"parent_asset_id"}
    assert "rack → host → rack" in answer.json()["detail"]


def test_a_cycle_of_dependencies_is_refused_and_told(sre, asset):
    database = asset("db")
    cache = asset("cache", dependencies=[str(database.pk)])
    web = asset("web", dependencies=[str(cache.pk)])
    answer = sre.patch(f"{URL}/{database.pk}", {"dependencies": [str(web.pk)]}, format="json")
    assert fields_of(answer) == {"dependencies"}
    assert "db → web → cache → db" in answer.json()["detail"]
    database.refresh_from_db()
    assert database.dependencies == []


def test_an_asset_that_others_need_is_removed_only_when_they_are_detached(sre, asset):
    host = asset("host")
    child = asset("container", parent_asset=host)
    web = asset("web", dependencies=[str(host.pk)])
    refused = sre.delete(f"{URL}/{host.pk}")
    assert refused.status_code == 409
    assert "container" in refused.json()["detail"]
    assert "web" in refused.json()["detail"]
    assert sre.delete(f"{URL}/{host.pk}?detach=true").status_code == 204
    child.refresh_from_db()
    web.refresh_from_db()
    assert (child.parent_asset_id, web.dependencies) == (None, [])


def test_an_asset_is_removed(sre, asset):
    web = asset("web-01")
    assert sre.delete(f"{URL}/{web.pk}").status_code == 204
    assert sre.get(f"{URL}/{web.pk}").status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
def test_readers_read_and_do_not_write(api, asset, role):
    web, client = asset("web-01"), api(role)
    one = f"{URL}/{web.pk}"
    assert [client.get(url).status_code for url in (URL, one, f"{one}/metrics", f"{one}/health", f"{one}/chart")] == [
        200
    ] * 5
    assert client.post(URL, WEB, format="json").status_code == 403
    assert client.put(one, {}, format="json").status_code == 403
    assert client.patch(one, {}, format="json").status_code == 403
    assert client.delete(one).status_code == 403


def test_nobody_without_a_role_or_a_sign_in_gets_in(api, client, asset):
    one = f"{URL}/{asset('web-01').pk}"
    without_role = api()
    for url in (URL, one, f"{one}/metrics", f"{one}/health", f"{one}/chart"):
        assert without_role.get(url).status_code == 403
        assert client.get(url).status_code in (401, 403)


def test_the_number_of_queries_does_not_grow_with_the_assets(sre, asset, now):
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert sre.get(URL).status_code == 200
        return len(caught)

    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            web = asset(f"web-{number:02}")
            AssetHealth.objects.create(asset=web, health_status="healthy", assessed_at=now)
            alert(web, now)

    grow(0, 3)
    few = queries()
    grow(3, 30)
    assert queries() == few <= 9
