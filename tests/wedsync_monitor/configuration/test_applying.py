"""Files of configuration: what is exported changes nothing, what differs is planned, all is applied or nothing."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import defaults
from alerts.models import AlertRule, EscalationPolicy, MaintenanceWindow, OnCallSchedule
from remediation.models import RemediationAction
from synthetic.models import SyntheticCheck
from tests.wedsync_monitor import stored
from tests.wedsync_monitor.configuration.conftest import TOKEN
from wedsync_monitor import secrets
from wedsync_monitor.configuration import applying, documents, report
from wedsync_monitor.configuration.applying import Action
from wedsync_monitor.configuration.entries import Refused, read
from wedsync_monitor.configuration.registry import kinds
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
CPU = """
alert_rules:
  High CPU:
    severity: critical
    metric_conditions:
    - {metric_name: cpu_usage_percent, operator: gt, threshold: 85}
"""
EVERYTHING = (RemediationAction, SyntheticCheck, MaintenanceWindow, AlertRule, EscalationPolicy, OnCallSchedule)


def done(changes):
    return {f"{one.section}/{one.name}": one.action.value for one in changes if one.action is not Action.UNCHANGED}


def refusals(files, said, **more):
    with pytest.raises(Refused) as refused:
        files(said, **more)
    return [(one.place, one.detail) for one in refused.value.problems]


def test_what_is_exported_changes_nothing_and_pruning_by_it_deletes_nothing(furnished, files, now):
    said = documents.exported(None, now)
    audited = AuditEntry.objects.count()
    changes = files(said, prune=True)
    assert (done(changes), len(changes)) == ({}, 8)
    assert documents.exported(None, now) == said
    assert AuditEntry.objects.count() == audited


def test_an_export_makes_the_same_configuration_where_there_is_none(furnished, files, now):
    said = documents.exported(None, now)
    for model in EVERYTHING:
        model.objects.all().delete()
    with_references = said.replace("'********'", "${TOKEN}")
    assert set(done(files(with_references, variables={"TOKEN": TOKEN})).values()) == {"create"}
    assert documents.exported(None, now) == said
    channel = AlertRule.objects.get(rule_name="High CPU").notification_channels[0]
    assert secrets.reveal(channel)["config"]["bot_token"] == TOKEN


def test_the_rules_of_a_new_installation_and_rows_with_every_secret_survive_a_round_trip(files, now):
    defaults.create_rules()
    made = ("AlertRule", "EscalationPolicy", "OnCallSchedule", "MaintenanceWindow")
    for label in (*(f"alerts.{name}" for name in made), "synthetic.SyntheticCheck", "remediation.RemediationAction"):
        stored.MAKE[label](1)
    said = documents.exported(None, now)
    assert stored.SECRET not in said
    assert done(files(said, prune=True)) == {}
    for model in EVERYTHING:
        model.objects.all().delete()
    files(said.replace("'********'", "${TOKEN}"), variables={"TOKEN": "https://hooks.example.com/x"})
    assert documents.exported(None, now) == said


def test_a_field_that_names_rows_by_ids_in_the_api_names_them_by_name_in_files():
    for kind in kinds().values():
        offered = kind.serializer().fields
        by_id = {name for name, one in offered.items() if hasattr(one, "queryset") and not one.read_only}
        assert by_id <= set(kind.references) | kind.left_out, kind.section


def test_an_export_reads_well(furnished, now):
    said = documents.exported(None, now)
    assert TOKEN not in said
    rule = said[said.index("  High CPU:") : said.index("maintenance_windows:")]
    assert (
        rule
        == """\
  High CPU:
    rule_description: |-
      Busy.
      Look at the queue first.
    asset_filter:
      environments:
      - production
      tags:
        tier: web
    metric_conditions:
    - metric_name: cpu_usage_percent
      operator: gt
      threshold: 90
    severity: high
    escalation_policy: night shift
    notification_channels:
    - type: slack
      config:
        channel: '#ops'
        bot_token: '********'
"""
    )
    assert "affected_assets:\n    - web-01\n" in said
    assert "rollback_action: scale down" in said
    assert "long ago" not in said


def test_a_plan_says_each_field_and_changes_nothing(furnished, files, now):
    before = documents.exported(None, now)
    changes = files(
        CPU + "  New rule:\n    metric_conditions: [{metric_name: x, operator: lt, threshold: 1}]", applying.plan
    )
    assert list(report.lines(changes)) == [
        '  alert_rules["A busy host that is down"] is in no file and stays; --prune deletes it',
        '~ alert_rules["High CPU"]',
        "    rule_description: Busy. Look at the queue first. → null",
        '    asset_filter.environments: ["production"] → (not there)',
        '    asset_filter.tags: {"tier": "web"} → (not there)',
        "    metric_conditions[0].threshold: 90 → 85",
        "    severity: high → critical",
        "    escalation_policy: night shift → null",
        '    notification_channels[0]: {"type": "slack", "config": {"channel": "#ops", "bot_token": "********"}}'
        " → (not there)",
        '+ alert_rules["New rule"]',
        '    metric_conditions: [{"metric_name": "x", "operator": "lt", "threshold": 1}]',
        "1 to create, 1 to change, 0 to delete; 0 as they are, 1 in no file.",
    ]
    assert documents.exported(None, now) == before


def test_what_is_written_as_it_is_by_default_is_no_change(files):
    said = "alert_rules: {A: {metric_conditions: [{metric_name: x, operator: lt, threshold: 1%s}]%s}}"
    files(said % ("", ""))
    full = said % (", aggregation: avg, time_window: 300", ", severity: medium, threshold_config: {}, runbook_url: ~")
    assert done(files(full, applying.plan)) == {}
    AlertRule.objects.all().delete()
    files(full)
    assert done(files(said % ("", ""), applying.plan)) == {}


def test_a_secret_is_kept_by_its_mask_compared_by_its_value_and_never_shown(furnished, files):
    channel = "    notification_channels: [{type: slack, config: {channel: '#ops', bot_token: %s}}]"
    files(CPU + channel % "'********'")
    channel_now = AlertRule.objects.get(rule_name="High CPU").notification_channels[0]
    assert secrets.reveal(channel_now)["config"]["bot_token"] == TOKEN
    reference = CPU + channel % "'${SLACK}'"
    assert "alert_rules/High CPU" not in done(files(reference, variables={"SLACK": TOKEN}))
    changes = files(reference, variables={"SLACK": "xoxb-another"})
    told = "\n".join(report.lines(changes))
    assert "notification_channels[0].config.bot_token: ******** → ******** (another)" in told
    assert "xoxb" not in told + str(list(AuditEntry.objects.values_list("changes")))
    channel_now = AlertRule.objects.get(rule_name="High CPU").notification_channels[0]
    assert secrets.reveal(channel_now)["config"]["bot_token"] == "xoxb-another"


@pytest.mark.parametrize(
    ("said", "place", "detail"),
    [
        (CPU.replace("critical", "awful"), 'alert_rules["High CPU"].severity', "not a valid choice"),
        (CPU.replace("gt", "above"), 'alert_rules["High CPU"].metric_conditions[0].operator', "Invalid enum value"),
        (CPU + "    colour: red", 'alert_rules["High CPU"].colour', "write one of: rule_description"),
        (CPU + "    id: 7", 'alert_rules["High CPU"].id', "not known here"),
        (CPU + "    is_enabled: 'yes'", 'alert_rules["High CPU"].is_enabled', "send true or false"),
        (CPU + "    escalation_policy: nobody", 'alert_rules["High CPU"].escalation_policy', "no escalation policy"),
        (CPU + "    escalation_policy: [a]", 'alert_rules["High CPU"].escalation_policy', "write a name"),
        ("rules: {}", "rules", "write one of: on_call_schedules"),
        ("alert_rules: [a]", "alert_rules", "entries by their names"),
        ("alert_rules: {a: 7}", 'alert_rules["a"]', "fields with their values"),
        ("- a", "", "write sections"),
        ("alert_rules: {a: {severity: low}}", 'alert_rules["a"].metric_conditions', "required"),
        ("alert_rules: {'': {metric_conditions: []}}", "alert_rules", "blank"),
        (CPU + "    notification_channels: [{type: pagerduty, config: {routing_key: '${KEY}'}}]",
         'alert_rules["High CPU"].notification_channels', "no variable KEY is set here"),
        (CPU + "    notification_channels: [{type: pagerduty, config: {routing_key: '********'}}]",
         'alert_rules["High CPU"].notification_channels', "secret"),
        ("maintenance_windows: {w: {start_time: tomorrow, end_time: 2026-01-01T00:00:00Z}}",
         'maintenance_windows["w"].start_time', "wrong format"),
        ("maintenance_windows: {upgrade: {start_time: 2026-01-01T00:00:00Z, end_time: 2026-01-01T01:00:00Z,"
         " affected_assets: [nowhere]}}", 'maintenance_windows["upgrade"].affected_assets', "has the name 'nowhere'"),
        ("maintenance_windows: {w: {start_time: 2026-01-02T00:00:00Z, end_time: 2026-01-01T00:00:00Z}}",
         'maintenance_windows["w"]', "end must be after"),
        ("synthetic_checks: {home: {check_type: http, target_url: 'https://elsewhere.example.com',"
         " check_config: {headers: {X: '********'}}}}", 'synthetic_checks["home"].check_config', "Enter the secret"),
        ("a: [", "", "line 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_applied_is_told_with_its_place(furnished, files, said, place, detail):
    ((found, told),) = refusals(files, said)
    assert found.startswith(place)
    assert detail in told


def test_all_of_it_is_applied_or_nothing(furnished, files, now):
    before = documents.exported(None, now)
    audited = AuditEntry.objects.count()
    problems = refusals(files, CPU + "  Other:\n    severity: low\nsynthetic_checks:\n  home:\n    check_type: tea")
    assert [place for place, _ in problems] == [
        'alert_rules["Other"].metric_conditions',
        'synthetic_checks["home"].check_type',
    ]
    assert (documents.exported(None, now), AuditEntry.objects.count()) == (before, audited)


def test_entries_may_refer_to_what_comes_later_and_rings_are_refused(files):
    part = "{alert_type: composite, metric_conditions: [], composite_config: {parts: [{kind: rule, rule_name: %s}]}}"
    plain = "{metric_conditions: [{metric_name: x, operator: lt, threshold: 1}]}"
    rules = f"alert_rules:\n  A: {part % 'B'}\n  B: {part % 'C'}\n  C: {plain}\n"
    assert set(done(files(rules)).values()) == {"create"}
    turned = f"alert_rules:\n  A: {plain}\n  B: {part % 'A'}\n  C: {part % 'B'}\n"
    assert set(done(files(turned)).values()) == {"change"}
    ((place, detail),) = refusals(files, f"alert_rules:\n  A: {part % 'C'}")
    assert (place, "cannot ask about itself" in detail) == ('alert_rules["A"].composite_config', True)


def test_pruning_deletes_what_the_sections_of_the_files_do_not_name(furnished, files, now):
    rule = AlertRule.objects.get(rule_name="A busy host that is down")
    assert done(files("synthetic_checks:")) == {"synthetic_checks/home": "unlisted"}
    assert done(files("synthetic_checks: {}\nalert_rules: {}\n", applying.plan, prune=True)) == {
        "synthetic_checks/home": "delete", "alert_rules/High CPU": "delete", f"alert_rules/{rule}": "delete"
    }  # fmt: skip
    assert SyntheticCheck.objects.exists()
    files("synthetic_checks: {}", prune=True)
    assert (SyntheticCheck.objects.exists(), AlertRule.objects.count()) == (False, 2)


def test_a_rule_in_use_is_not_pruned(furnished, files, now):
    cpu = AlertRule.objects.get(rule_name="High CPU")
    cpu.instances.create(alert_key="k", severity="high", first_triggered_at=now, last_triggered_at=now)
    ((place, detail),) = refusals(files, "alert_rules: {}", prune=True)
    assert (place, "it has live alerts" in detail) == ('alert_rules["High CPU"]', True)
    assert AlertRule.objects.count() == 2


def test_a_window_that_is_over_is_left_alone_and_one_of_several_of_its_name_is_not_meant(furnished, files, now):
    said = documents.exported(None, now)
    window = MaintenanceWindow.objects.get(window_name="upgrade")
    MaintenanceWindow.objects.filter(pk=window.pk).update(status="cancelled")
    assert done(files(said)) == {}
    for _ in range(2):
        MaintenanceWindow.objects.create(window_name="twin", start_time=window.start_time, end_time=window.end_time)
    assert "# Left out, since several have this name: maintenance_windows 'twin'" in documents.exported(None, now)
    times = "start_time: 2026-01-01T00:00:00Z, end_time: 2026-01-01T01:00:00Z"
    ((_, detail),) = refusals(files, f"maintenance_windows: {{twin: {{{times}}}}}")
    assert "several have this name" in detail


def test_an_entry_that_stands_in_two_files_is_refused():
    with pytest.raises(Refused, match=re.escape('b.yaml: alert_rules["High CPU"]: stands in a.yaml too')):
        read([("a.yaml", CPU), ("b.yaml", CPU)])


def test_a_person_applies_what_their_roles_allow(furnished, files, person, now):
    developer = person(Role.DEVELOPER)
    files(CPU, person=developer)
    made = "  Another:\n    metric_conditions: [{metric_name: x, operator: lt, threshold: 1}]"
    files(CPU + made, person=developer)
    assert AlertRule.objects.get(rule_name="Another").created_by == developer
    ((place, detail),) = refusals(
        files, "synthetic_checks: {home: {check_type: http, target_url: 'http://a.b'}}", person=developer
    )
    assert (place, "do not allow to change synthetic" in detail) == ('synthetic_checks["home"]', True)
    assert "remediation_actions" not in documents.exported(person(Role.VIEWER), now)


def test_the_number_of_queries_does_not_grow_with_what_is_as_it_should_be(furnished, files, now):
    def queries(said: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            files(said, applying.plan)
        return len(caught)

    few = queries(documents.exported(None, now))
    for number in range(6):
        rule = AlertRule.objects.get(rule_name="High CPU")
        rule.pk, rule.rule_name, rule._state.adding = None, f"rule {number}", True
        rule.save()
    assert queries(documents.exported(None, now)) == few <= 20
