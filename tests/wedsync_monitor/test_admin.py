"""The admin: every page of every table opens, obeys the policy, hides secrets and leaves an audit entry."""

from __future__ import annotations

import json
import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts.models import AlertRule, EscalationPolicy, RuleEvaluation
from assets.models import AgentKey, AssetHealth, InfrastructureAsset
from remediation.models import RemediationAction
from synthetic.models import SyntheticCheck
from tests.wedsync_monitor import stored
from tests.wedsync_monitor.stored import MAKE, SECRET, values_of
from wedsync_monitor import policy, secrets
from wedsync_monitor.models import ApiToken, AuditEntry, MonitoringDashboard
from wedsync_monitor.policy import Role, Verb
from wedsync_monitor.web.admin_site import PolicyAdminMixin, ReadOnlyModelAdmin

pytestmark = pytest.mark.usefixtures("database")
REGISTERED = sorted(model._meta.label for model in admin.site._registry)
# Tokens are shown once by the API; the catalogue's entries are counted.
NOT_ADDED = {"wedsync_monitor.ApiToken", "assets.CatalogueEntry"}
WITH_SECRETS = {
    "assets.MonitoringAgent",
    "assets.ScrapeJob",
    "alerts.AlertRule",
    "alerts.EscalationPolicy",
    "alerts.MaintenanceWindow",
    "synthetic.SyntheticCheck",
    "remediation.RemediationAction",
}


@pytest.fixture
def administrator(signed_in) -> Client:
    return signed_in(Role.SYSTEM_ADMIN)


def page_of(label: str):
    return admin.site._registry[apps.get_model(label)]


def url_of(label: str, page: str, *args: object) -> str:
    return reverse(f"admin:{label.lower().replace('.', '_')}_{page}", args=args)


def sent_unchanged(answer) -> dict[str, object]:
    """The form of a change page and its inlines, as a browser sends them when nothing was touched."""
    sent = values_of(answer.context["adminform"].form)
    for inline in answer.context["inline_admin_formsets"]:
        for form in (inline.formset.management_form, *inline.formset.forms):
            sent |= values_of(form)
    return sent


def test_every_table_of_the_admin_is_tried_here():
    assert set(MAKE) == set(REGISTERED)


def test_every_admin_page_goes_through_the_policy():
    for page in admin.site._registry.values():
        assert isinstance(page, PolicyAdminMixin)
        assert policy.resource_of(page.model), page.model


@pytest.mark.parametrize("label", REGISTERED)
def test_every_list_and_form_opens_for_an_administrator(administrator, label):
    row = MAKE[label](1)
    assert administrator.get(url_of(label, "changelist")).status_code == 200
    assert administrator.get(url_of(label, "change", row.pk)).status_code == 200
    assert administrator.get(url_of(label, "history", row.pk)).status_code == 200
    can_add = not isinstance(page_of(label), ReadOnlyModelAdmin) and label not in NOT_ADDED
    assert administrator.get(url_of(label, "add")).status_code == (200 if can_add else 403)


@pytest.mark.parametrize("label", REGISTERED)
def test_every_list_is_searched_and_filtered(administrator, label):
    MAKE[label](1)
    page, url = page_of(label), url_of(label, "changelist")
    if page.search_fields:
        assert administrator.get(url, {"q": "1"}).status_code == 200
        assert administrator.get(url, {"q": "nothing is named so"}).context["cl"].result_count == 0
    shown = administrator.get(url)
    for one in shown.context["cl"].filter_specs:
        for choice in one.choices(shown.context["cl"]):
            assert administrator.get(url + choice["query_string"]).status_code == 200


def test_metrics_are_listed_for_an_asset_that_was_chosen(administrator):
    sample = stored.metric(1)
    url = url_of("assets.InfrastructureMetric", "changelist")
    assert administrator.get(url).context["cl"].result_count == 0
    assert list(administrator.get(url, {"asset__id__exact": sample.asset_id}).context["cl"].result_list) == [sample]


@pytest.mark.parametrize("label", REGISTERED)
def test_a_list_asks_no_more_for_thirty_rows_than_for_three(administrator, label):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert administrator.get(url_of(label, "changelist")).status_code == 200
        return len(asked)

    for number in range(1, 4):
        MAKE[label](number)
    queries()
    few = queries()
    for number in range(4, 31):
        MAKE[label](number)
    assert queries() <= few


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER, Role.OPS_ENGINEER, Role.SRE])
@pytest.mark.parametrize("label", REGISTERED)
def test_a_role_sees_and_changes_what_its_policy_says(signed_in, person, role, label):
    row, someone = MAKE[label](1), person(role)
    client, resource = signed_in(user=someone), policy.resource_of(type(row))
    may = {verb: policy.may_row(someone, verb, resource, row) for verb in (Verb.READ, Verb.CHANGE, Verb.DELETE)}
    opened = client.get(url_of(label, "change", row.pk)).status_code
    assert opened == (200 if may[Verb.READ] else 302 if policy.may(someone, Verb.READ, resource) else 403)
    listed = client.get(url_of(label, "changelist")).status_code
    assert listed == (200 if policy.may(someone, Verb.READ, resource) else 403)
    if may[Verb.READ] and not may[Verb.CHANGE]:
        assert client.post(url_of(label, "change", row.pk), {}).status_code == 403
    if not may[Verb.DELETE]:
        assert client.post(url_of(label, "delete", row.pk), {"post": "yes"}).status_code in (302, 403)
        assert type(row)._base_manager.filter(pk=row.pk).exists()


def test_a_viewer_is_offered_no_button_that_changes_something(signed_in):
    page = signed_in(Role.VIEWER).get(url_of("alerts.AlertRule", "change", stored.rule(1).pk)).content.decode()
    assert 'name="_save"' not in page
    assert "deletelink" not in page


def test_a_person_without_a_role_is_refused_and_not_sent_around(signed_in):
    client = signed_in()
    for url in (reverse("admin:index"), url_of("alerts.AlertRule", "changelist")):
        answer = client.get(url, follow=True)
        assert answer.status_code == 403
        assert "You may not open this" in answer.content.decode()


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in_page_and_back():
    url = url_of("alerts.AlertRule", "changelist")
    answer = Client().get(url, follow=True)
    assert answer.redirect_chain[-1][0] == f"/login?next={url}"


def test_a_person_changes_only_the_dashboards_that_are_shared_for_that(signed_in, person):
    someone = person(Role.VIEWER, username="vera")
    public = stored.MAKE["wedsync_monitor.MonitoringDashboard"](1)
    shared = MonitoringDashboard.objects.create(dashboard_name="shared", access_control={"edit_users": ["vera"]})
    private = MonitoringDashboard.objects.create(dashboard_name="private")
    client, label = signed_in(user=someone), "wedsync_monitor.MonitoringDashboard"
    assert set(client.get(url_of(label, "changelist")).context["cl"].result_list) == {public, shared}
    assert client.get(url_of(label, "change", private.pk)).status_code == 302
    assert 'name="_save"' not in client.get(url_of(label, "change", public.pk)).content.decode()
    assert 'name="_save"' in client.get(url_of(label, "change", shared.pk)).content.decode()


@pytest.mark.parametrize("role", [Role.SYSTEM_ADMIN, Role.VIEWER])
@pytest.mark.parametrize("label", REGISTERED)
def test_no_page_shows_a_secret_nor_what_it_is_sealed_as(signed_in, role, label):
    row, client = MAKE[label](1), signed_in(role)
    for url in (url_of(label, "changelist"), url_of(label, "change", row.pk), url_of(label, "delete", row.pk)):
        page = client.get(url).content.decode()
        assert SECRET not in page
        assert "sealed:v1:" not in page


@pytest.mark.parametrize("label", sorted(WITH_SECRETS))
def test_a_form_that_is_saved_unchanged_keeps_the_secrets_and_leaves_no_trace(administrator, label):
    row = MAKE[label](1)
    url = url_of(label, "change", row.pk)
    before = {field.name: secrets.reveal(getattr(row, field.attname)) for field in row._meta.concrete_fields}
    AuditEntry.objects.all().delete()
    answer = administrator.post(url, sent_unchanged(administrator.get(url)))
    assert answer.status_code == 302, answer.context["errors"]
    row = type(row).objects.get(pk=row.pk)
    after = {field.name: secrets.reveal(getattr(row, field.attname)) for field in row._meta.concrete_fields}
    moved = {"updated_at", "next_refresh_at"}  # a scrape job that is saved is looked at at once
    assert {name: after[name] for name in after if name not in moved} == {
        name: before[name] for name in before if name not in moved
    }
    assert not AuditEntry.objects.exists()


def saved(client: Client, row, **changes):
    """Post the change form of `row` with `changes`."""
    url = url_of(row._meta.label, "change", row.pk)
    return client.post(url, sent_unchanged(client.get(url)) | changes)


def test_a_change_is_written_down_with_who_when_and_from_what_to_what(signed_in, person, now):
    ann, rule = person(Role.SRE, username="ann"), stored.rule(1)
    assert saved(signed_in(user=ann), rule, severity="critical").status_code == 302
    entry = AuditEntry.objects.filter(action="change", table_name="alert_rules").get()
    assert (entry.actor, entry.actor_name, entry.object_id) == (ann, "ann", str(rule.pk))
    assert entry.changes == {"severity": ["high", "critical"]}
    assert entry.at >= now


def test_a_new_secret_is_stored_and_its_change_told_without_it(administrator):
    rule = stored.rule(1)
    new = json.dumps([{"type": "slack", "config": {"webhook_url": "https://hooks.example.com/new-secret"}}])
    assert saved(administrator, rule, notification_channels=new).status_code == 302
    rule.refresh_from_db()
    assert secrets.reveal(rule.notification_channels)[0]["config"]["webhook_url"].endswith("/new-secret")
    entry = AuditEntry.objects.get(action="change", table_name="alert_rules")
    assert list(entry.changes) == ["notification_channels"]
    assert "new-secret" not in str(entry.changes)
    assert SECRET not in str(entry.changes)


def test_a_secret_does_not_follow_to_another_address(administrator):
    rule = stored.rule(1)
    shown = secrets.mask(rule.notification_channels)
    shown[0]["config"]["url"] = "https://elsewhere.example.com"
    answer = saved(administrator, rule, notification_channels=json.dumps(shown))
    assert answer.status_code == 200
    assert "Enter the secret again" in str(answer.context["adminform"].form.errors["notification_channels"])


@pytest.mark.parametrize(
    ("column", "text", "place"),
    [
        ("metric_conditions", '[{"metric_name": "cpu", "operator": "above", "threshold": 1}]', "$[0].operator"),
        ("metric_conditions", '[{"metric_name": "cpu", "operator": "gt"}]', "$[0]"),
        ("metric_conditions", "[]", "at least one"),
        ("metric_conditions", "", "required"),
        ("asset_filter", '{"environments": ["moon"]}', "$.environments[0]"),
        ("asset_filter", "[]", "object"),
        ("notification_channels", '[{"type": "pigeon", "config": {}}]', "$[0].type"),
        ("notification_channels", "{}", "array"),
        ("threshold_config", '{"consecutive_breaches": 0}', "$.consecutive_breaches"),
        ("suppression_config", '{"suppression_period": ', "valid JSON"),
        ("asset_filter", '{"asset_names": ["a\\u0000b"]}', "NUL"),
        ("asset_filter", "[" * 100_000, "less deep"),
        ("threshold_config", '{"recovery_threshold": NaN}', "finite"),
        ("threshold_config", '{"consecutive_breaches": ' + "9" * 5000 + "}", "shorter"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_the_place_of_the_mistake(administrator, column, text, place):
    rule = stored.rule(1)
    answer = saved(administrator, rule, **{column: text})
    assert answer.status_code == 200
    errors = answer.context["adminform"].form.errors
    assert set(errors) == {column}
    assert place in errors[column][0]
    assert answer.context["adminform"].form[column].value() == text


def test_a_name_that_no_index_could_hold_is_refused(administrator):
    answer = saved(administrator, stored.rule(1), rule_name="n" * 201)
    assert "at most 200 characters" in str(answer.context["adminform"].form.errors["rule_name"])


def test_json_that_is_emptied_means_the_default(administrator):
    rule = stored.rule(1)
    emptied = dict.fromkeys(("asset_filter", "notification_channels", "threshold_config"), "")
    assert saved(administrator, rule, **emptied).status_code == 302
    rule.refresh_from_db()
    assert (rule.asset_filter, rule.notification_channels, rule.threshold_config) == ({}, [], {})


@pytest.mark.parametrize("model", [AlertRule, EscalationPolicy, InfrastructureAsset, SyntheticCheck, RemediationAction])
def test_a_row_remembers_who_made_it(signed_in, person, model):
    ann, row = person(Role.SYSTEM_ADMIN, username="ann"), MAKE[model._meta.label](1)
    client, label = signed_in(user=ann), model._meta.label
    sent = sent_unchanged(client.get(url_of(label, "change", row.pk)))
    name = next(field for field in sent if field.endswith("_name"))
    text = {field: value for field, value in sent.items() if secrets.MASK not in str(value)}
    needed = {
        "notification_channels": "[]",
        "escalation_steps": '[{"delay_minutes": 5}]',
        "action_config": '{"api_endpoint": "https://example.com"}',
    }
    wanted = {field: value for field, value in needed.items() if field in sent}
    answer = client.post(url_of(label, "add"), text | wanted | {name: "another"})
    assert answer.status_code == 302, answer.context["errors"]
    assert model.objects.get(**{name: "another"}).created_by == ann


# A dashboard is its owner's to delete; what is in the catalogue is counted, and people only write what it means.
NOT_DELETED = {one for one in REGISTERED if isinstance(page_of(one), ReadOnlyModelAdmin)} | {
    "wedsync_monitor.MonitoringDashboard",
    "assets.CatalogueEntry",
}


@pytest.mark.parametrize("label", sorted(set(REGISTERED) - NOT_DELETED))
def test_an_administrator_deletes_a_row_with_what_the_system_wrote_about_it(administrator, label):
    row = MAKE[label](1)
    if label == "assets.InfrastructureAsset":
        AssetHealth.objects.create(asset=row, assessed_at=stored.NOW)
    answer = administrator.post(url_of(label, "delete", row.pk), {"post": "yes"})
    assert answer.status_code == 302
    assert not type(row).objects.filter(pk=row.pk).exists()
    assert AuditEntry.objects.filter(action="delete", table_name=row._meta.db_table, object_id=str(row.pk)).exists()


def test_an_asset_that_others_need_is_not_deleted(administrator):
    database = stored.asset(1)
    InfrastructureAsset.objects.create(
        asset_name="shop", asset_type="service", asset_category="application", environment="production",
        dependencies=[str(database.pk)],
    )  # fmt: skip
    answer = administrator.post(url_of("assets.InfrastructureAsset", "delete", database.pk), {"post": "yes"})
    assert "shop" in answer.content.decode()
    assert InfrastructureAsset.objects.filter(pk=database.pk).exists()


@pytest.mark.parametrize(
    ("label", "action", "revoked"),
    [
        ("wedsync_monitor.ApiToken", "revoke", lambda row: ApiToken.objects.filter(pk=row.pk)),
        ("assets.MonitoringAgent", "revoke_keys", lambda row: AgentKey.objects.filter(agent=row)),
    ],
)
def test_keys_and_tokens_are_revoked_from_the_list(administrator, now, label, action, revoked):
    row = MAKE[label](1)
    if label == "assets.MonitoringAgent":
        AgentKey.objects.create(agent=row, digest=b"1" * 32, expires_at=stored.LATER)
    administrator.post(url_of(label, "changelist"), {"action": action, "_selected_action": [str(row.pk)]})
    assert revoked(row).get().revoked_at >= now
    assert "revoked_at" in AuditEntry.objects.get(action="change", table_name=revoked(row).model._meta.db_table).changes


def test_a_tick_is_switched_off_in_the_list_and_that_is_written_down(administrator):
    tick = stored.task(1)
    url = url_of("django_celery_beat.PeriodicTask", "changelist")
    sent = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": tick.pk, "_save": "Save"}
    assert administrator.post(url, sent).status_code == 302
    tick.refresh_from_db()
    assert not tick.enabled
    assert AuditEntry.objects.get(action="change", table_name=tick._meta.db_table).changes == {"enabled": [True, False]}


def test_a_person_gets_a_role_and_a_password_and_both_are_written_down(administrator):
    someone = stored.person(1)
    role = next(str(group.pk) for group in administrator.get(
        url_of("wedsync_monitor.User", "change", someone.pk)
    ).context["adminform"].form.fields["groups"].queryset if group.name == Role.SRE)  # fmt: skip
    AuditEntry.objects.all().delete()
    assert saved(administrator, someone, groups=[role]).status_code == 302
    assert AuditEntry.objects.get().changes == {"roles": [[], ["sre"]]}
    url = reverse("admin:auth_user_password_change", args=[someone.pk])
    new = "another long pass phrase"
    answer = administrator.post(url, {"password1": new, "password2": new, "usable_password": "true"})
    assert answer.status_code == 302
    assert AuditEntry.objects.filter(changes__has_key="password").get().changes == {"password": ["********"] * 2}
    someone.refresh_from_db()
    assert someone.check_password(new)


def test_the_index_lists_what_a_role_may_read(signed_in):
    page = signed_in(Role.VIEWER).get(reverse("admin:index")).content.decode()
    tables = set(re.findall(r'href="/admin/(\w+/\w+)/"', page))
    assert "alerts/alertrule" in tables
    assert not tables & {"wedsync_monitor/user", "remediation/remediationaction", "wedsync_monitor/auditentry"}


@pytest.mark.parametrize("label", ["alerts.AlertRule", "synthetic.SyntheticCheck", "assets.InfrastructureAsset"])
def test_a_new_rows_page_shows_only_what_people_fill_in(administrator, label):
    page = administrator.get(url_of(label, "add")).content.decode()
    assert "DatabaseDefault" not in page
    assert "Updated at" not in page


def test_names_and_addresses_are_written_on_one_line_and_prose_in_a_box(administrator):
    page = administrator.get(url_of("alerts.AlertRule", "add")).content.decode()
    for name in ("rule_name", "runbook_url"):
        assert re.search(rf'<input type="text" name="{name}"', page)
    assert '<textarea name="rule_description"' in page


def test_an_evaluation_is_called_by_its_rule():
    assert str(RuleEvaluation(rule=stored.rule(1))) == "rule-1"
