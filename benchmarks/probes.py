"""HTTP probes of a target on the same cores: how many a second, the time of a core that one takes, and what targets
that hang cost the others; beside blackbox_exporter where it is installed."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from wedsync_agent.probes import Check, Surroundings, run_many

from benchmarks.figures import Figure
from tests.journeys.system import eventually, free_port

PROBES = 20_000
CONCURRENCY = 100
HANGING = 200
AROUND = Surroundings(allowed_networks=[ipaddress.ip_network("127.0.0.0/8")])
_BLACKBOX = ("blackbox_exporter", "prometheus-blackbox-exporter")
_CONFIGURATION = "modules: {page: {prober: http, timeout: 10s, http: {preferred_ip_protocol: ip4}}}"
_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 200\r\nConnection: close\r\n\r\n" + b"w" * 200


def measure() -> Iterator[Figure]:
    with target() as (quick, hanging):
        asyncio.run(_probed(Check(kind="http", url=quick) for _ in range(1000)))  # nothing is timed cold
        began, cpu = time.perf_counter(), time.process_time()
        fine = asyncio.run(_probed(Check(kind="http", url=quick) for _ in range(PROBES)))
        seconds, busy = time.perf_counter() - began, time.process_time() - cpu
        assert fine == PROBES, f"{PROBES - fine} probes failed"
        yield Figure("HTTP probes, target on the same cores", fine / seconds, "/s", 1500)
        yield Figure("CPU of one HTTP probe", busy / PROBES * 1000, "ms", 0.8, at_most=True)
        alone, beside = asyncio.run(_delays(quick, hanging))
        yield Figure(f"a probe in {CONCURRENCY} at once, all answering (median)", alone, "ms")
        yield Figure(f"the same beside {HANGING} that hang (median)", beside, "ms")
        for name in filter(shutil.which, _BLACKBOX):
            rate, each = _blackbox(name, quick)
            yield Figure("blackbox_exporter, HTTP probes", rate, "/s")
            yield Figure("blackbox_exporter, CPU of one HTTP probe", each, "ms")


async def _probed(checks: Iterator[Check]) -> int:
    """How many of the checks succeeded."""
    return sum([outcome.status == "success" async for _, outcome in run_many(checks, AROUND, concurrency=CONCURRENCY)])


async def _delays(quick: str, hanging: str) -> tuple[float, float]:
    """Median milliseconds of probes that are answered: by themselves, and with others that hang beside them."""
    answered = [Check(kind="http", url=quick)] * 5000
    alone = await _median_ms(answered, CONCURRENCY)
    stuck = [Check(kind="http", url=hanging, timeout_seconds=60)] * HANGING
    return alone, await _median_ms([*stuck, *answered], CONCURRENCY + HANGING)


async def _median_ms(checks: Sequence[Check], concurrency: int) -> float:
    took, wanted = [], sum(check.timeout_seconds < 60 for check in checks)
    outcomes = run_many(checks, AROUND, concurrency=concurrency)
    while len(took) < wanted:
        took.append((await anext(outcomes))[1].timing.total_ms)
    await outcomes.aclose()
    return sorted(took)[len(took) // 2]


@contextmanager
def target() -> Iterator[tuple[str, str]]:
    """URLs of a server in a process of its own: one that answers at once, and one that never does."""
    ports = free_port(), free_port()
    command = [sys.executable, "-c", f"from benchmarks.probes import serve; serve{ports}"]
    server = subprocess.Popen(command, cwd=Path(__file__).parents[1], env=os.environ | {"PYTHONPATH": ".:agent"})
    try:
        for port in ports:
            eventually(lambda port=port: _listens(port))
        yield f"http://127.0.0.1:{ports[0]}/", f"http://127.0.0.1:{ports[1]}/"
    finally:
        server.terminate()
        server.wait(30)


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(_PAGE)
        self._transport.close()


def serve(quick: int, hanging: int) -> None:
    """Answer on one port and say nothing on the other, until terminated."""

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(_Answering, "127.0.0.1", quick, backlog=4096)
        await loop.create_server(asyncio.Protocol, "127.0.0.1", hanging, backlog=4096)
        await asyncio.Event().wait()

    asyncio.run(forever())


def _blackbox(name: str, url: str) -> tuple[float, float]:
    """Probes a second and the CPU of one in milliseconds, asked for as Prometheus does it, over connections that are
    kept."""
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="wedsync-peer-"))
    (folder / "blackbox.yml").write_text(_CONFIGURATION, encoding="utf-8")
    command = [name, f"--config.file={folder / 'blackbox.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "out.log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        eventually(lambda: _listens(port))
        request = f"GET /probe?module=page&target={url} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        asyncio.run(_asked(port, request, 500))
        began, cpu = time.perf_counter(), sum(psutil.Process(process.pid).cpu_times()[:2])
        asyncio.run(_asked(port, request, PROBES // 2))
        seconds, busy = time.perf_counter() - began, sum(psutil.Process(process.pid).cpu_times()[:2]) - cpu
        return PROBES / 2 / seconds, busy / (PROBES / 2) * 1000
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


async def _asked(port: int, request: bytes, times: int) -> None:
    left = iter(range(times))

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            end = b"\r\n0\r\n\r\n"
            page = await (reader.readexactly(int(length)) if length else reader.readuntil(end))
            assert b"\nprobe_success 1" in page, page[:2000]
        writer.close()

    await asyncio.gather(*[ask() for _ in range(CONCURRENCY)])
