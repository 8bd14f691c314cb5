"""Ingestion by other systems' protocols through the real server: Prometheus remote write of 100-series hosts, and the
same requests to Prometheus itself, where it is installed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator

from benchmarks import peers
from benchmarks.figures import Figure
from benchmarks.load import Load, drive, request
from benchmarks.system import running
from tests.journeys.system import System
from tests.prometheus import snappy, write_request

HOSTS, SERIES, ROUNDS, HOSTS_PER_REQUEST = 1_000, 100, 12, 50


def measure() -> Iterator[Figure]:
    with running() as system:
        person = {"Authorization": system.http.headers["Authorization"]}
        _register(system, person)
        began = int(time.time() * 1000) - (ROUNDS + 1) * 10_000
        yield from _first_sight(system, _round(person, began))
        load = _rounds(system.port, person, began)
        yield Figure("remote write of 5,000", _rate(load), "samples/s", 500_000)
        yield Figure("remote write of 5,000: 99th percentile of the answer", load.percentile(0.99) * 1000, "ms")
    if not peers.has_prometheus():
        return
    with peers.prometheus() as http:
        port = http.base_url.port or 80
        _all_stored(drive(port, _round({}, began), 8))
        theirs = _rate(_rounds(port, {}, began))
        yield Figure("remote write of 5,000 to Prometheus", theirs, "samples/s")
        yield Figure("remote write of 5,000: our rate is", _rate(load) / theirs, "times Prometheus's")


def _rounds(port: int, headers: dict[str, str], began: int) -> Load:
    """All scrapes after the first, 8 requests at a time."""
    load = drive(port, [one for at in range(ROUNDS) for one in _round(headers, began + (at + 1) * 10_000)], 8)
    _all_stored(load)
    return load


def _rate(load: Load) -> float:
    return ROUNDS * HOSTS * SERIES / load.seconds


def _register(system: System, headers: dict[str, str]) -> None:
    fixed = {"asset_type": "server", "asset_category": "compute", "environment": "production"}
    bodies = [json.dumps({"asset_name": f"host-{number}"} | fixed).encode() for number in range(HOSTS)]
    typed = headers | {"Content-Type": "application/json"}
    _all_stored(drive(system.port, [request("/api/monitoring/assets", body, typed) for body in bodies], 4))


def _round(headers: dict[str, str], at_ms: int) -> list[bytes]:
    """One scrape of all hosts, as Prometheus cuts and packs it."""
    sent = headers | {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    return [
        request("/api/v1/write", snappy(_scrape(range(first, first + HOSTS_PER_REQUEST), at_ms)), sent)
        for first in range(0, HOSTS, HOSTS_PER_REQUEST)
    ]


def _scrape(hosts: range, at_ms: int) -> bytes:
    series = [
        (
            {"__name__": f"metric_{number}_bytes", "instance": f"host-{host}:9100", "job": "node", "zone": "eu-1a"},
            [(at_ms, random.random())],
        )
        for host in hosts
        for number in range(SERIES)
    ]
    body: bytes = write_request(series).SerializeToString()
    return body


def _first_sight(system: System, sent: list[bytes]) -> Iterator[Figure]:
    """The first scrape makes every series. It is sent again until each worker has met all of them: whose turn it is
    cannot be chosen."""
    load = drive(system.port, sent, 8)
    _all_stored(load)
    yield Figure(f"remote write: first sight of {HOSTS * SERIES:,} series", load.seconds, "s")
    for _ in range(8):
        _all_stored(drive(system.port, sent, 8))


def _all_stored(load: Load) -> None:
    assert load.failures() == 0, load.statuses
