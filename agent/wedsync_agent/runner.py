"""The agent at work: one thread looks, one sends, one talks with the server about everything else."""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil

from wedsync_agent import __version__, discovery, wire
from wedsync_agent.checking import FETCH_SECONDS, Checking
from wedsync_agent.collectors import collect, exporter, network
from wedsync_agent.configuration import Collection, Local
from wedsync_agent.probing import Prober
from wedsync_agent.sampling import Between, next_interval
from wedsync_agent.spool import Spool
from wedsync_agent.transport import Sender, client
from wedsync_agent.wire import Reading

HEARTBEAT_SECONDS = 30.0
DISCOVERY_SECONDS = 600.0
FIRST_LOOK_SECONDS = 2.0
UNITS = {"cpu_usage_percent": "percent", "network_io_mbps": "mbps"}


def say(text: str) -> None:
    sys.stderr.write(f"wedsync-agent: {text}\n")
    sys.stderr.flush()


class Runner:
    """Everything one running agent holds."""

    def __init__(self, local: Local):
        self.local = local
        self.wanted = Collection()
        self.stopping = threading.Event()
        self.spool = Spool(local.spool / "queue", local.max_spool_bytes, samples_in=wire.samples_in)
        self.http, self.exporters = client(local), httpx.Client()
        self.sender = Sender(self.spool, self.http, local.key, local.spool / "refused")
        self.problems: list[str] = []
        self.left_out = 0
        self._network: tuple[float, int] | None = None

    def run(self) -> None:
        """Work until `stopping` is set."""
        loops = (self._look, self._send, self._talk, self._check)
        threads = [threading.Thread(target=self._forever, args=(loop,), daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        self.stopping.wait()
        for thread in threads:
            thread.join(2)

    def _forever(self, loop: Callable[[], None]) -> None:
        """A loop that fails begins again: the agent outlives what its host and server do."""
        while not self.stopping.is_set():
            try:
                loop()
            except Exception as error:  # said, and tried again
                say(f"{loop.__name__.strip('_')}: {type(error).__name__}: {error}")
                self.stopping.wait(5)

    def _look(self) -> None:
        between, interval = Between(), FIRST_LOOK_SECONDS
        before: dict[str, float] = {}
        psutil.cpu_percent()
        due = time.monotonic() + interval
        while not self.stopping.wait(min(1.0, max(due - time.monotonic(), 0.05))):
            self._glance(between)
            if time.monotonic() < due:
                continue
            readings = self._everything(between)
            for batch in wire.encode(int(time.time() * 1000), readings):
                self.spool.append(batch)
            after = {reading.name: reading.value for reading in readings}
            wanted = self.wanted
            steady = next_interval(interval, before, after, wanted.min_interval, wanted.max_interval)
            interval = steady if wanted.adaptive else wanted.interval
            before, due = after, time.monotonic() + interval

    def _glance(self, between: Between) -> None:
        """The gauges that change faster than reports are sent."""
        if "cpu" in self.wanted.collectors:
            between.add("cpu_usage_percent", psutil.cpu_percent())
        if "network" in self.wanted.collectors:
            moment, total = time.monotonic(), network.total_bytes(self.wanted)
            if self._network and moment > self._network[0] and total >= self._network[1]:
                rate = (total - self._network[1]) * 8 / (moment - self._network[0]) / 1e6
                between.add("network_io_mbps", rate)
            self._network = (moment, total)

    def _everything(self, between: Between) -> list[Reading]:
        readings, self.problems = collect(self.wanted)
        readings += between.drain(UNITS)
        for one in self.wanted.exporters:
            readings += self._exporter(one)
        readings = self._fitting(readings)
        readings.append(Reading("agent_spool_depth_bytes", self.spool.depth_bytes(), "bytes"))
        readings.append(Reading("agent_dropped_samples", self._dropped_samples(), "count", "counter"))
        return readings

    def _dropped_samples(self) -> int:
        """Samples that will never reach the server: the spool had no room for them, or they do not fit."""
        return self.spool.dropped_samples + self.left_out

    def _fitting(self, readings: list[Reading]) -> list[Reading]:
        """The readings that the server can take; the others are counted and told of."""
        fitting = [reading for reading in readings if wire.fits(reading)]
        if left_out := [reading for reading in readings if not wire.fits(reading)]:
            self.left_out += len(left_out)
            like = ascii(left_out[0].name[:100])
            self.problems.append(f"{len(left_out)} readings like {like} have names or labels that the server refuses")
        return fitting

    def _exporter(self, one: dict[str, Any]) -> list[Reading]:
        headers = {"Authorization": one["authorization"]} if one.get("authorization") else {}
        try:
            return exporter.scrape(self.exporters, one["url"], headers, one.get("labels") or {}).readings
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self.problems.append(f"exporter {one['url']}: {error}")
            return []

    def _send(self) -> None:
        chance, said_at = random.Random(), float("-inf")
        while not self.stopping.is_set():
            pause = self.sender.step(chance)
            if pause > 0.5 and self.sender.totals.last_error and time.monotonic() - said_at > 60:
                say(f"{self.sender.totals.last_error}; what is measured waits in {self.spool.folder}")
                said_at = time.monotonic()
            if pause:
                self.stopping.wait(pause)

    def _check(self) -> None:
        """As a location of synthetic checks, while the server wants this agent to be one."""
        if not self.stopping.wait(1.0) and self.wanted.runs_checks:
            spool = Spool(self.local.spool / "results", self.local.max_spool_bytes)
            with contextlib.closing(spool), Prober() as prober:
                self._run_checks(Checking(self.local, self.http, self._headers, spool, prober))

    def _run_checks(self, checking: Checking) -> None:
        reporting = threading.Thread(target=self._report, args=(checking,), daemon=True)
        reporting.start()
        fetched_at = -FETCH_SECONDS
        while self.wanted.runs_checks and not self.stopping.is_set():
            if time.monotonic() - fetched_at > FETCH_SECONDS:
                fetched_at = time.monotonic()
                with contextlib.suppress(httpx.HTTPError):  # the heartbeat says so
                    checking.fetch()
            checking.step(0.25)
        reporting.join()

    def _report(self, checking: Checking) -> None:
        while self.wanted.runs_checks and not self.stopping.is_set():
            self.stopping.wait(checking.report())

    def _talk(self) -> None:
        looked_at = -DISCOVERY_SECONDS
        while not self.stopping.is_set():
            if self.local.key() is None:
                say(f"waiting for a key in {self.local.kept_key()}")
                self.stopping.wait(2)
                continue
            with contextlib.suppress(httpx.HTTPError):
                self._heartbeat()
                if self.wanted.discovery and time.monotonic() - looked_at > DISCOVERY_SECONDS:
                    self._post("discoveries", {"discoveries": discovery.discover()})
                    looked_at = time.monotonic()
            self.stopping.wait(HEARTBEAT_SECONDS)

    def _heartbeat(self) -> None:
        totals = self.sender.totals
        problem = "; ".join(self.problems) or totals.last_error
        answer = self._post(
            "heartbeat",
            {
                "agent_version": __version__,
                "health_status": "degraded" if problem else "healthy",
                "metrics_collected": totals.samples,
                "bytes_transmitted": totals.bytes,
                "spool_depth": self.spool.depth_bytes(),
                "dropped_samples": self._dropped_samples(),
                "last_error": problem,
            },
        )
        if answer.get("config_version") != self.wanted.version:
            self._configure()
        if answer.get("key_rotation_due") and self.local.can_keep_key():
            self.local.keep_key(self._post("keys/rotate", {})["key"])

    def _configure(self) -> None:
        answer = self.http.get("/api/monitoring/agents/configuration", headers=self._headers())
        if answer.is_success:
            self.wanted = Collection.from_server(answer.json())
            self.sender.compress = self.wanted.compress

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(f"/api/monitoring/agents/{path}", json=body, headers=self._headers())
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.local.key()}"}
