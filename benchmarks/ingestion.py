"""Ingestion through the real server, with authentication and commit: single samples, batches, agents' pushes."""

from __future__ import annotations

import json
import random
import struct
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import zstandard

from benchmarks.figures import Figure
from benchmarks.load import Load, drive, request
from benchmarks.system import running
from tests.journeys.system import System

PATH = "/api/monitoring/metrics"
ASSETS = 10
SINGLES, BATCHES, BATCH, PUSHES = 10_000, 200, 1_000, 4_000
SERIES, INSTANTS, SPOOLED = 100, 60, 400


def measure() -> Iterator[Figure]:
    with running() as system:
        assets = [_asset(system, f"asset-{number}") for number in range(ASSETS)]
        keys = [_agent(system, asset, f"bench-{number}") for number, asset in enumerate(assets)]
        person = {"Authorization": system.http.headers["Authorization"], "Content-Type": "application/json"}
        _warm_up(system, person)
        yield from _at_once(system, person)
        yield from _singles(system, person)
        yield from _batches(system, person)
        yield from _pushes(system, keys)
        yield from _spooled(system, keys)


def _asset(system: System, name: str) -> str:
    body = {"asset_name": name, "asset_type": "server", "asset_category": "compute", "environment": "production"}
    return str(system.post("assets", body)["id"])


def _agent(system: System, asset_id: str, name: str) -> str:
    token = system.post("agents/enrolment-tokens", {"agent_name": name, "asset_id": asset_id})["token"]
    return str(system.post("agents/enrol", {"token": token, "agent_version": "bench"})["key"])


def _sample(number: int, at: float) -> dict[str, Any]:
    return {
        "asset_id": f"asset-{number % ASSETS}",
        "metric_name": "cpu_usage_percent",
        "metric_value": random.random() * 100,
        "collection_timestamp": at,
    }


def _warm_up(system: System, headers: dict[str, str]) -> None:
    started = time.time() - 3600
    drive(
        system.port,
        [request(PATH, json.dumps(_sample(n, started + n / 1000)).encode(), headers) for n in range(1000)],
        32,
    )


def _figures(what: str, load: Load, samples: int, goal: float | None, unit: str = "samples/s") -> Iterator[Figure]:
    assert load.failures() == 0, f"{what}: {load.statuses}"
    yield Figure(what, samples / load.seconds, unit, goal)
    yield Figure(f"{what}: 99th percentile of the answer", load.percentile(0.99) * 1000, "ms")


def _at_once(system: System, headers: dict[str, str]) -> Iterator[Figure]:
    """The specification's test: 1,000 submissions at the same time, each on a connection of its own."""
    now = time.time()
    sent = [request(PATH, json.dumps(_sample(n, now + n / 1000)).encode(), headers) for n in range(1000)]
    load = drive(system.port, sent, 1000)
    assert load.failures() == 0, load.statuses
    yield Figure("1,000 concurrent submissions, all stored", load.seconds, "s", 10, at_most=True)


def _singles(system: System, headers: dict[str, str]) -> Iterator[Figure]:
    now = time.time() - 600
    sent = [request(PATH, json.dumps(_sample(n, now + n / 100)).encode(), headers) for n in range(SINGLES)]
    yield from _figures("single samples", drive(system.port, sent, 32), SINGLES, 1_000, "requests/s")


def _batches(system: System, headers: dict[str, str]) -> Iterator[Figure]:
    """JSON batches of one metric of ten assets."""
    began = time.time() - 40_000
    bodies = [
        json.dumps({"metrics": [_sample(n, began + (batch * BATCH + n) / 10) for n in range(BATCH)]}).encode()
        for batch in range(BATCHES)
    ]
    load = drive(system.port, [request(PATH, body, headers) for body in bodies], 8)
    yield from _figures(f"JSON batches of {BATCH:,}", load, BATCHES * BATCH, 100_000)


def _columnar(key: str, first_ms: int, instants: int) -> bytes:
    body = {
        "v": 1,
        "batches": [
            {
                "series": [[f"metric_{number}", "gauge", "", {}] for number in range(SERIES)],
                "timestamps": struct.pack(f"<{instants}q", *(first_ms + 1000 * n for n in range(instants))),
                "values": struct.pack(f"<{instants * SERIES}d", *(random.random() for _ in range(instants * SERIES))),
            }
        ],
    }
    packed = zstandard.compress(msgspec.msgpack.encode(body))
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/msgpack",
        "Content-Encoding": "zstd",
    }
    return request(PATH, packed, headers)


def _pushes(system: System, keys: list[str]) -> Iterator[Figure]:
    """What live agents send: one instant of 100 series in a request."""
    now_ms = int(time.time() * 1000) - 3_600_000
    sent = [_columnar(keys[n % len(keys)], now_ms + 1000 * (n // len(keys)), 1) for n in range(PUSHES)]
    yield from _figures(f"agent pushes of {SERIES}", drive(system.port, sent, 32), PUSHES * SERIES, 100_000)


def _spooled(system: System, keys: list[str]) -> Iterator[Figure]:
    """What agents send after an outage: many instants in a request."""
    now_ms = int(time.time() * 1000) - 48 * 3_600_000
    sent = [_columnar(keys[n % len(keys)], now_ms + 60_000 * (n // len(keys)), INSTANTS) for n in range(SPOOLED)]
    size = SERIES * INSTANTS
    yield from _figures(f"agent batches of {size:,}", drive(system.port, sent, 8), SPOOLED * size, 1_500_000)
