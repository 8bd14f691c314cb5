"""What a new installation starts with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.apps import apps
from django_celery_beat.models import PeriodicTask

from alerts.models import AlertRule
from alerts.vitals import HEARTBEAT_RULE
from assets.authentication import find_agent_key
from assets.models import AgentKey, InfrastructureAsset
from wedsync_monitor.embedded import first_start
from wedsync_monitor.embedded.keys import write_private
from wedsync_monitor.models import User
from wedsync_monitor.policy import Role, roles_of
from wedsync_monitor.selfmonitoring import recording
from wedsync_monitor.selfmonitoring.limits import LIMITS

pytestmark = pytest.mark.django_db


def rows() -> dict[str, int]:
    return {model._meta.label: model._base_manager.count() for model in apps.get_models() if model._meta.managed}


def test_a_new_installation_has_an_administrator_this_machine_rules_and_ticks(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    admin = User.objects.get(username="admin")
    assert admin.check_password((tmp_path / "admin-password").read_text().strip())
    assert roles_of(admin) == {Role.SYSTEM_ADMIN}
    assert InfrastructureAsset.objects.exclude(pk=recording.ASSET).count() == AgentKey.objects.count() == 1
    assert AlertRule.objects.filter(rule_name="High CPU usage").exists()
    assert PeriodicTask.objects.filter(task="alerts.tasks.evaluate_due_rules", enabled=True).exists()


def test_a_new_installation_watches_itself(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    assert InfrastructureAsset.objects.get(pk=recording.ASSET).asset_name == "wedsync-monitor"
    assert AlertRule.objects.filter(rule_name__startswith="Monitoring: ").count() == len(LIMITS) + 1
    ticks = PeriodicTask.objects.filter(task__startswith="wedsync_monitor.tasks.", enabled=True)
    assert {"observe system", "signal outside"} <= set(ticks.values_list("name", flat=True))


def test_an_upgrade_makes_what_watches_itself_and_leaves_what_a_person_deleted(tmp_path: Path) -> None:
    AlertRule.objects.create(
        rule_name="mine", metric_conditions=[{"metric_name": "a", "operator": "gt", "threshold": 1}]
    )
    first_start.prepare(tmp_path)
    assert AlertRule.objects.count() == 1 + len(LIMITS) + 4
    AlertRule.objects.all().delete()
    first_start.prepare(tmp_path)
    assert AlertRule.objects.filter(pk=HEARTBEAT_RULE).exists()
    assert not AlertRule.objects.filter(rule_name__in=[limit.rule for limit in LIMITS]).exists()


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    for name in ("admin-password", "agent-key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    before, files = rows(), {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    first_start.prepare(tmp_path)
    assert rows() == before
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def enrolled(folder: Path) -> AgentKey | None:
    return find_agent_key((folder / "agent-key").read_text().strip(), datetime.now(UTC))


def test_a_database_that_does_not_know_this_machines_key_gets_a_new_one(tmp_path: Path) -> None:
    write_private(tmp_path / "agent-key", "wsa_of_another_database")
    first_start.prepare(tmp_path)
    assert enrolled(tmp_path)
    assert (tmp_path / "agent-key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_ran_out_while_the_machine_was_off_is_replaced(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    AgentKey.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    first_start.prepare(tmp_path)
    assert enrolled(tmp_path)


def test_a_key_that_a_person_revoked_stays_revoked(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    AgentKey.objects.update(revoked_at=datetime.now(UTC))
    first_start.prepare(tmp_path)
    assert enrolled(tmp_path) is None


def test_a_password_that_was_changed_stays(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    admin = User.objects.get(username="admin")
    admin.set_password("of my own choosing")
    admin.save()
    first_start.prepare(tmp_path)
    assert User.objects.get(username="admin").check_password("of my own choosing")


def test_a_start_that_died_before_the_administrator_was_made_uses_the_password_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "admin-password").write_text("written before\n")
    first_start.prepare(tmp_path)
    assert User.objects.get(username="admin").check_password("written before")


def test_rules_that_a_person_deleted_do_not_come_back_one_by_one(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    AlertRule.objects.filter(rule_name="Heavy swapping").delete()
    first_start.prepare(tmp_path)
    assert not AlertRule.objects.filter(rule_name="Heavy swapping").exists()


def test_a_tick_that_a_person_switched_off_stays_off(tmp_path: Path) -> None:
    first_start.prepare(tmp_path)
    PeriodicTask.objects.filter(name="watch agents").update(enabled=False)
    first_start.prepare(tmp_path)
    assert not PeriodicTask.objects.get(name="watch agents").enabled
