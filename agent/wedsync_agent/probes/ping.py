"""ping: ICMP echo over unprivileged datagram sockets where the kernel allows them, else raw ones where it allows those.

On Linux the former are for the groups in net.ipv4.ping_group_range, the latter for CAP_NET_RAW.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from wedsync_agent.probes.base import Check, Surroundings, Trace, Trouble
from wedsync_agent.probes.connecting import addresses_of

_TOKEN_BYTES = 16
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}  # types of request and reply
# For the last reply this part of the check's time has to be left.
_WAITING_SHARE = 0.9


async def probe(check: Check, trace: Trace, around: Surroundings) -> None:
    config = check.config
    interval = config.ping_interval_ms / 1000
    last_wait = check.timeout_seconds * _WAITING_SHARE - (config.ping_count - 1) * interval
    if last_wait <= 0:
        raise Trouble("configuration", "ping_count times ping_interval_ms is more than timeout_seconds leaves room for")
    address = (await addresses_of(check.host, around, config.ip_version))[0]
    trace.watch.enter("first_byte_ms")
    echo = _Echo(address, around)
    try:
        for number in range(config.ping_count):
            await asyncio.sleep(interval if number else 0)
            echo.send(number)
        await echo.all_back(config.ping_count, last_wait)
    finally:
        echo.close()
    _tell(trace, address, config.ping_count, [echo.took_ms.get(number) for number in range(config.ping_count)])
    lost = trace.network["ping"]["loss_percent"]
    if lost == 100:
        raise Trouble("timeout", f"no reply to {config.ping_count} pings")
    trace.watch.settle("first_byte_ms", trace.network["ping"]["avg_ms"])
    if lost > config.max_loss_percent:
        raise Trouble("expectation", f"{lost:g} % of the pings were lost, expected at most {config.max_loss_percent:g}")


def _tell(trace: Trace, address: str, sent: int, took: Sequence[float | None]) -> None:
    back = [one for one in took if one is not None]
    told: dict[str, Any] = {
        "sent": sent,
        "received": len(back),
        "loss_percent": round(100 * (sent - len(back)) / sent, 2),
    }
    if back:
        told |= {
            "min_ms": round(min(back), 3),
            "avg_ms": round(sum(back) / len(back), 3),
            "max_ms": round(max(back), 3),
        }
        told["jitter_ms"] = round(jitter(back), 3)
    trace.network |= {"ip": address, "ping": told}


def jitter(took: Sequence[float]) -> float:
    """The mean of how much each differs from the one before; 0 for one alone."""
    steps = [abs(later - earlier) for earlier, later in pairwise(took)]
    return sum(steps) / len(steps) if steps else 0.0


class _Echo:
    """One socket that sends numbered requests to one address, and when which reply came."""

    def __init__(self, address: str, around: Surroundings):
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._clock = around.clock
        self._loop = asyncio.get_running_loop()
        self._token = os.urandom(_TOKEN_BYTES)
        self._sent: dict[int, float] = {}
        self._changed = asyncio.Event()
        self.took_ms: dict[int, float] = {}
        self._socket, self._raw = _socket(self._family)
        try:
            self._socket.setblocking(False)
            self._socket.connect((address, 0))
        except OSError as error:
            self._socket.close()
            raise Trouble("connect", f"{address}: {error.strerror or error}") from error
        self._loop.add_reader(self._socket, self._read)

    def send(self, number: int) -> None:
        self._sent[number] = self._clock()
        try:
            self._socket.send(echo_request(self._family, number, self._token))
        except BlockingIOError:
            pass  # it counts as lost
        except OSError as error:
            raise Trouble("connect", f"a ping cannot be sent: {error.strerror or error}") from error

    async def all_back(self, count: int, seconds: float) -> None:
        """Wait for the replies that are missing, for so long at most."""
        try:
            async with asyncio.timeout(seconds):
                while len(self.took_ms) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _read(self) -> None:
        now = self._clock()
        try:
            packet = self._socket.recv(65536)
        except OSError:  # an ICMP error, or nothing after all
            return
        if self._raw and self._family == socket.AF_INET and packet:
            packet = packet[(packet[0] & 0x0F) * 4 :]
        number = number_in(self._family, packet, self._token)
        if number in self._sent and number not in self.took_ms:
            self.took_ms[number] = (now - self._sent[number]) * 1000
            self._changed.set()

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()


def _socket(family: socket.AddressFamily) -> tuple[socket.socket, bool]:
    """A socket, and whether it is a raw one."""
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            return socket.socket(family, kind, protocol), kind == socket.SOCK_RAW
        except OSError as error:
            last = error
    raise Trouble(
        "impossible",
        f"not possible here: {last.strerror or last}; put the process's group into net.ipv4.ping_group_range, or give "
        "it CAP_NET_RAW",
    )


def echo_request(family: socket.AddressFamily, number: int, token: bytes) -> bytes:
    """RFC 792, RFC 4443. A kernel puts in the identifier of datagram sockets and the checksum of IPv6 itself."""
    identifier = int.from_bytes(token[:2], "big")
    head = struct.pack("!BBHHH", _ECHO[family][0], 0, 0, identifier, number)
    checksum = _checksum(head + token)
    return struct.pack("!BBHHH", _ECHO[family][0], 0, checksum, identifier, number) + token


def number_in(family: socket.AddressFamily, packet: bytes, token: bytes) -> int | None:
    """Which request this is the reply to; None where it is something else. A raw socket sees everybody's."""
    if len(packet) < 8 + _TOKEN_BYTES or packet[0] != _ECHO[family][1] or packet[8 : 8 + _TOKEN_BYTES] != token:
        return None
    return int.from_bytes(packet[6:8], "big")


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
