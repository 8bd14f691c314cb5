"""`manage.py config`: what it prints and how it exits."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from alerts.models import AlertRule
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database", "furnished")


def run(*arguments: str) -> tuple[int, str]:
    out, code = io.StringIO(), 0
    try:
        call_command("config", *map(str, arguments), stdout=out)
    except SystemExit as stopped:
        code = stopped.code
    return code, out.getvalue()


def test_a_folder_is_planned_and_applied_as_a_person(tmp_path, person, monkeypatch):
    person(Role.SRE, username="sue")
    run("export", tmp_path / "all.yaml")
    assert run("plan", tmp_path) == (0, "0 to create, 0 to change, 0 to delete; 8 as they are, 0 in no file.\n")
    said = (tmp_path / "all.yaml").read_text()
    (tmp_path / "all.yaml").write_text(
        said.replace("threshold: 90", "threshold: 85").replace("'********'", "${SECRET}")
    )
    monkeypatch.setenv("SECRET", "another")
    code, told = run("plan", tmp_path)
    assert (code, "metric_conditions[0].threshold: 90 → 85" in told) == (2, True)
    assert run("apply", tmp_path, "--as", "sue")[0] == 0
    assert AlertRule.objects.get(rule_name="High CPU").metric_conditions[0]["threshold"] == 85
    assert AuditEntry.objects.filter(actor_name="sue", action="change").count() == 2
    assert run("plan", tmp_path)[0] == 0


def test_what_cannot_be_applied_says_in_which_file(tmp_path):
    (tmp_path / "rules.yml").write_text("alert_rules:\n  High CPU:\n    severity: awful\n")
    with pytest.raises(CommandError, match=r'rules.yml: alert_rules\["High CPU"\].severity: .*awful(.|\n)*Nothing'):
        run("apply", tmp_path)
    (tmp_path / "empty").mkdir()
    for path, problem in (("none", "that can be read"), ("empty", "at least one file")):
        with pytest.raises(CommandError, match=problem):
            run("apply", tmp_path / path)
    with pytest.raises(CommandError, match="Nobody active has the user name 'nemo'"):
        run("plan", tmp_path, "--as", "nemo")


def test_a_section_is_exported_alone():
    assert run("export", "--section", "synthetic_checks")[1].startswith("synthetic_checks:\n  home:\n")
    with pytest.raises(CommandError, match="there are: on_call_schedules"):
        run("export", "--section", "checks")
