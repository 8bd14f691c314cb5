"""A check tried out over REST: the timing comes back, and nothing is kept."""

from __future__ import annotations

import pytest

from synthetic import trying
from synthetic.models import CheckPlace, SyntheticCheckResult
from tests.answers import fields_of, is_problem
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/api/monitoring/synthetic/checks"
PHASES = {"dns_lookup_ms", "connection_ms", "tls_handshake_ms", "first_byte_ms", "download_ms"}


def test_a_stored_check_runs_now_and_its_verdict_stays_what_it_was(api, check, target):
    target.status = 503
    one = check("one", check_config={"headers": {"Authorization": "Bearer t0p-secret"}})
    before = CheckPlace.objects.values().get()
    answer = api(Role.OPS_ENGINEER).post(f"{URL}/{one.pk}/test")
    assert answer.status_code == 200, answer.content
    said = answer.json()
    assert (said["status"], said["status_code"]) == ("failure", 503)
    assert said["response_body_preview"] == "Book your wedding"
    assert "503" in said["error_message"]
    assert set(said["network_timing"]) == PHASES
    assert abs(sum(said["network_timing"].values()) - said["response_time_ms"]) <= 1
    assert [seen["authorization"] for seen in target.requests] == ["Bearer t0p-secret"]
    assert CheckPlace.objects.values().get() == before
    assert not SyntheticCheckResult.objects.exists()


def test_a_check_is_tried_before_it_is_saved(api, target):
    body = {"check_name": "new", "check_type": "http", "target_url": target.url, "check_config": {}}
    answer = api(Role.SRE).post(f"{URL}/test", body, format="json")
    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert fields_of(api(Role.SRE).post(f"{URL}/test", body | {"check_config": {"method": "BREW"}}, format="json"))
    assert fields_of(api(Role.SRE).post(f"{URL}/test", {"check_type": "dns"}, format="json")) == {"target_host"}


def test_what_may_not_be_reached_is_a_failure_that_says_why(api, settings):
    body = {"check_type": "http", "target_url": "http://169.254.169.254/latest"}
    said = api(Role.SRE).post(f"{URL}/test", body, format="json").json()
    assert said["status"] == "failure"
    assert "metadata" in said["error_message"]


def test_no_more_are_tried_at_once_than_a_server_can_bear(api, check, monkeypatch):
    monkeypatch.setattr(trying, "_places", trying.threading.BoundedSemaphore(1))
    with trying._places:
        answer = api(Role.SRE).post(f"{URL}/{check().pk}/test")
    assert is_problem(answer, 429)


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER])
def test_who_may_not_change_checks_tries_none(api, check, target, role):
    assert api(role).post(f"{URL}/{check().pk}/test").status_code == 403
    assert target.requests == []
