"""The audit trail: who changed what, from what to what, and never a secret."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models.signals import post_save
from django.test import Client
from django_celery_beat.models import PeriodicTask

from assets.models import MonitoringAgent
from remediation.models import RemediationAction
from tests.wedsync_monitor import stored
from wedsync_monitor import audit
from wedsync_monitor.models import AuditEntry, User
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
# Tables that people configure; what the system itself writes has its own history or none.
CONFIGURED = {
    "wedsync_monitor.User", "wedsync_monitor.ApiToken", "wedsync_monitor.MonitoringDashboard", "auth.Group",
    "wedsync_monitor.DeadMansSwitch",
    "assets.InfrastructureAsset", "assets.MonitoringAgent", "assets.AgentKey", "assets.EnrolmentToken",
    "assets.Heartbeat", "assets.ScrapeJob", "assets.CatalogueEntry",
    "alerts.AlertRule", "alerts.EscalationPolicy", "alerts.MaintenanceWindow", "alerts.PerformanceBaseline",
    "alerts.Silence", "alerts.OnCallSchedule", "alerts.OnCallOverride", "alerts.ContactPreference",
    "synthetic.SyntheticCheck", "synthetic.ProbeSecret", "remediation.RemediationAction",
    "django_celery_beat.PeriodicTask", "django_celery_beat.IntervalSchedule", "django_celery_beat.CrontabSchedule",
    "django_celery_beat.SolarSchedule", "django_celery_beat.ClockedSchedule",
}  # fmt: skip


def last() -> AuditEntry:
    return AuditEntry.objects.latest("id")


def test_every_table_that_people_configure_is_followed():
    followed = {
        model._meta.label
        for model in apps.get_models()
        if any(key[0] == f"audit {model._meta.label}" for key, *_ in post_save.receivers)
    }
    assert followed == CONFIGURED


def test_a_life_is_written_down_from_creation_to_deletion(person, now):
    ann = person(Role.SRE, username="ann")
    with audit.acting(ann):
        rule = stored.rule(1)
        key = str(rule.pk)
        created = last()
        rule.severity = "critical"
        rule.save()
        changed = last()
        rule.delete()
    deleted = last()
    entries = (created, changed, deleted)
    assert [entry.action for entry in entries] == ["create", "change", "delete"]
    assert {(entry.actor, entry.actor_name, entry.table_name) for entry in entries} == {(ann, "ann", "alert_rules")}
    assert {(entry.object_id, entry.object_name) for entry in entries} == {(key, "rule-1")}
    assert all(entry.at >= now for entry in entries)
    assert created.changes["severity"] == [None, "high"]
    assert changed.changes == {"severity": ["high", "critical"]}
    assert deleted.changes["severity"] == ["critical", None]


@pytest.mark.parametrize("label", sorted(CONFIGURED & set(stored.MAKE)))
def test_no_entry_holds_a_secret(label):
    row = stored.MAKE[label](1)
    row.save()
    row.delete()
    texts = [str(entry.changes) for entry in AuditEntry.objects.all()]
    assert texts
    assert not [text for text in texts if stored.SECRET in text or "sealed:" in text or "md5$" in text]


def test_saving_without_a_change_is_no_change():
    rule = stored.rule(1)
    before = AuditEntry.objects.count()
    rule.save()
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize(
    ("make", "column", "value"),
    [
        (stored.agent, "last_heartbeat", stored.NOW),
        (stored.agent, "metrics_collected", 7),
        (stored.person, "last_login", stored.NOW),
        (stored.task, "last_run_at", stored.NOW),
        (stored.task, "total_run_count", 7),
    ],
)
def test_what_the_system_itself_moves_is_no_change(make, column, value):
    row = make(1)
    before = AuditEntry.objects.count()
    setattr(row, column, value)
    row.save()
    assert AuditEntry.objects.count() == before


def test_a_new_secret_is_a_change_that_is_told_without_it():
    action = RemediationAction.objects.get(pk=stored.action(1).pk)
    action.action_config = {**action.action_config, "headers": {"Authorization": "new-token"}}
    action.save()
    before, after = last().changes["action_config"]
    assert before["headers"] == after["headers"] == {"Authorization": "********"}


def test_a_new_password_is_a_change_that_is_told_without_it():
    someone = stored.person(1)
    someone.set_password("another long pass phrase")
    someone.save()
    assert last().changes == {"password": ["********", "********"]}


def test_roles_are_told_from_what_to_what():
    someone = stored.person(1)
    viewer, sre = Group.objects.get(name="viewer"), Group.objects.get(name="sre")
    someone.groups.add(viewer)
    assert last().changes == {"roles": [[], ["viewer"]]}
    someone.groups.add(viewer, sre)
    assert last().changes == {"roles": [["viewer"], ["sre", "viewer"]]}
    someone.groups.remove(viewer)
    assert last().changes == {"roles": [["sre", "viewer"], ["sre"]]}
    someone.groups.clear()
    assert last().changes == {"roles": [["sre"], []]}
    before = AuditEntry.objects.count()
    someone.groups.clear()
    assert AuditEntry.objects.count() == before


def test_programs_have_names_and_the_rest_is_the_system():
    with audit.acting("first start"):
        stored.interval(1)
    assert (last().actor, last().actor_name) == (None, "first start")
    stored.interval(2)
    assert last().actor_name == "system"


def test_an_actor_ends_with_its_request_and_stays_in_its_thread(signed_in, person):
    ann = person(Role.SYSTEM_ADMIN, username="ann")
    url = "/admin/django_celery_beat/intervalschedule/add/"
    none = {f"periodictask_set-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}
    assert signed_in(user=ann).post(url, {"every": 7, "period": "seconds"} | none).status_code == 302
    assert last().actor == ann
    stored.interval(1)
    assert last().actor_name == "system"
    with audit.acting(ann), ThreadPoolExecutor(1) as other:
        assert other.submit(audit._current_actor).result() == (None, "system")


def test_the_trail_outlives_the_person(person):
    ann = person(username="ann")
    with audit.acting(ann):
        stored.rule(1)
    User.objects.filter(pk=ann.pk).delete()
    entry = AuditEntry.objects.get(table_name="alert_rules")
    assert (entry.actor, entry.actor_name) == (None, "ann")


def test_following_costs_two_questions_and_one_entry(django_assert_num_queries):
    agent, tick = stored.agent(1), stored.task(1)
    agent.agent_version = "2.0"
    # What was stored, for the entry; what is sealed, for the columns that may hold secrets; the change; the entry.
    with django_assert_num_queries(4):
        agent.save()
    assert MonitoringAgent.objects.get(pk=agent.pk).agent_version == "2.0"
    assert PeriodicTask.objects.get(pk=tick.pk).enabled


def refuse(**_: object) -> None:
    raise RuntimeError("the audit trail cannot be written")


@pytest.mark.parametrize("kind", ["rest", "console", "admin"])
def test_what_cannot_be_written_down_is_not_done(signed_in, asset, monkeypatch, kind):
    web = asset("web-01")
    browser = signed_in(Role.SRE)
    form = {"asset_name": "other", "asset_type": "server", "asset_category": "compute", "environment": "staging"}
    inline = {f"agents-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    send = {
        "rest": lambda: browser.patch(f"/api/monitoring/assets/{web.pk}", form, content_type="application/json"),
        "console": lambda: browser.post(f"/admin/monitoring/assets/{web.pk}/configure", form),
        "admin": lambda: browser.post(f"/admin/assets/infrastructureasset/{web.pk}/change/", form | inline),
    }
    monkeypatch.setattr(AuditEntry.objects, "create", refuse)
    with pytest.raises(RuntimeError, match="audit trail"):
        send[kind]()
    web.refresh_from_db()
    assert web.asset_name == "web-01"


def test_two_changes_over_rest_at_once_are_both_kept(committed, api):
    rule = stored.rule(1)
    changes = [{"rule_description": "what it is for"}, {"severity": "critical"}, {"business_impact": "pages are slow"}]
    clients = [api(Role.SRE) for _ in changes]

    def change(place: int) -> int:
        try:
            url = f"/api/monitoring/alerts/rules/{rule.pk}"
            return clients[place].patch(url, changes[place], format="json").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(changes)) as pool:
        assert list(pool.map(change, range(len(changes)))) == [200] * len(changes)
    rule.refresh_from_db()
    assert {name: getattr(rule, name) for one in changes for name in one} == changes[0] | changes[1] | changes[2]


def test_coming_and_going_is_followed(person):
    ann, browser = person(Role.SRE, username="ann"), Client()
    browser.post("/login", {"username": "ann", "password": "a long pass phrase"})
    assert (last().action, last().actor, last().object_name) == ("sign_in", ann, "ann")
    browser.post("/logout")
    assert (last().action, last().actor, last().object_name) == ("sign_out", ann, "ann")


def test_of_a_refused_sign_in_the_name_is_kept_and_nothing_else():
    Client().post("/login", {"username": "mallory\0" + "x" * 1000, "password": "guessed"})
    entry = last()
    assert (entry.action, entry.actor, entry.actor_name, entry.changes) == ("sign_in_refused", None, "anonymous", {})
    assert entry.object_name.startswith("mallory")
    assert len(entry.object_name) == 150


def test_guessing_passwords_does_not_fill_the_trail(monkeypatch):
    monkeypatch.setattr(audit, "MAX_REFUSED_A_MINUTE", 2)
    for _ in range(4):
        Client().post("/login", {"username": "mallory", "password": "guessed"})
    assert AuditEntry.objects.filter(action="sign_in_refused").count() == 2
