"""A light HTTP/1.1 load generator on loopback: prepared requests over connections that are kept open."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Load:
    """How a load went; latencies are in seconds."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    def failures(self) -> int:
        return sum(number for status, number in self.statuses.items() if not 200 <= status < 300)


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST as it stands on the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def drive(port: int, requests: Sequence[bytes], connections: int) -> Load:
    """Send every request once, `connections` at a time, and read each answer whole."""
    return asyncio.run(_drive(port, deque(requests), connections))


async def _drive(port: int, waiting: deque[bytes], connections: int) -> Load:
    load = Load()
    began = time.perf_counter()
    await asyncio.gather(*[_send(port, waiting, load) for _ in range(connections)])
    load.seconds = time.perf_counter() - began
    return load


async def _send(port: int, waiting: deque[bytes], load: Load) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while waiting:
        message = waiting.popleft()
        began = time.perf_counter()
        writer.write(message)
        status = await _status(reader)
        load.latencies.append(time.perf_counter() - began)
        load.statuses[status] = load.statuses.get(status, 0) + 1
    writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or 0))
    return int(head[9:12])
