"""A whole agent at work against a server on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wedsync_agent import runner as module
from wedsync_agent.configuration import Local
from wedsync_agent.runner import Runner
from wedsync_agent.wire import Reading


def eventually(is_so: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := is_so()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        threading.Event().wait(0.02)
    return answer


@pytest.fixture
def runner(answering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    monkeypatch.delenv("WEDSYNC_AGENT_KEY", raising=False)
    monkeypatch.setattr(module, "FIRST_LOOK_SECONDS", 0.2)
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.1)
    local = Local(answering.url, tmp_path / "key", tmp_path)
    local.keep_key("wsa_held")
    made = Runner(local)
    yield made
    made.stopping.set()
    made.spool.close()
    made.http.close()
    made.exporters.close()


@pytest.fixture
def at_work(runner: Runner) -> Iterator[Callable[[], None]]:
    thread = threading.Thread(target=runner.run)
    yield thread.start
    runner.stopping.set()
    thread.join(10)
    assert not thread.is_alive()


def test_what_the_host_does_reaches_the_server(answering, runner, at_work):
    at_work()
    eventually(lambda: answering.columns)
    assert {"memory_usage_percent", "disk_usage_percent", "load_1m", "agent_dropped_samples"} < set(answering.series())
    eventually(lambda: {"cpu_usage_percent", "cpu_usage_percent_max"} < set(answering.series()))
    eventually(lambda: runner.spool.depth_bytes() == 0)
    assert answering.keys == {"wsa_held"}


def test_the_agent_tells_how_it_is_and_what_it_found_and_does_what_it_is_told(answering, runner, at_work):
    answering.answers["agents/configuration"]["agent_config"] = {"collectors": ["memory"]}
    at_work()
    eventually(lambda: runner.wanted.collectors == ("memory",))
    eventually(lambda: answering.said["agents/discoveries"])
    beat = eventually(lambda: [one for one in answering.said["agents/heartbeat"] if one["metrics_collected"]])[-1]
    assert (beat["health_status"], beat["last_error"], beat["dropped_samples"]) == ("healthy", None, 0)
    assert beat["bytes_transmitted"] > 0
    eventually(lambda: "load_1m" not in {key.metric_name for key in answering.columns[-1].series})


def test_exporters_are_read_and_a_series_that_does_not_fit_costs_no_other(answering, runner, at_work):
    answering.page = f'guests{{table="1"}} 8\nguests{{table="{"x" * 501}"}} 9\ncakes 3\n'
    answering.answers["agents/configuration"]["agent_config"] = {
        "exporters": [
            {"url": f"{answering.url}/metrics", "labels": {"venue": "barn"}},
            {"url": "http://127.0.0.1:9/metrics"},
        ]
    }
    at_work()
    eventually(lambda: "cakes" in answering.series())
    assert answering.series()["guests"] == {(("table", "1"), ("venue", "barn"))}
    beat = eventually(lambda: [one for one in answering.said["agents/heartbeat"] if one["dropped_samples"]])[-1]
    assert beat["health_status"] == "degraded"
    assert "1 readings like 'guests'" in beat["last_error"]
    assert "exporter http://127.0.0.1:9/metrics" in beat["last_error"]


def test_a_key_that_is_due_is_replaced_and_used(answering, runner, at_work):
    answering.answers["agents/heartbeat"]["key_rotation_due"] = True
    at_work()
    eventually(lambda: "wsa_rotated" in answering.keys)
    assert (runner.local.spool / "key").read_text().strip() == "wsa_rotated"


def test_without_a_key_it_measures_and_waits(answering, runner, at_work):
    runner.local.key_file.unlink()
    at_work()
    eventually(lambda: runner.spool.depth_bytes() > 0)
    assert answering.said == {}
    runner.local.keep_key("wsa_late")
    eventually(lambda: answering.columns)
    assert answering.keys == {"wsa_late"}


def test_a_server_that_is_away_costs_nothing(answering, runner, at_work):
    answering.status = 503
    at_work()
    eventually(lambda: runner.sender.totals.last_error)
    eventually(lambda: runner.spool.depth_bytes() > 0)
    first = int(eventually(lambda: answering.columns)[0].timestamps[0])
    answering.columns.clear()
    answering.status = 200
    assert int(eventually(lambda: answering.columns)[0].timestamps[0]) == first
    eventually(lambda: runner.spool.depth_bytes() == 0)


def test_readings_that_do_not_fit_are_counted(runner):
    kept = runner._fitting([Reading("a", 1), Reading("b" * 201, 2), Reading("c", 3)])
    assert [reading.name for reading in kept] == ["a", "c"]
    assert runner._dropped_samples() == 1
