"""kill -9 of every process during ingestion and evaluation: nothing acknowledged is lost, nothing is told twice or not
at all, and the system comes up again by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import httpx
import pytest

from tests.journeys.system import System, eventually
from tests.journeys.test_main_job import rule, send

pytestmark = pytest.mark.system


class Pushing:
    """Sends numbered samples until stopped, and keeps those that were acknowledged."""

    def __init__(self, system: System, metric: str):
        self.system, self.metric = system, metric
        self.host = system.host()
        self.acknowledged: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Pushing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        headers = dict(self.system.http.headers)
        with httpx.Client(base_url=self.system.url, headers=headers, timeout=20) as http:
            number = 0
            while not self._stop.is_set():
                number += 1
                sample = {"asset_id": self.host["id"], "metric_name": self.metric, "metric_value": number}
                sample["collection_timestamp"] = time.time()
                try:
                    if http.post("/api/monitoring/metrics", json=sample).status_code == 200:
                        self.acknowledged.append(number)
                except httpx.HTTPError:
                    pass
                self._stop.wait(0.02)

    def stored(self) -> set[int]:
        found = self.system.get(f"assets/{self.host['id']}/metrics", metric=self.metric, points=10000)
        return {int(point["value"]) for point in found["metric_history"]["metrics"].get(self.metric, [])}


@pytest.mark.parametrize(
    ("name", "victim"),
    [
        ("web", ("granian",)),
        ("evaluation", ("celery", "evaluation")),
        ("delivery", ("celery", "delivery")),
        ("beat", ("celery", " beat")),
        ("postgres", ("bin/postgres", "-D")),
        ("redis", ("redis-server",)),
    ],
)
def test_a_killed_process_comes_back_and_nothing_acknowledged_is_lost(system, receiver, name, victim):
    metric = f"kill_{name}"
    rule(system, receiver.url, metric)
    with Pushing(system, metric) as pushing:
        eventually(lambda: len(pushing.acknowledged) > 20)
        system.kill(*victim)
        before = len(pushing.acknowledged)
        eventually(lambda: len(pushing.acknowledged) > before + 20, 60)
        eventually(lambda: system.http.get("/readyz").status_code == 200, 60)
        eventually(lambda: "opened" in receiver.events(), 30)
    assert set(pushing.acknowledged) <= pushing.stored()
    # What is missing has not recovered: only values below the threshold end the alert.
    eventually(lambda: send(system, metric, 1) or "resolved" in receiver.events(), 40)
    # On a slow machine the gap may have been long enough to be told as missing data; nobody is woken by that.
    told = [event for event in receiver.events() if not event.startswith("data_")]
    assert told == ["opened", "resolved"]
    alerts = [
        one for one in system.get("alerts/instances")["alerts"] if one["context_data"].get("metric_name") == metric
    ]
    assert len(alerts) == 1


def test_after_everything_was_killed_a_second_start_recovers(system):
    metric = "kill_all"
    with Pushing(system, metric) as pushing:
        eventually(lambda: len(pushing.acknowledged) > 20)
        assert system.process is not None
        os.killpg(system.process.pid, signal.SIGKILL)
        for process in system.processes():
            process.kill()
    system.process.wait()
    system.start()
    assert set(pushing.acknowledged) <= eventually(pushing.stored)


def test_ctrl_c_leaves_no_process_behind(system):
    assert len(system.processes()) >= 6
    system.stop()
    left: list[Any] = system.processes()
    assert left == []
