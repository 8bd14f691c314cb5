"""From a sample that is pushed to a running system to the alert it opens and the webhook that tells of it."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator

import psutil

from benchmarks.figures import Figure
from benchmarks.system import running
from tests.journeys.system import System
from tests.receivers import Receiver

ROUNDS = 15
LONGEST_SECONDS = 30


def measure() -> Iterator[Figure]:
    """A rule that is evaluated every second; each round breaches a metric of its own, at any point of the second."""
    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with running() as system:
        system.post("alerts/rules", _rule(receiver.url))
        _seconds_until(lambda: bool(system.get("alerts/rules", q="detection")["rules"][0]["evaluation"]))
        opened, told = [], []
        for number in range(ROUNDS):
            asset = f"detected-{number}"
            system.post("assets", _asset(asset))
            time.sleep(0.37)
            system.post("metrics", {"asset_id": asset, "metric_name": "detection_value", "metric_value": 50})
            began = time.perf_counter()
            _seconds_until(lambda number=number: len(_open(system)) > number)
            opened.append(time.perf_counter() - began)
            _seconds_until(lambda number=number: len(receiver.got) > number)
            told.append(time.perf_counter() - began)
        memory = _evaluator(system)
    receiver.shutdown()
    yield Figure(f"sample stored → alert open, rule of 1 s (median of {ROUNDS})", statistics.median(opened), "s")
    yield Figure("sample stored → webhook delivered (median)", statistics.median(told), "s")
    yield Figure("sample stored → webhook delivered (longest)", max(told), "s", 3, at_most=True)
    yield Figure("memory of the evaluator's process", memory, "MiB")


def _rule(url: str) -> dict[str, object]:
    return {
        "rule_name": "detection",
        "metric_conditions": [
            {"metric_name": "detection_value", "operator": "gt", "threshold": 10, "aggregation": "max"}
        ],
        "severity": "critical",
        "evaluation_frequency": 1,
        "notification_channels": [{"type": "webhook", "config": {"url": url, "secret": "bench"}}],
    }


def _asset(name: str) -> dict[str, str]:
    described = {"asset_type": "server", "asset_category": "compute", "environment": "production"}
    return {"asset_name": name} | described


def _open(system: System) -> list[object]:
    found: list[object] = system.get("alerts/instances", status="open", page_size=100)["alerts"]
    return found


def _seconds_until(what: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + LONGEST_SECONDS
    while not what():
        assert time.perf_counter() < deadline, "nothing was detected"
        time.sleep(0.02)


def _evaluator(system: System) -> float:
    found: list[psutil.Process] = system.processes("--queues", "evaluation")
    return max(process.memory_info().rss for process in found) / 2**20
