"""The policy: the table of roles, resources and verbs, row filters, and people who may nothing."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser

from alerts.models import AlertInstance, ContactPreference
from tests.wedsync_monitor import stored
from wedsync_monitor import policy
from wedsync_monitor.models import MonitoringDashboard
from wedsync_monitor.policy import MANAGE, Policy, Role, Verb, declared, may, may_row, permitted, resource_of, roles_of

pytestmark = pytest.mark.usefixtures("database")
A, S, O, D, V = Role.SYSTEM_ADMIN, Role.SRE, Role.OPS_ENGINEER, Role.DEVELOPER, Role.VIEWER  # noqa: E741
THREE, EVERYBODY = {A, S, O}, {A, S, O, D, V}
# resource: who manages, who else reads, who may use which other verbs
TABLE = {
    "assets": (THREE, {D, V}, {}),
    "agents": (THREE, {D, V}, {}),
    "synthetic": (THREE, {D, V}, {}),
    "probe_secrets": (THREE, set(), {}),
    "scraping": (THREE, {D, V}, {}),
    "heartbeats": (THREE, {D, V}, {}),
    "metric_catalogue": (set(), EVERYBODY, {Verb.CHANGE: THREE}),
    "maintenance": (THREE, {D, V}, {}),
    "silences": (THREE | {D}, {V}, {}),
    "escalation": (THREE, {D, V}, {}),
    "on_call": (THREE, {D, V}, {}),
    "baselines": (THREE, {D, V}, {}),
    "alert_rules": (THREE | {D}, {V}, {}),
    "alerts": (set(), EVERYBODY, dict.fromkeys((Verb.ACKNOWLEDGE, Verb.RESOLVE, Verb.SEND), THREE | {D})),
    "metrics": (set(), EVERYBODY, {Verb.SEND: THREE | {D}}),
    "remediation_actions": ({A, S}, {O, D}, {Verb.EXECUTE: THREE, Verb.APPROVE: {A, S}}),
    "remediation_executions": (set(), {A, S, O, D}, {}),
    "forecasts": (THREE, EVERYBODY, {}),
    "users": ({A}, set(), {}),
    "tokens": ({A}, set(), {}),
    "schedule": ({A}, set(), {}),
    "audit": (set(), {A, S}, {}),
    "configuration": (set(), {A, S}, {Verb.CHANGE: {A, S}}),
    "system": ({A, S}, {O}, {}),
}


def test_the_table_names_every_resource_but_those_whose_rows_decide():
    assert set(TABLE) | {"dashboards", "contact_preferences"} == set(declared())


def test_everybody_says_how_they_are_reached_and_nobody_for_others(person):
    vera, ann = person(Role.VIEWER), person(Role.SYSTEM_ADMIN)
    hers, other = (ContactPreference.objects.create(user=one) for one in (vera, ann))
    assert may_row(vera, Verb.CHANGE, "contact_preferences", hers)
    assert not may_row(vera, Verb.READ, "contact_preferences", other)
    assert may_row(ann, Verb.CHANGE, "contact_preferences", hers)


@pytest.mark.parametrize("role", Role)
def test_every_role_may_what_the_table_says_and_nothing_else(person, role):
    someone = person(role)
    for resource, (manage, read, more) in TABLE.items():
        expected = {verb for verb in MANAGE if role in manage} | ({Verb.READ} if role in read else set())
        expected |= {verb for verb, roles in more.items() if role in roles}
        assert {verb for verb in Verb if policy.granted(someone, verb, resource)} == expected, resource


def test_roles_add_up(person):
    someone = person(Role.VIEWER, Role.DEVELOPER)
    assert roles_of(someone) == {Role.VIEWER, Role.DEVELOPER}
    assert may(someone, Verb.CHANGE, "alert_rules")
    assert not may(someone, Verb.CHANGE, "assets")


def test_every_table_of_the_product_belongs_to_one_resource():
    for model in apps.get_models():
        if model._meta.app_label in ("wedsync_monitor", "assets", "alerts", "synthetic", "capacity", "remediation"):
            named = [one for one in declared().values() if model._meta.label in one.models]
            assert len(named) == 1, model
            assert resource_of(model) == named[0].resource


@pytest.mark.parametrize("kind", ["anonymous", "inactive", "superuser"])
def test_nobody_passes_by_the_policy(person, kind):
    someone = AnonymousUser()
    if kind != "anonymous":
        someone = person(*([Role.SYSTEM_ADMIN] if kind == "inactive" else []))
        someone.is_active, someone.is_superuser = kind != "inactive", True
    assert roles_of(someone) == frozenset()
    for resource in TABLE:
        rows_decide = kind == "superuser" and resource == "alerts"
        assert [verb for verb in Verb if may(someone, verb, resource)] == ([Verb.READ] if rows_decide else [])


def test_a_person_without_a_role_reads_the_alerts_on_their_own_assets(person):
    someone, mine, other = person(), stored.alert(1), stored.alert(2)
    mine.asset.created_by = someone
    mine.asset.save()
    assert list(permitted(someone, Verb.READ, "alerts", AlertInstance.objects.all())) == [mine]
    assert may_row(someone, Verb.READ, "alerts", mine)
    assert not may_row(someone, Verb.READ, "alerts", other)
    assert not may_row(someone, Verb.ACKNOWLEDGE, "alerts", mine)
    assert not permitted(someone, Verb.ACKNOWLEDGE, "alerts", AlertInstance.objects.all())


@pytest.mark.parametrize(
    ("access", "reads", "changes"),
    [
        ({}, False, False),
        ({"view_users": ["vera"]}, True, False),
        ({"view_roles": ["viewer"]}, True, False),
        ({"edit_roles": ["viewer"]}, True, True),
        ({"edit_users": ["vera"]}, True, True),
        ({"view_users": ["ver"], "edit_roles": ["sre"]}, False, False),
    ],
)
def test_a_dashboards_access_control_decides(person, access, reads, changes):
    vera = person(Role.VIEWER, username="vera")
    board = MonitoringDashboard.objects.create(dashboard_name="board", access_control=access)
    assert may_row(vera, Verb.READ, "dashboards", board) is reads
    assert may_row(vera, Verb.CHANGE, "dashboards", board) is changes
    assert not may_row(vera, Verb.DELETE, "dashboards", board)


def test_owners_manage_their_dashboards_and_all_roles_read_public_ones(person):
    owner = person(Role.VIEWER)
    board = MonitoringDashboard.objects.create(dashboard_name="board", created_by=owner, is_public=True)
    assert all(may_row(owner, verb, "dashboards", board) for verb in (Verb.READ, Verb.CHANGE, Verb.DELETE))
    assert may_row(person(Role.DEVELOPER), Verb.READ, "dashboards", board)
    assert not may_row(person(), Verb.READ, "dashboards", board)


def test_a_model_that_no_policy_names_has_no_resource():
    assert resource_of(apps.get_model("sessions.Session")) is None
    assert Policy("r", (), {}).rows == {}
