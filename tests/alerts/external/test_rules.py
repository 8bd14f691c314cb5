"""Prometheus's rule files as configuration: what is taken applies, and what is not is listed."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from alerts.external.rules import imported
from alerts.models import AlertRule
from wedsync_monitor.configuration.text import Unreadable, read

NODES = """
groups:
- name: hosts
  interval: 30s
  rules:
  - alert: HostGone
    expr: up == 0
    for: 2m
    labels: {severity: critical, team: platform}
    annotations:
      summary: '{{ $labels.instance }} does not answer'
      runbook_url: https://runbooks.example.com/host-gone
  - alert: BusyHost
    expr: node_load5 > 16
    for: 10m
    keep_firing_for: 5m
    labels: {severity: warning}
  - alert: BusyHost
    expr: node_load5 > 64
    labels: {severity: page}
  - alert: DiskAlmostFull
    expr: node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1
    for: 1h
    labels: {severity: critical}
  - alert: NetworkErrors
    expr: increase(node_network_receive_errs_total[10m]) > 60
    labels: {severity: info}
  - alert: NoHosts
    expr: absent(node_uname_info)
  - alert: ClockOff
    expr: node_timex_offset_seconds > 0.05 or node_timex_offset_seconds < -0.05
    for: 12h
  - record: instance:load:ratio
    expr: node_load5 / 8
"""


def test_a_file_of_rules_for_hosts_is_taken_as_far_as_it_can_be():
    found = imported(NODES)
    assert list(found.entries) == [
        "HostGone",
        "BusyHost",
        "BusyHost (critical)",
        "NetworkErrors",
        "NoHosts",
        "ClockOff",
    ]
    assert found.entries["HostGone"] == {
        "rule_description": "{{ $labels.instance }} does not answer",
        "runbook_url": "https://runbooks.example.com/host-gone",
        "metric_conditions": [
            {"metric_name": "up", "operator": "eq", "threshold": 0, "aggregation": "avg", "time_window": 60}
        ],
        "severity": "critical",
        "evaluation_frequency": 30,
        "threshold_config": {"consecutive_breaches": 5},
    }
    assert found.entries["BusyHost"]["threshold_config"] == {"consecutive_breaches": 21, "keep_firing_seconds": 300}
    assert found.entries["NetworkErrors"]["metric_conditions"][0]["threshold"] == 0.1
    # Twelve hours of evaluations are more than a rule counts: it is evaluated less often.
    terms = found.entries["ClockOff"]
    assert (terms["evaluation_frequency"], terms["threshold_config"]["consecutive_breaches"]) == (44, 983)
    assert found.refused == [
        ("hosts/DiskAlmostFull", "it computes with two metrics (node_filesystem_avail_bytes / "
         "node_filesystem_size_bytes); a rule compares each with a number"),
        ("hosts/instance:load:ratio", "a recording rule makes a series, and no alert"),
    ]  # fmt: skip
    assert ("hosts/HostGone", "the label team is left out: alerts carry their asset's labels") in found.notes
    assert read(found.written) == {"alert_rules": found.entries}
    assert "# Not taken: hosts/DiskAlmostFull: it computes with two metrics" in found.written


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("a: [", "line 1"),
        ("- a", "groups"),
        ("groups: 7", "groups"),
        ("groups: [{name: a, rules: [{alert: b}]}]", "expr"),
    ],
)
def test_what_is_no_file_of_rules_is_refused(said, problem):
    with pytest.raises(Unreadable, match=problem):
        imported(said)


@pytest.mark.parametrize("field", ["for: soon", "for: -1", "keep_firing_for: 2d", "for: 999999999y"])
def test_a_duration_that_cannot_be_kept_leaves_its_rule_out(field):
    found = imported(f"groups: [{{name: a, rules: [{{alert: b, expr: x > 1, {field}}}]}}]")
    assert (found.entries, len(found.refused)) == ({}, 1)
    assert found.refused[0][1].startswith(field.split(":")[0])


def test_a_rule_resource_of_kubernetes_is_read():
    assert list(
        imported("kind: PrometheusRule\nspec: {groups: [{name: a, rules: [{alert: b, expr: x > 1}]}]}").entries
    ) == ["b"]


@pytest.mark.usefixtures("database")
def test_what_is_taken_applies(tmp_path):
    source, target = tmp_path / "nodes.yml", tmp_path / "rules.yaml"
    source.write_text(NODES)
    told = io.StringIO()
    with pytest.raises(SystemExit, match="2"):
        call_command("config", "import-prometheus", source, "--output", target, stderr=told)
    assert told.getvalue().splitlines()[-1] == "6 rules taken, 2 not."
    call_command("config", "apply", target, stdout=io.StringIO())
    assert AlertRule.objects.count() == 6
    with pytest.raises(CommandError, match="is a folder"):
        call_command("config", "import-prometheus", tmp_path)
