"""1,000,000 series on 10,000 assets: start, memory, every page and endpoint, ingestion, the rounds over all assets.

The estate is made by SQL (`estate`); all that is measured goes through the real server, but for the rounds in the
background, which are called in this process. While it is measured, all hosts report once a minute.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil

from benchmarks.figures import Figure
from benchmarks.ingestion import _agent, _asset, _columnar
from benchmarks.load import drive
from benchmarks.system import running
from tests.journeys.system import System

ASKED, HOSTS = 20, 20
PAGE_MS = 300
PAGES = {
    "overview": "overview",
    "assets": "assets",
    "assets, second page": "assets?page=2",
    "assets, worst health first": "assets?sort=health",
    "assets, search": "assets?q=host-77",
    "assets, by environment and health": "assets?environment=staging&health=healthy",
    "asset's metrics": "assets/{asset}/metrics",
    "asset's health": "assets/{asset}/health",
    "alerts": "alerts",
    "alerts, resolved": "alerts?status=resolved",
    "alerts, search": "alerts?q=host-77",
    "rules": "alerts/rules",
    "catalogue": "assets/catalogue",
    "catalogue, search": "assets/catalogue?q=cpu",
    "a metric of the catalogue": "assets/catalogue/cpu_usage_percent",
    "system": "system",
}
API = {
    "assets": "/api/monitoring/assets",
    "agents": "/api/monitoring/agents",
    "catalogue": "/api/monitoring/metrics/catalogue",
    "alerts": "/api/monitoring/alerts/instances",
    "rules": "/api/monitoring/alerts/rules",
    "search": "/api/monitoring/search?q=host-77",
    "/healthz": "/healthz",
    "/readyz": "/readyz",
    "/metrics": "/metrics",
    "query, one host": "/api/v1/query?query=cpu_usage_percent{{asset=%22{name}%22}}",
    "labels": "/api/v1/labels",
    "values of instance (10,000)": "/api/v1/label/instance/values",
    "values of pod (10,000)": "/api/v1/label/pod/values",
    "names": "/api/v1/label/__name__/values",
    "series, limit 100": "/api/v1/series?match[]=cpu_usage_percent&limit=100",
}
KINDS = {
    "a web worker": "granian",
    "the evaluator": "evaluation@",
    "the deliverer": "delivery@",
    "the worker": "worker@",
    "beat": "celery --app wedsync_monitor beat",
}


def measure() -> Iterator[Figure]:
    with running() as system:
        empty = _start_again(system)
        os.environ |= {"WEDSYNC_DATA": str(system.folder), "DJANGO_SETTINGS_MODULE": "wedsync_monitor.settings"}
        import django

        django.setup()
        from benchmarks import estate

        estate.fill(datetime.now(UTC))
        yield Figure("start until ready, nothing stored", empty, "s")
        yield from measure_filled(system)


def measure_filled(system: System) -> Iterator[Figure]:
    """What is measured once the estate is there."""
    yield Figure("start until ready, 1,000,000 series", _start_again(system), "s", 15, at_most=True)
    ended = threading.Event()
    feeder = threading.Thread(target=_report_each_minute, args=(ended,), daemon=True)
    feeder.start()
    try:
        yield from _pages(system)
        yield from _endpoints(system)
        yield from _ingestion(system)
        yield from _rounds(system)
        yield from _memory(system)
    finally:
        ended.set()
        feeder.join()


def _start_again(system: System) -> float:
    system.stop()
    began = time.perf_counter()
    system.start()
    return time.perf_counter() - began


def _report_each_minute(ended: threading.Event) -> None:
    from django.db import connection

    from benchmarks import estate

    while True:
        with connection.cursor() as cursor:
            estate.report(cursor, datetime.now(UTC))
        if ended.wait(60):
            connection.close()
            return


def _timed(what: str, ask: Callable[[], Any], goal: float | None = None, times: int = ASKED) -> Figure:
    """The median of some times after one that counts for nothing, with the 95th percentile."""
    ask()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return Figure(what, statistics.median(taken), "ms", goal, True, sorted(taken)[int(0.95 * len(taken))])


def _getter(client: httpx.Client, address: str) -> Callable[[], Any]:
    return lambda: client.get(address).raise_for_status()


def _pages(system: System) -> Iterator[Figure]:
    from assets.models import InfrastructureAsset

    asset = InfrastructureAsset.objects.get(asset_name="host-77").pk
    with httpx.Client(base_url=system.url, timeout=60) as browser:
        browser.get("/login")
        form = {"username": "admin", "password": system.password(), "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        assert browser.post("/login", data=form).status_code == 302
        for name, path in PAGES.items():
            address = f"/admin/monitoring/{path.format(asset=asset)}"
            yield _timed(f"page: {name}", _getter(browser, address), PAGE_MS)


def _endpoints(system: System) -> Iterator[Figure]:
    system.http.timeout = httpx.Timeout(60)
    for name, path in API.items():
        yield _timed(f"API: {name}", _getter(system.http, path.format(name="host-77")), PAGE_MS)
    everywhere = _getter(system.http, "/api/v1/query?query=cpu_usage_percent")
    yield _timed("API: query of one name, 10,000 series", everywhere, times=5)


def _ingestion(system: System) -> Iterator[Figure]:
    """What agents of new hosts send: the first time, and from then on."""
    keys = [_agent(system, _asset(system, f"new-{number}"), f"new-{number}") for number in range(HOSTS)]
    now_ms = int(time.time() * 1000) - 600_000
    first = drive(system.port, [_columnar(key, now_ms, 1) for key in keys], 1)
    again = [_columnar(key, now_ms + 1000 * number, 1) for number in range(1, 11) for key in keys]
    drive(system.port, again[: len(again) // 2], 1)
    known = drive(system.port, again[len(again) // 2 :], 1)
    assert first.failures() + known.failures() == 0
    for what, load in (("first push of a new host, 100 series", first), ("push of 100 known series", known)):
        yield Figure(what, load.percentile(0.5) * 1000, "ms", spread=load.percentile(0.95) * 1000)


def _rounds(system: System) -> Iterator[Figure]:
    """What beat has done for all assets again and again."""
    from assets import assessment
    from assets.metrics import catalogue

    # Without its lock: the worker's own round may be under way.
    seconds = [_seconds(lambda: assessment._assess_all(datetime.now(UTC))) for _ in range(3)]
    yield Figure("health of all assets, one round (every 15 s)", statistics.median(seconds), "s", 5, at_most=True)
    yield Figure("tally of new series (every 60 s)", _seconds(lambda: catalogue.tally(datetime.now(UTC))), "s")
    seen = _seconds(lambda: catalogue.note_seen(datetime.now(UTC) + timedelta(minutes=5)))
    yield Figure("last seen of every name (every 5 min)", seen, "s")
    yield Figure("count of all series (every hour)", _seconds(lambda: catalogue.recount(datetime.now(UTC))), "s")
    evaluated = _own_metric(system, "wedsync_evaluation_seconds")
    yield Figure("default rules over all assets, their last evaluations", evaluated, "s", 5, at_most=True)
    yield Figure("evaluation lag", _own_metric(system, "wedsync_evaluation_lag_seconds"), "s")


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _own_metric(system: System, name: str) -> float:
    lines = system.http.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split()[0] == name)


def _memory(system: System) -> Iterator[Figure]:
    for kind, part in KINDS.items():
        sizes = [one.memory_info().rss for one in system.processes(part)]
        # The supervisor of the web workers, and the shells around the others, are smaller.
        yield Figure(f"resident memory of {kind}", max(sizes) / 2**20, "MiB")
    (server,) = system.processes("bin/postgres")
    # Its backends overwrite what would say whose they are.
    backends = server.children(recursive=True)
    yield Figure("PostgreSQL, shared and private", _proportional_mib([server, *backends]), "MiB")
    yield Figure("the whole system", _proportional_mib([*system.processes(), *backends]), "MiB")


def _proportional_mib(processes: Sequence[psutil.Process]) -> float:
    """Shared memory counted once."""
    return float(sum(one.memory_full_info().pss for one in processes)) / 2**20
