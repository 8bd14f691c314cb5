"""The configuration over REST: exported, planned and applied as YAML."""

from __future__ import annotations

import pytest

from alerts.models import AlertRule
from tests.answers import fields_of, is_problem
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database", "furnished")
CONFIG = "/api/monitoring/config"
RENAMED = """
synthetic_checks:
  home: {check_type: http, target_url: 'https://example.com', check_config: {headers: {X: '********'}}}
  shop: {check_type: http, target_url: 'https://example.com/shop'}
"""


def post(client, what, said, content_type="application/yaml"):
    return client.generic("POST", f"{CONFIG}/{what}", said, content_type=content_type)


def test_an_export_is_planned_and_a_change_applied(api, person):
    sue = person(Role.SRE, username="sue")
    client = api(user=sue)
    exported = client.get(CONFIG)
    assert exported["Content-Type"] == "application/yaml; charset=utf-8"
    assert {one["action"] for one in post(client, "plan", exported.content).json()["changes"]} == {"unchanged"}
    planned = post(client, "plan", RENAMED).json()
    assert planned["summary"].startswith("1 to create, 0 to change, 0 to delete; 1 as they are")
    assert planned["changes"][1] == {
        "section": "synthetic_checks", "name": "shop", "action": "create", "differences": [
            {"field": "check_type", "after": "http"}, {"field": "target_url", "after": "https://example.com/shop"}
        ],
    }  # fmt: skip
    assert post(client, "apply?prune=true", RENAMED).json() == planned
    assert AuditEntry.objects.get(object_name="shop").actor == sue
    assert post(client, "apply?prune=true", "alert_rules: {}").status_code == 200
    assert not AlertRule.objects.exists()


def test_what_cannot_be_applied_is_a_problem_with_its_places(api):
    client = api(Role.SYSTEM_ADMIN)
    assert fields_of(post(client, "apply", "synthetic_checks: {home: {check_type: tea}}\nrules: {}")) == {"rules"}
    assert fields_of(post(client, "plan", "synthetic_checks: {home: {check_type: tea}}")) == {
        'synthetic_checks["home"].check_type'
    }
    reference = "synthetic_checks: {a: {check_type: http, check_config: {headers: {X: '${PATH}'}}}}"
    assert fields_of(post(client, "plan", reference)) == {'synthetic_checks["a"].check_config'}
    assert fields_of(post(client, "plan", "a: [")) == {""}
    assert fields_of(post(client, "plan?prune=1", "")) == {"prune"}
    assert is_problem(post(client, "plan", b"\xff"), 400)
    assert is_problem(post(client, "plan", "{}", "application/json"), 415)


def test_a_file_that_is_too_large_is_refused(api, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert is_problem(post(api(Role.SRE), "plan", "#" * 1001), 413)
