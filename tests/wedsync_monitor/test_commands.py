"""The commands that make tokens and keys."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django_celery_beat.models import PeriodicTask
from rest_framework.test import APIClient

from assets.models import AgentKey, InfrastructureAsset, MonitoringAgent
from wedsync_monitor.models import AuditEntry, User
from wedsync_monitor.policy import Role, roles_of

pytestmark = pytest.mark.django_db


def run(*arguments: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue().strip()


def bearing(secret: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def test_a_token_opens_the_api_for_the_person_it_makes() -> None:
    token = run("api_token", "me", role="sre")
    assert bearing(token).get("/api/monitoring/assets").status_code == 200
    person = User.objects.get(username="me")
    assert roles_of(person) == {Role.SRE}
    assert not person.has_usable_password()


def test_a_token_without_a_role_gives_none() -> None:
    run("api_token", "me")
    assert not roles_of(User.objects.get(username="me"))


def test_a_second_token_leaves_the_person_and_the_first_token_as_they_are(person: Any) -> None:
    known = person(Role.VIEWER, username="known")
    first, second = run("api_token", "known"), run("api_token", "known")
    assert first != second
    assert all(bearing(one).get("/api/monitoring/assets").status_code == 200 for one in (first, second))
    assert User.objects.get(username="known").check_password("a long pass phrase")
    assert roles_of(User.objects.get(pk=known.pk)) == {Role.VIEWER}


def test_a_read_token_changes_nothing() -> None:
    token = run("api_token", "me", role="system_admin", scope="read")
    assert bearing(token).get("/api/monitoring/assets").status_code == 200
    assert bearing(token).post("/api/monitoring/assets", {}, format="json").status_code == 403


def test_a_role_that_does_not_exist_is_refused() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        run("api_token", "me", "--role", "king")
    assert not User.objects.filter(username="me").exists()


def test_the_audit_trail_names_the_command_line_and_not_the_token() -> None:
    token = run("api_token", "me", role="sre")
    entries = AuditEntry.objects.filter(actor_name="command line")
    assert entries.filter(table_name="api_tokens").exists()
    assert not any(token in str(entry.changes) for entry in entries)


def test_an_agents_key_is_for_its_asset(asset: Any) -> None:
    web = asset("web-01")
    secret = run("enroll_agent", "web-01 agent", asset="web-01")
    assert secret.startswith("wsa_")
    assert MonitoringAgent.objects.get(agent_name="web-01 agent").asset == web


def test_a_second_key_of_an_agent_does_not_make_a_second_agent(asset: Any) -> None:
    asset("web-01")
    run("enroll_agent", "web-01 agent", asset="web-01")
    run("enroll_agent", "web-01 agent", asset="web-01")
    assert MonitoringAgent.objects.count() == 1
    assert AgentKey.objects.count() == 2


def test_an_asset_that_is_missing_is_named() -> None:
    with pytest.raises(CommandError, match="no asset named 'web-99'"):
        run("enroll_agent", "web-99 agent", asset="web-99")
    assert not MonitoringAgent.objects.exists()


def test_a_missing_asset_is_registered_where_that_is_asked_for() -> None:
    run("enroll_agent", "web-99 agent", asset="web-99", create=True)
    assert InfrastructureAsset.objects.get().asset_name == "web-99"


def test_an_agent_of_another_asset_is_not_taken_over(asset: Any) -> None:
    asset("web-01"), asset("web-02")
    run("enroll_agent", "the agent", asset="web-01")
    with pytest.raises(CommandError, match="another asset"):
        run("enroll_agent", "the agent", asset="web-02")


def test_a_key_file_is_private_and_never_overwritten(asset: Any, tmp_path: Path) -> None:
    asset("web-01")
    path = tmp_path / "agent-key"
    assert run("enroll_agent", "web-01 agent", asset="web-01", key_file=path) == ""
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="never written over"):
        run("enroll_agent", "web-01 agent", asset="web-01", key_file=path)
    assert AgentKey.objects.count() == 1


def test_a_platform_of_its_own_is_prepared_without_running_anything(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    run("prepare")
    run("prepare")
    assert roles_of(User.objects.get(username="admin")) == {Role.SYSTEM_ADMIN}
    assert PeriodicTask.objects.filter(task="wedsync_monitor.tasks.maintain_partitions", enabled=True).exists()
    assert (tmp_path / "agent-key").exists()
