"""The guarded connection: resolve, check every address, connect to a checked one, each step in its phase of the timing.

Sockets are driven directly on the event loop: a probe makes one connection, sends little and reads little, and
asyncio's transports would cost twice the time. A read always waits for the loop first, so that a target that floods
cannot keep other probes, or its own deadline, from their turn.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from functools import lru_cache

from wedsync_agent import guard
from wedsync_agent.checks import CheckConfig
from wedsync_agent.probes import resolving
from wedsync_agent.probes.base import Surroundings, Trace, Trouble

# RFC 8305, section 5: the next address is tried when the one before has not answered for this long.
HEAD_START_SECONDS = 0.25
_READ_BYTES = 65536
# This machine has no sockets, ports or memory left.
_OWN_LACK = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Stream:
    """A connection, in the clear until `secure`."""

    def __init__(self, connected: socket.socket, loop: asyncio.AbstractEventLoop):
        self._socket, self._loop, self._number = connected, loop, connected.fileno()
        self.tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def receive(self) -> bytes:
        """What has come, at most 64 KiB; empty at the end."""
        if self.tls is None:
            return await self._receive()
        while True:
            try:
                return self.tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                await self._fed()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def send(self, data: bytes) -> None:
        if self.tls is None:
            await self._send(data)
        else:
            self.tls.write(data)
            await self._send(self._outgoing.read())

    async def secure(self, context: ssl.SSLContext, server_name: str) -> None:
        """The TLS handshake. Raises ssl.SSLError."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._fed()
        await self._send(self._outgoing.read())
        self.tls = tls

    def close(self) -> None:
        self._socket.close()

    async def _fed(self) -> None:
        """Answer what TLS wants to say, and hand it what comes next."""
        await self._send(self._outgoing.read())
        if data := await self._receive():
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _receive(self) -> bytes:
        while True:
            ready = self._loop.create_future()
            self._loop.add_reader(self._number, _wake, ready)
            try:
                await ready
            finally:
                self._loop.remove_reader(self._number)
            try:
                return self._socket.recv(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                continue

    async def _send(self, data: bytes) -> None:
        while data:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
            await _writable(self._loop, self._number)


async def _writable(loop: asyncio.AbstractEventLoop, number: int) -> None:
    ready = loop.create_future()
    loop.add_writer(number, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(number)


async def addresses_of(host: str, around: Surroundings, ip_version: str = "any") -> list[str]:
    """The addresses of `host` to connect to, IPv6 and IPv4 in turn. Raises Trouble where any of all its addresses is
    forbidden, and where there is none."""
    found: Sequence[str] = _literal(host)
    if not found:
        try:
            found = await (around.resolve or resolving.system)(host)
        except (OSError, ValueError) as error:  # names with NUL, labels that are too long
            raise Trouble("resolve", f"{host} does not resolve: {_told(error)}") from error
    try:
        addresses = guard.checked(host, found, around.allowed_networks)
    except guard.Forbidden as error:
        raise Trouble("forbidden", str(error)) from error
    wanted = None if ip_version == "any" else int(ip_version)
    usable = [text for text in addresses if wanted is None or (6 if ":" in text else 4) == wanted]
    if not usable:
        raise Trouble("resolve", f"{host} has no {f'IPv{wanted} ' if wanted else ''}address")
    return _in_turn(usable) if len(usable) > 1 else usable


@lru_cache(maxsize=16384)
def _literal(host: str) -> tuple[str, ...]:
    """The address that `host` is, if it is one."""
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return ()


def _in_turn(addresses: Sequence[str]) -> list[str]:
    """RFC 8305, section 4: families alternate, the one that the resolver preferred first."""
    first = ":" in addresses[0]
    families = [[text for text in addresses if (":" in text) == kind] for kind in (first, not first)]
    longest = max(len(family) for family in families)
    return [family[place] for place in range(longest) for family in families if place < len(family)]


async def connect(host: str, port: int, config: CheckConfig, trace: Trace, around: Surroundings) -> Stream:
    """A connection to a checked address of `host`."""
    trace.watch.enter("dns_lookup_ms")
    addresses = await addresses_of(host, around, config.ip_version)
    trace.watch.enter("connection_ms")
    loop = asyncio.get_running_loop()
    try:
        connected, address = await _raced(loop, addresses, port)
    except OSError as error:
        place = f"{addresses[0]} port {port}" if host == addresses[0] else f"{host} ({addresses[0]}) port {port}"
        raise refused(error, place) from error
    trace.network["ip"], trace.network["port"] = address, port
    return Stream(connected, loop)


def refused(error: OSError, place: str) -> Trouble:
    """What an error of a socket means."""
    if error.errno in _OWN_LACK:
        return Trouble("impossible", f"not possible here: {_told(error)}")
    return Trouble("connect", f"{place}: {_told(error)}")


def _told(error: Exception) -> str:
    number = getattr(error, "errno", None)
    known = isinstance(number, int) and number > 0 and not isinstance(error, socket.gaierror)
    return os.strerror(number).lower() if known else str(error) or type(error).__name__  # type: ignore[arg-type]


async def _raced(loop: asyncio.AbstractEventLoop, addresses: Sequence[str], port: int) -> tuple[socket.socket, str]:
    """The first connection that comes about; each address gets a head start before the next (RFC 8305)."""
    if len(addresses) == 1:
        return await _dialled(loop, addresses[0], port), addresses[0]
    waiting = list(addresses)
    dialling: dict[asyncio.Task[socket.socket], str] = {}
    failure: BaseException = OSError("no address")
    try:
        while waiting or dialling:
            if waiting:
                address = waiting.pop(0)
                dialling[asyncio.ensure_future(_dialled(loop, address, port))] = address
            done, _ = await asyncio.wait(
                dialling, timeout=HEAD_START_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                if (error := task.exception()) is None:
                    return task.result(), dialling.pop(task)
                failure = error
                del dialling[task]
        raise failure
    finally:
        for task in dialling:
            task.cancel()
            task.add_done_callback(_dropped)


def _dropped(task: asyncio.Task[socket.socket]) -> None:
    """A connection that came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _dialled(loop: asyncio.AbstractEventLoop, address: str, port: int) -> socket.socket:
    dialled = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        dialled.setblocking(False)
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            dialled.connect((address, port))
        except BlockingIOError:
            await _writable(loop, dialled.fileno())
            if number := dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(number, os.strerror(number)) from None
        return dialled
    except BaseException:
        dialled.close()
        raise
