"""Metrics at rest: how fast the head becomes blocks, bytes a sample, and long spans read back through HTTP."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import ranges
from benchmarks.figures import Figure
from benchmarks.system import running
from tests.journeys.system import System

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOSTS, SERIES, EVERY_SECONDS = 100, 100, 10
LONG_DAYS, LONG_EVERY_SECONDS = 30, 60
ASKED = 30


def values(instants: int, source: np.random.Generator) -> NDArray[np.float64]:
    """What a host reports, by tens: 3 counters, 4 gauges of two decimals, 2 noisy gauges, 1 constant."""
    table = np.empty((instants, SERIES))
    kind = np.arange(SERIES) % 10
    table[:, kind < 3] = np.cumsum(source.integers(0, 500, (instants, 30)), axis=0)
    table[:, (kind > 2) & (kind < 7)] = (50 + np.cumsum(source.normal(0, 0.5, (instants, 40)), axis=0)).round(2)
    table[:, (kind == 7) | (kind == 8)] = source.normal(50, 10, (instants, 20))
    table[:, kind == 9] = source.uniform(10, 90, 10).round(2)
    return table


def measure() -> Iterator[Figure]:
    with running() as system:
        os.environ |= {"WEDSYNC_DATA": str(system.folder), "DJANGO_SETTINGS_MODULE": "wedsync_monitor.settings"}
        import django

        django.setup()
        now = datetime.now(UTC)
        yesterday = now.replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
        yield from _at_rest(yesterday, now)
        yield from _long_spans(system, now)
        yield from ranges.measure(system, now)


def _assets(names: list[str]) -> list[Any]:
    from assets.models import InfrastructureAsset

    described = {"asset_type": "server", "asset_category": "compute", "environment": "production"}
    return InfrastructureAsset.objects.bulk_create(InfrastructureAsset(asset_name=name, **described) for name in names)


def _store(asset: Any, start: datetime, instants: int, every: int, source: np.random.Generator, now: datetime) -> None:
    from assets.metrics import ingestion
    from assets.metrics.identity import SeriesKey
    from assets.metrics.wire import Columns, Decoded

    first = int(start.timestamp() * 1000) + int(source.integers(0, every * 1000))
    stamps = first + np.arange(instants, dtype=np.int64) * every * 1000
    kinds = ["counter" if number % 10 < 3 else "gauge" for number in range(SERIES)]
    keys = tuple(SeriesKey(f"metric_{number}", kind, "", {}, "push") for number, kind in enumerate(kinds))
    columns = Columns(keys, stamps, values(instants, source), 0)
    outcome = ingestion.store(Decoded(columns=[columns]), ingestion.Sender(own_asset=asset.pk), now, lambda names: {})
    assert outcome.accepted == instants * SERIES, outcome.refusals[:1]


def _at_rest(hour: datetime, now: datetime) -> Iterator[Figure]:
    """One hour of many hosts, as the head holds it, becomes blocks."""
    from django.db import connection

    from assets.metrics import compaction

    source = np.random.default_rng(7)
    instants = 3600 // EVERY_SECONDS - 1
    for asset in _assets([f"host-{number}" for number in range(HOSTS)]):
        _store(asset, hour, instants, EVERY_SECONDS, source, now)
    samples = HOSTS * SERIES * instants
    began = time.perf_counter()
    report = compaction.compact(now)
    seconds = time.perf_counter() - began
    assert report.blocks >= HOSTS
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT sum(pg_total_relation_size(inhrelid)) FILTER (WHERE pg_relation_size(inhrelid) > 0)
               FROM pg_inherits WHERE inhparent = 'metric_block'::regclass"""
        )
        (size,) = cursor.fetchone()
    yield Figure("compaction into blocks", samples / seconds, "samples/s")
    yield Figure("at rest with index, statistics and TOAST", float(size) / samples, "bytes a sample", 4, at_most=True)


def _long_spans(system: System, now: datetime) -> Iterator[Figure]:
    from assets.metrics import compaction

    source = np.random.default_rng(8)
    (host,) = _assets(["long-term"])
    for day in range(LONG_DAYS, 0, -1):
        instants = 86400 // LONG_EVERY_SECONDS
        _store(host, now - timedelta(days=day), instants, LONG_EVERY_SECONDS, source, now)
    compaction.compact(now)
    by_the_hour = _median(system, f"assets/{host.pk}/chart", {"metric": "metric_3", "range": "30d"})
    yield Figure("chart of 30 days, one series, through HTTP, p50", by_the_hour, "ms", 10, at_most=True)
    day_long = _median(system, f"assets/{host.pk}/metrics", {"range": "24h", "points": 288})
    yield Figure("metrics of 24 h at 288 points, 100 series, through HTTP, p50", day_long, "ms", 30, at_most=True)


def _median(system: System, path: str, parameters: dict[str, Any]) -> float:
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        system.get(path, **parameters)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000
