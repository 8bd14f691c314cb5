"""Targets of probes on loopback: servers that behave as a test says, in one loop in a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from wedsync_agent.probes import Check, Outcome, Surroundings, run

from tests.agent.probes.certificates import Authority

LOOPBACK = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "::1/128"))
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def around(**more: Any) -> Surroundings:
    return Surroundings(**({"allowed_networks": LOOPBACK} | more))


def probed(kind: str, given: Surroundings | None = None, *, timeout: float = 5.0, **said: Any) -> Outcome:
    """The outcome of one check: columns and fields of its configuration as keywords."""
    columns = {name: said.pop(name) for name in ("url", "host", "port", "key") if name in said}
    expected = said.pop("expected", None)
    check = Check.read(said, expected, kind=kind, timeout_seconds=timeout, **columns)
    return asyncio.run(run(check, given or around()))


@pytest.fixture(scope="session")
def targets() -> Iterator[asyncio.AbstractEventLoop]:
    """The loop in which the targets live."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Target:
    """One server: `requests` has what it was sent, head and body."""

    def __init__(self, port: int, scheme: str):
        self.port, self.requests = port, []
        self.url = f"{scheme}://127.0.0.1:{port}"


@pytest.fixture
def serve(targets: asyncio.AbstractEventLoop) -> Iterator[Callable[..., Target]]:
    """Start a server on loopback: `serve(behaviour)`, `serve(answering(b"…"), tls=context)`."""
    started: list[Any] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(behaviour: Behaviour, tls: ssl.SSLContext | None, host: str) -> Any:
        async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.current_task())
            try:
                await behaviour(reader, writer)
            except (OSError, EOFError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        return await asyncio.start_server(met, host, 0, ssl=tls)

    def serving(behaviour: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Target:
        server = asyncio.run_coroutine_threadsafe(start(behaviour, tls, host), targets).result(5)
        started.append(server)
        target = Target(server.sockets[0].getsockname()[1], "https" if tls else "http")
        behaviour.target = target
        return target

    async def end() -> None:
        for server in started:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    yield serving
    asyncio.run_coroutine_threadsafe(end(), targets).result(5)


async def request_in(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """A request: its head and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
    return head, await reader.readexactly(int(length or 0))


def answering(*answers: bytes | Callable[[str, bytes], bytes]) -> Behaviour:
    """Sends to each request the next of the answers (the last one again and again) and closes."""
    left = list(answers)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await request_in(reader)
        behave.target.requests.append(request)
        answer = left.pop(0) if len(left) > 1 else left[0]
        writer.write(answer(*request) if callable(answer) else answer)
        await writer.drain()

    return behave


def page(body: bytes = b"hello", status: str = "200 OK", **headers: str) -> bytes:
    said = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"HTTP/1.1 {status}", *[f"{name}: {value}" for name, value in said.items()], "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def dripping(at_once: bytes, dripped: bytes = b"", every: float = 0.01) -> Behaviour:
    """Sends the beginning at once and then a little, again and again for ever, or nothing where there is no little."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(at_once)
        while True:
            await asyncio.sleep(every if dripped else 60)
            writer.write(dripped)
            await writer.drain()

    return behave


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls(authority: Authority) -> Callable[..., ssl.SSLContext]:
    """A server's context: `tls("expired")`, `tls("good", "h2")`."""

    def made(leaf: str, *protocols: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.files[leaf])
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    return made
