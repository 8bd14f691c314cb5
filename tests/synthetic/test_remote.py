"""A location that is an agent: it runs what it is told, also while the server is away, and its results count here."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from rest_framework.test import APIClient
from wedsync_agent.checking import Checking
from wedsync_agent.configuration import Local
from wedsync_agent.probing import Prober
from wedsync_agent.spool import Spool

from assets.authentication import issue_key
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from assets.models import MonitoringAgent
from synthetic import places
from synthetic.models import CheckPlace, ProbeLocation, SyntheticCheckResult
from tests.answers import fields_of

pytestmark = pytest.mark.usefixtures("committed")
URL = "/api/monitoring/agents/checks"


@pytest.fixture
def agent(asset):
    return MonitoringAgent.objects.create(agent_name="eu-west", agent_type="synthetic", asset=asset("probe-1"))


@pytest.fixture
def own(agent, now):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_key(agent, now)[1]}")
    return client


class Line:
    """HTTP from the agent to this server's own views; while it is cut, requests fail."""

    def __init__(self, client: APIClient):
        self.client, self.is_cut = client, False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.is_cut:
            raise httpx.ConnectError("cut off")
        said = {"HTTP_IF_NONE_MATCH": request.headers["If-None-Match"]} if "If-None-Match" in request.headers else {}
        answer = self.client.generic(request.method, request.url.path, request.content, "application/json", **said)
        return httpx.Response(answer.status_code, headers=dict(answer.items()), content=answer.content)


@pytest.fixture
def checking(own, tmp_path, now):
    local = Local("http://server", tmp_path / "key", tmp_path, allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
    line = Line(own)
    spool = Spool(tmp_path / "results")
    with (
        Prober(pause_seconds=0) as prober,
        httpx.Client(transport=httpx.MockTransport(line), base_url="http://s") as http,
    ):
        made = Checking(local, http, dict, spool, prober, clock=lambda: made.at)
        made.at, made.line = now.timestamp(), line
        yield made
    spool.close()


def run(checking, ended: int = 1) -> None:
    while ended > 0:
        ended -= checking.step(5)


def test_an_agent_runs_its_checks_through_an_outage_of_the_server(check, target, checking, now):
    one = check("one", locations=["eu-west"], check_frequency=60)
    checking.fetch()
    run(checking)
    checking.line.is_cut, target.status = True, 503
    assert checking.report() > 0
    checking.at += 180
    run(checking)
    assert checking.step(0) == 0
    checking.line.is_cut = False
    assert checking.report() == 0
    assert checking.spool.depth_bytes() == 0
    statuses = one.results.order_by("check_timestamp").values_list("status", "location")
    assert list(statuses) == [("success", "eu-west"), ("failure", "eu-west")]
    later = now + timedelta(seconds=180)
    found = query.read(SeriesSelector(("check_up",)), now - timedelta(minutes=1), later)
    assert found.of(0)[1].tolist() == [1, 0]
    place = CheckPlace.objects.get()
    assert (place.state, place.missed) == ("down", 2)
    checking.fetch()
    assert ProbeLocation.objects.get().location_name == "eu-west"


def test_a_result_that_is_sent_again_is_the_same_result(check, checking, own, now):
    one = check("one", locations=["eu-west"], failure_threshold=2)
    result = {"id": str(uuid4()), "check_id": str(one.pk), "check_timestamp": now.isoformat(), "status": "failure"}
    for _ in range(2):
        answer = own.post(f"{URL}/results", {"results": [result]}, format="json")
        assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
    assert SyntheticCheckResult.objects.count() == 1
    assert CheckPlace.objects.get().failures_in_a_row == 1


def test_what_an_agent_may_not_say_is_refused(check, own, agent, now):
    other = check("other", locations=["us-east"])
    result = {"id": str(uuid4()), "check_id": str(other.pk), "check_timestamp": now.isoformat(), "status": "success"}
    future = result | {"check_timestamp": (now + timedelta(hours=1)).isoformat()}
    answer = own.post(f"{URL}/results", {"results": [result, future]}, format="json").json()
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (0, [1])
    assert not SyntheticCheckResult.objects.exists()
    assert fields_of(own.post(f"{URL}/results", {"results": [result | {"status": "fine"}]}, format="json"))
    assert own.get(URL).json()["checks"] == []
    MonitoringAgent.objects.update(agent_type="system")
    assert own.get(URL).status_code == own.post(f"{URL}/results", {"results": []}, format="json").status_code == 403


def test_a_location_that_died_is_unknown_and_its_checks_are_overdue(check, target, checking, run_at, now):
    one = check("one", locations=["eu-west", "local"], check_frequency=60)
    target.status = 503
    checking.fetch()
    run(checking)
    checking.report()
    target.status = 200
    run_at(now)
    later = now + timedelta(minutes=10)
    run_at(later)
    found = query.read(SeriesSelector(("check_up",)), now - timedelta(minutes=1), later)
    assert found.of(0)[1].tolist()[-1] == 1
    assert places.overdue(later) == {"eu-west": 1}
    assert set(one.places.values_list("state", flat=True)) == {"down", "up"}
