"""Dashboards, the audit trail, people's tokens and search over REST."""

from __future__ import annotations

import base64
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from alerts.models import AlertInstance, AlertRule
from synthetic.models import SyntheticCheck
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor.models import ApiToken, AuditEntry, MonitoringDashboard
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
DASHBOARDS = "/api/monitoring/dashboards"
AUDIT = "/api/monitoring/audit"
TOKENS = "/api/monitoring/tokens"
SEARCH = "/api/monitoring/search"
WEEKEND = {
    "dashboard_name": "weekend",
    "dashboard_type": "executive",
    "dashboard_config": {"columns": 12},
    "widget_configs": [{"type": "chart", "title": "CPU", "metric_name": "cpu_usage_percent", "width": 6}],
    "refresh_interval": 30,
    "access_control": {"view_roles": ["viewer"], "edit_users": ["grace"]},
    "tags": ["season"],
    "is_public": False,
}


@pytest.fixture
def admin(api):
    return api(Role.SYSTEM_ADMIN)


def dashboard(name: str = "weekend", **columns) -> MonitoringDashboard:
    return MonitoringDashboard.objects.create(dashboard_name=name, **columns)


def bearer(secret: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def test_a_dashboard_is_made_changed_and_removed_by_its_owner(api, person):
    ada = person(Role.DEVELOPER, username="ada")
    client = api(user=ada)
    created = client.post(DASHBOARDS, WEEKEND, format="json")
    assert created.status_code == 201, created.content
    assert {name: created.json()[name] for name in WEEKEND} == WEEKEND
    assert created.json()["created_by"] == "ada"
    one = f"{DASHBOARDS}/{created.json()['id']}"
    assert client.patch(one, {"refresh_interval": 60}, format="json").json()["refresh_interval"] == 60
    assert client.put(one, {"tags": []}, format="json").json()["refresh_interval"] == 60
    assert client.delete(one).status_code == 204
    assert is_problem(client.get(one), 404)


def test_a_dashboard_is_for_those_whom_it_names(api, person):
    shared = dashboard(created_by=person(), access_control=WEEKEND["access_control"])
    one = f"{DASHBOARDS}/{shared.pk}"
    viewer, editor = api(Role.VIEWER), api(user=person(username="grace"))
    stranger = api(Role.DEVELOPER)
    assert (viewer.get(one).status_code, editor.get(one).status_code) == (200, 200)
    assert is_problem(stranger.get(one), 404)
    assert stranger.get(DASHBOARDS).json() == {"dashboards": []}
    assert is_problem(viewer.patch(one, {"tags": ["x"]}, format="json"), 403)
    assert editor.patch(one, {"tags": ["x"]}, format="json").status_code == 200
    assert is_problem(editor.delete(one), 403)
    assert is_problem(stranger.delete(one), 404)


def test_a_public_dashboard_is_for_every_role_and_not_for_strangers(api, client):
    one = f"{DASHBOARDS}/{dashboard(is_public=True).pk}"
    assert [api(role).get(one).status_code for role in Role] == [200] * len(Role)
    assert is_problem(api().get(one), 404)
    assert is_problem(client.get(one), 401)
    assert is_problem(api().post(DASHBOARDS, WEEKEND, format="json"), 403)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dashboard_name": ""}, "dashboard_name"),
        ({"dashboard_name": 7}, "dashboard_name"),
        ({"dashboard_type": "secret"}, "dashboard_type"),
        ({"dashboard_config": []}, "dashboard_config"),
        ({"widget_configs": [{"type": "hologram"}]}, "widget_configs[0].type"),
        ({"widget_configs": [{"type": "chart", "width": "6"}]}, "widget_configs[0].width"),
        ({"refresh_interval": 4}, "refresh_interval"),
        ({"refresh_interval": 2**40}, "refresh_interval"),
        ({"access_control": {"view_roles": "viewer"}}, "access_control.view_roles"),
        ({"access_control": {"owner": "me"}}, "access_control"),
        ({"tags": [1]}, "tags[0]"),
        ({"is_public": "true"}, "is_public"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_field_of_a_dashboard_that_does_not_fit_is_refused(admin, change, field):
    assert fields_of(admin.post(DASHBOARDS, WEEKEND | change, format="json")) == {field}


def test_dashboards_are_filtered(admin):
    dashboard("Weekend", is_public=True, tags=["season"], dashboard_type="executive")
    dashboard("other", is_public=True)

    def found(**query) -> list[str]:
        return [one["dashboard_name"] for one in admin.get(DASHBOARDS, query).json()["dashboards"]]

    assert found(q="week") == found(tag="season") == found(dashboard_type="executive") == ["Weekend"]
    assert found(is_default="true") == []


@pytest.mark.parametrize("url", [DASHBOARDS, TOKENS])
@pytest.mark.parametrize("raw", [b"{", b"[]", b"7", b'{"label": "a\\u0000b"}', b'{"lifetime_days": 1e999}', b"\xff"])
def test_a_body_that_cannot_be_stored_is_a_400(admin, url, raw):
    assert is_problem(admin.generic("POST", url, raw, content_type="application/json"), 400)


def test_the_audit_trail_says_who_changed_what(api, person, asset):
    ada = person(Role.SRE, username="ada")
    client = api(user=ada)
    web = asset("web-01")
    client.patch(f"/api/monitoring/assets/{web.pk}", {"location": "hall 3"}, format="json")
    (entry,) = client.get(AUDIT, {"actor": "ada"}).json()["entries"]
    assert (entry["actor_name"], entry["action"], entry["table_name"]) == ("ada", "change", "infrastructure_assets")
    assert (entry["object_id"], entry["object_name"]) == (str(web.pk), "web-01")
    assert entry["changes"] == {"location": [None, "hall 3"]}


def entries(number: int, now) -> None:
    for place in range(number):
        AuditEntry.objects.create(
            at=now - timedelta(minutes=place), actor_name="ada", action="create", table_name="t", object_id=str(place),
            object_name=f"row {place}", changes={},
        )  # fmt: skip


def test_the_audit_trail_is_read_page_by_page_newest_first(admin, now):
    entries(5, now)
    seen, url = [], f"{AUDIT}?page_size=2&table=t"
    while url:
        answer = admin.get(url)
        seen += [one["object_id"] for one in answer.json()["entries"]]
        following = [link for link in answer.get("Link", "").split(", ") if link.endswith('rel="next"')]
        url = following[0][1:].split(">")[0] if following else ""
    assert seen == ["0", "1", "2", "3", "4"]


def test_the_audit_trail_is_filtered(admin, now):
    entries(3, now)

    def found(**query) -> list[str]:
        return [one["object_id"] for one in admin.get(AUDIT, {"table": "t"} | query).json()["entries"]]

    assert found(object="1") == ["1"]
    assert found(action="delete") == []
    assert found(**{"from": (now - timedelta(seconds=90)).isoformat()}) == ["0", "1"]
    assert found(to=(now - timedelta(seconds=90)).isoformat()) == ["2"]


@pytest.mark.parametrize(
    "query",
    [{"colour": "red"}, {"action": "read"}, {"from": "x"}, {"page_size": "0"}, {"page_size": "many"}, {"actor": "\0"}],
)
def test_an_audit_query_that_is_not_understood_is_refused(admin, query):
    assert fields_of(admin.get(AUDIT, query)) == set(query)


@pytest.mark.parametrize("position", ["p=yesterday", "p=a\0b", "o=-5", "o=99999999999999999999", "r=7&p=\xff"])
def test_a_cursor_that_was_not_given_out_is_an_error_and_no_crash(admin, now, position):
    entries(2, now)
    cursor = base64.b64encode(position.encode()).decode()
    assert admin.get(AUDIT, {"cursor": cursor}).status_code in (200, 400, 404)
    assert is_problem(admin.get(AUDIT, {"cursor": "a"}), 404)


def test_the_audit_trail_is_for_sre_and_administrators_and_nobody_writes_it(api, admin, client):
    assert api(Role.SRE).get(AUDIT).status_code == 200
    for role in (Role.OPS_ENGINEER, Role.DEVELOPER, Role.VIEWER):
        assert is_problem(api(role).get(AUDIT), 403)
    assert is_problem(client.get(AUDIT), 401)
    assert is_problem(admin.post(AUDIT, {}, format="json"), 405)


def test_a_token_is_shown_once_and_opens_what_its_person_may(admin, person, now):
    person(Role.VIEWER, username="grafana")
    made = admin.post(TOKENS, {"username": "grafana", "label": "boards", "lifetime_days": 30}, format="json")
    assert made.status_code == 201, made.content
    secret = made.json()["token"]
    listed = admin.get(TOKENS, {"username": "grafana"})
    assert secret not in listed.content.decode()
    (shown,) = listed.json()["tokens"]
    assert (shown["username"], shown["label"], shown["scope"], shown["revoked_at"]) == (
        "grafana",
        "boards",
        "full",
        None,
    )
    stored = ApiToken.objects.get()
    assert timedelta(days=29) < stored.expires_at - now < timedelta(days=31)
    program = bearer(secret)
    assert program.get("/api/monitoring/assets").status_code == 200
    assert is_problem(program.post("/api/monitoring/assets", {}, format="json"), 403)
    assert is_problem(program.get(TOKENS), 403)


def test_a_token_that_is_revoked_or_expired_opens_nothing(admin, person):
    person(Role.VIEWER, username="grafana")
    made = admin.post(TOKENS, {"username": "grafana", "label": "boards"}, format="json").json()
    assert admin.delete(f"{TOKENS}/{made['id']}").status_code == 204
    assert is_problem(bearer(made["token"]).get("/api/monitoring/assets"), 401)
    assert is_problem(admin.delete(f"{TOKENS}/{made['id']}"), 404)
    late = admin.post(TOKENS, {"username": "grafana", "label": "boards"}, format="json").json()
    ApiToken.objects.filter(pk=late["id"]).update(expires_at=timezone.now())
    assert is_problem(bearer(late["token"]).get("/api/monitoring/assets"), 401)


def test_a_reading_token_of_a_writer_only_reads(admin, person):
    person(Role.SRE, username="ci")
    said = {"username": "ci", "label": "checks", "scope": "read"}
    program = bearer(admin.post(TOKENS, said, format="json").json()["token"])
    assert program.get("/api/monitoring/assets").status_code == 200
    assert is_problem(program.post("/api/monitoring/assets", {}, format="json"), 403)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "nobody"}, "username"),
        ({"username": None}, "username"),
        ({"username": 7}, "username"),
        ({"label": ""}, "label"),
        ({"label": "n" * 201}, "label"),
        ({"scope": "everything"}, "scope"),
        ({"lifetime_days": 0}, "lifetime_days"),
        ({"lifetime_days": 10**9}, "lifetime_days"),
        ({"lifetime_days": "30"}, "lifetime_days"),
        ({"token": "wst_mine"}, "token"),
    ],
)
def test_a_token_that_is_asked_for_wrongly_is_not_made(admin, person, change, field):
    person(Role.VIEWER, username="grafana")
    body = {"username": "grafana", "label": "boards"} | change
    assert fields_of(admin.post(TOKENS, body, format="json")) == {field}
    assert not ApiToken.objects.exists()


def test_tokens_are_for_administrators(api, client):
    for role in set(Role) - {Role.SYSTEM_ADMIN}:
        assert is_problem(api(role).get(TOKENS), 403)
        assert is_problem(api(role).post(TOKENS, {}, format="json"), 403)
        assert is_problem(api(role).delete(f"{TOKENS}/{uuid4()}"), 403)
    assert is_problem(client.get(TOKENS), 401)


def things(asset, now, creator=None):
    web = asset("Web-01", created_by=creator)
    condition = {"metric_name": "m", "operator": "gt", "threshold": 1}
    rule = AlertRule.objects.create(rule_name="web is slow", metric_conditions=[condition])
    SyntheticCheck.objects.create(check_name="web page", check_type="ping", target_host="h")
    return AlertInstance.objects.create(
        alert_rule=rule, asset=web, alert_key=str(uuid4()), alert_title="Web is slow on Web-01", alert_description="d",
        severity="low", first_triggered_at=now, last_triggered_at=now,
    )  # fmt: skip


def test_search_finds_each_kind_by_a_part_of_its_name(api, asset, now):
    alert = things(asset, now)
    asset("db-01")
    body = api(Role.VIEWER).get(SEARCH, {"q": "WEB"}).json()
    assert {kind: [one["name"] for one in found] for kind, found in body.items() if kind != "query"} == {
        "assets": ["Web-01"],
        "rules": ["web is slow"],
        "alerts": ["Web is slow on Web-01"],
        "checks": ["web page"],
    }
    assert body["alerts"][0]["id"] == str(alert.pk)


def test_search_finds_only_what_one_may_read(api, person, asset, now):
    creator = person()
    things(asset, now, creator)
    body = api(user=creator).get(SEARCH, {"q": "web"}).json()
    assert {kind: len(body[kind]) for kind in ("assets", "rules", "alerts", "checks")} == {
        "assets": 0, "rules": 0, "alerts": 1, "checks": 0,
    }  # fmt: skip
    assert api().get(SEARCH, {"q": "web"}).json()["alerts"] == []


def test_search_lists_ten_of_a_kind_and_takes_wildcards_as_they_are(api, asset):
    for number in range(12):
        asset(f"web-{number}")
    viewer = api(Role.VIEWER)
    assert len(viewer.get(SEARCH, {"q": "web"}).json()["assets"]) == 10
    assert viewer.get(SEARCH, {"q": "%%"}).json()["assets"] == []


@pytest.mark.parametrize("query", [{}, {"q": "w"}, {"q": " w "}, {"q": "a\0b"}, {"q": "w" * 201}])
def test_search_asks_for_something_to_look_for(admin, query):
    assert fields_of(admin.get(SEARCH, query)) == {"q"}


def test_search_refuses_what_it_does_not_know_and_whom(admin, client):
    assert fields_of(admin.get(SEARCH, {"q": "web", "kind": "assets"})) == {"kind"}
    assert is_problem(client.get(SEARCH, {"q": "web"}), 401)


def test_the_number_of_queries_does_not_grow_with_the_rows(admin, person, asset, now):
    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            owner = person(username=f"owner-{number}")
            dashboard(f"board {number}", is_public=True, created_by=owner)
            asset(f"web-{number}")
            ApiToken.objects.create(user=owner, label="l", digest=str(number).encode(), expires_at=now)

    urls = [DASHBOARDS, AUDIT, TOKENS, f"{SEARCH}?q=web"]
    grow(0, 2)
    few = [queries_of(admin, url) for url in urls]
    grow(2, 20)
    assert [queries_of(admin, url) for url in urls] == few
    assert max(few) <= 7


@pytest.mark.parametrize("path", ["/api/nothing", "/api/monitoring/assets/", "/api/v3/x", "/v1/nothing"])
def test_programs_are_told_of_an_unknown_path_in_the_format_of_all_errors(client, path):
    assert is_problem(client.get(path), 404)


def test_people_get_a_page_for_an_unknown_path_and_browsers_an_icon(client):
    assert client.get("/nothing")["Content-Type"].startswith("text/html")
    assert client.get("/favicon.ico")["Location"] == "/static/img/logo.svg"


def test_programs_are_answered_in_json_where_nothing_is(client):
    for path in ("/ping/doesnotexist", "/write", "/api/nothing"):
        assert is_problem(client.post(path), 404)


def test_a_path_with_a_nul_names_nothing(api, signed_in):
    for path in ("metrics/catalogue/%00", "dashboards/%00"):
        assert is_problem(api(Role.SRE).get(f"/api/monitoring/{path}"), 404)
    assert signed_in(Role.SRE).get("/admin/monitoring/assets/catalogue/%00").status_code == 404
