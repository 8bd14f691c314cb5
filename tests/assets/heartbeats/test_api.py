"""Heartbeats over REST and in the console."""

from __future__ import annotations

from datetime import timedelta

import pytest

from assets.heartbeats import states
from assets.heartbeats.models import Heartbeat
from assets.heartbeats.pings import with_state
from tests.answers import fields_of
from tests.answers import queries_of as api_queries_of
from tests.pages import opened, queries_of
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL, PAGE = "/api/monitoring/heartbeats", "/admin/monitoring/assets/heartbeats"


@pytest.fixture
def sre(api):
    return api(Role.SRE)


def made(client, asset, **fields):
    wanted = {"heartbeat_name": "backup", "asset_id": str(asset().pk), "period_seconds": 3600} | fields
    return client.post(URL, wanted, format="json")


def in_all_states(asset, now):
    """One heartbeat in each state, and one that failed."""
    host = asset()
    columns = {
        "new": {},
        "up": {"due_at": now + timedelta(hours=1), "down_at": now + timedelta(hours=2)},
        "late": {"due_at": now - timedelta(hours=1), "down_at": now + timedelta(hours=2)},
        "down": {"due_at": now - timedelta(hours=2), "down_at": now - timedelta(hours=1)},
        "failed": {"has_failed": True},
        "paused": {"is_paused": True, "has_failed": True},
    }
    for name, standing in columns.items():
        row = Heartbeat.objects.create(heartbeat_name=name, asset=host, period_seconds=3600)
        Heartbeat.objects.filter(pk=row.pk).update(**standing)
    return dict.fromkeys(columns) | {name: name for name in columns} | {"failed": "down"}


def test_a_field_that_is_not_known_is_refused_with_those_that_are(sre):
    (error,) = sre.post(URL, {"name": "backup"}, format="json").json()["errors"]
    assert error["detail"].startswith("not known here; leave it out. The fields are: heartbeat_name, asset_id, period")
    assert error["detail"].endswith("required: heartbeat_name, asset_id")


def test_a_heartbeat_is_made_changed_and_removed(sre, asset):
    row = made(sre, asset, time_zone="Europe/Berlin").json()
    assert row["state"] == "new"
    assert row["ping_url"].split("/")[-2] == "ping"
    changed = sre.patch(f"{URL}/{row['id']}", {"period_seconds": None, "cron_expression": "0 3 * * *"}, format="json")
    assert changed.json()["cron_expression"] == "0 3 * * *"
    assert sre.delete(f"{URL}/{row['id']}").status_code == 204


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"period_seconds": 1}, {"period_seconds"}),
        ({"period_seconds": None}, {"period_seconds"}),
        ({"cron_expression": "0 3 * * *"}, {"period_seconds"}),
        ({"period_seconds": None, "cron_expression": "often"}, {"cron_expression"}),
        ({"time_zone": "Mars/Olympus"}, {"time_zone"}),
        ({"grace_seconds": 0}, {"grace_seconds"}),
        ({"ping_key": "3f9c0e0e-0000-4000-8000-000000000000"}, {"ping_key"}),
    ],
)
def test_what_cannot_be_a_heartbeat_is_refused_by_field(sre, asset, fields, refused):
    assert fields_of(made(sre, asset, **fields)) == refused


def test_the_address_is_told_to_those_only_who_may_change_it(sre, api, asset):
    made(sre, asset)
    assert sre.get(URL).json()["heartbeats"][0]["ping_url"]
    assert api(Role.VIEWER).get(URL).json()["heartbeats"][0]["ping_url"] is None


def test_a_new_address_makes_the_old_one_unknown_and_is_no_secret_of_the_audit_trail(sre, asset, client):
    row = made(sre, asset).json()
    answer = sre.post(f"{URL}/{row['id']}/address")
    assert answer.status_code == 201
    old, new = row["ping_url"], answer.json()["ping_url"]
    assert old != new
    told = str(list(AuditEntry.objects.values_list("changes", flat=True)))
    assert "ping_key" in told
    assert old.rsplit("/", 1)[-1] not in told
    assert new.rsplit("/", 1)[-1] not in told


def test_lists_filter_by_the_state_that_rows_show(sre, asset, now):
    wanted = in_all_states(asset, now)
    shown = {row["heartbeat_name"]: row["state"] for row in sre.get(URL).json()["heartbeats"]}
    assert shown == wanted
    for state in set(wanted.values()):
        found = {row["heartbeat_name"] for row in sre.get(f"{URL}?state={state}").json()["heartbeats"]}
        assert found == {name for name, one in wanted.items() if one == state}


def test_the_database_and_the_rules_agree_on_the_state(asset, now):
    in_all_states(asset, now)
    for row in with_state(Heartbeat.objects.all(), now):
        assert row.shown_state == states.state_of(row.standing(), now)


def test_the_list_has_a_budget(sre, signed_in, asset, now):
    in_all_states(asset, now)
    few = api_queries_of(sre, URL), queries_of(signed_in(Role.SRE), PAGE)
    for number in range(30):
        Heartbeat.objects.create(heartbeat_name=f"b{number}", asset=asset(f"h{number}"), period_seconds=60)
    assert (api_queries_of(sre, URL), queries_of(signed_in(Role.SRE), PAGE)) == few
    assert few[0] <= 5
    assert few[1] <= 8


def test_the_page_shows_states_and_the_line_to_copy(signed_in, asset, now):
    in_all_states(asset, now)
    page = opened(signed_in(Role.SRE), PAGE)
    for state in ("new", "up", "late", "down", "paused", "curl -fsS"):
        assert state in page.text
    assert "curl" not in opened(signed_in(Role.VIEWER), PAGE).text
    assert "failed" not in opened(signed_in(Role.SRE), f"{PAGE}?state=late").text
