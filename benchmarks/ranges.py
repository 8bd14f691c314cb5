"""PromQL range queries of the same samples here and, where it is installed, in Prometheus, in one run.

30 days by the hour of one series, and 24 hours by 5 minutes of 100 hosts: `avg_over_time` through HTTP, one request
after the other over one connection, answers uncompressed. Here the hosts have nine more series in the same blocks.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import numpy as np

from benchmarks import peers
from benchmarks.figures import Figure
from tests.journeys.system import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOSTS, SERIES, EVERY_MS = 100, 10, 60_000
MONTH, DAY = 30 * 1440, 25 * 60
ASKED = 30
_HALF_HOUR = 30


@dataclass(frozen=True)
class _Asked:
    """A query, its span from so long before `until`, and the most that it may take."""

    what: str
    query: str
    days: int
    step: int
    at_most_ms: float


QUERIES = (
    _Asked("30 days by the hour, one series", 'avg_over_time(range_load{host="range-0"}[1h])', 30, 3600, 10),
    _Asked("24 h by 5 min, 100 hosts", "avg_over_time(range_load[5m])", 1, 300, 30),
)


def measure(system: System, now: datetime) -> Iterator[Figure]:
    """`now` is when the samples end; Django is set up for the data of `system`."""
    source = np.random.default_rng(9)
    # No sample stands where windows end: Prometheus before 3.0 counts one at their beginning too.
    last = int(now.timestamp() * 1000) // EVERY_MS * EVERY_MS - EVERY_MS // 2
    lengths = [MONTH, *[DAY] * (HOSTS - 1)]
    loads = [(50 + np.cumsum(source.normal(0, 0.5, length))).round(2) for length in lengths]
    _store(loads, last, now, source)
    until = last // 3_600_000 * 3600
    ours = [_timed(system.port, one, until, {"Authorization": system.http.headers["Authorization"]}) for one in QUERIES]
    for asked, (taken, _) in zip(QUERIES, ours, strict=True):
        yield Figure(f"query_range: {asked.what}, p50", taken, "ms", asked.at_most_ms, at_most=True)
    if not peers.has_prometheus():
        sys.stderr.write("Prometheus is left out: install it, for example with apt-get install prometheus\n")
        return
    with peers.prometheus() as http:
        _write(http, loads, last)
        for asked, (taken, answer) in zip(QUERIES, ours, strict=True):
            theirs, expected = _timed(http.base_url.port or 80, asked, until, {})
            assert _same(answer, expected), f"{asked.query} is answered otherwise by Prometheus"
            yield Figure(f"query_range in Prometheus: {asked.what}, p50", theirs, "ms")
            yield Figure(f"query_range: {asked.what}, Prometheus's time is", theirs / taken, "times ours")


def _store(loads: list[NDArray[np.float64]], last: int, now: datetime, source: np.random.Generator) -> None:
    from assets.metrics import compaction, ingestion
    from assets.metrics.identity import SeriesKey
    from assets.metrics.wire import Columns, Decoded
    from assets.models import InfrastructureAsset

    described = {"asset_type": "server", "asset_category": "compute", "environment": "production"}
    names = ["range_load", *(f"range_other_{number}" for number in range(SERIES - 1))]
    keys = tuple(SeriesKey(name, "gauge", "", {}, "push") for name in names)
    for host, load in enumerate(loads):
        asset = InfrastructureAsset.objects.create(asset_name=f"range-{host}", **described)
        table = source.normal(50, 10, (len(load), SERIES)).round(2)
        table[:, 0] = load
        stamps = _stamps(load, last)
        for part in range(0, len(load), DAY):
            columns = Columns(keys, stamps[part : part + DAY], table[part : part + DAY], 0)
            decoded, sender = Decoded(columns=[columns]), ingestion.Sender(own_asset=asset.pk)
            outcome = ingestion.store(decoded, sender, now, lambda names: {})
            assert not outcome.refusals, outcome.refusals[:1]
    compaction.compact(now)


def _stamps(load: NDArray[np.float64], last: int) -> NDArray[np.int64]:
    return last - EVERY_MS * np.arange(len(load) - 1, -1, -1, dtype=np.int64)


def _write(http: httpx.Client, loads: list[NDArray[np.float64]], last: int) -> None:
    """The same samples in order of time, half an hour of all hosts after the other."""
    for left in range(MONTH, 0, -_HALF_HOUR):
        there = [(host, load) for host, load in enumerate(loads) if len(load) >= left]
        parts: list[peers.Written] = []
        for host, load in there:
            span = slice(len(load) - left, len(load) - left + _HALF_HOUR)
            samples = list(zip(_stamps(load, last)[span].tolist(), load[span].tolist(), strict=True))
            parts.append(({"__name__": "range_load", "host": f"range-{host}"}, samples))
        peers.write(http, parts)
    peers.settle()


def _timed(port: int, asked: _Asked, until: int, headers: dict[str, str]) -> tuple[float, Any]:
    """The median in ms, and the answer."""
    start = until - int(timedelta(days=asked.days).total_seconds())
    given = urlencode({"query": asked.query, "start": start, "end": until, "step": asked.step})
    http, taken, body = HTTPConnection("127.0.0.1", port, timeout=30), [], b""
    for _ in range(ASKED):
        began = time.perf_counter()
        http.request("GET", f"/api/v1/query_range?{given}", headers=headers)
        answer = http.getresponse()
        body = answer.read()
        taken.append(time.perf_counter() - began)
        assert answer.status == 200, body[:200]
    http.close()
    return statistics.median(taken) * 1000, json.loads(body)["data"]["result"]


def _same(ours: Any, theirs: Any) -> bool:
    """Whether the values of each host are the same, but for rounding."""
    found, expected = (
        {one["metric"]["host"]: [(stamp, float(text)) for stamp, text in one["values"]] for one in result}
        for result in (ours, theirs)
    )
    return found.keys() == expected.keys() and all(
        np.shape(found[host]) == np.shape(expected[host]) and np.allclose(found[host], expected[host], rtol=1e-9)
        for host in found
    )
