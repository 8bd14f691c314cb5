"""Many pages at once over HTTP, under the rules of `outgoing`: asyncio in a thread of its own, answers as futures.

The name is resolved once and all its addresses are checked; the connection goes to the checked one, with the name in
TLS and in the Host header. Redirects are not followed, proxies of the environment are not used, and one deadline holds
from the name to the last byte. What is held in memory at once is bounded over all pages.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import TracebackType
from typing import Any

import httpx

from wedsync_monitor import outgoing
from wedsync_monitor.outgoing import Forbidden, Unreachable

MAX_BYTES_AT_ONCE = 128 * 1024 * 1024
# The system's resolver has no timeout: a thread may hang in it for long.
_RESOLVERS = 64


@dataclass(frozen=True)
class Page:
    """What is to be fetched. `ca_certificate` is PEM; without it the public authorities count."""

    url: str
    timeout_seconds: float
    max_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    verify_tls: bool = True
    ca_certificate: str = ""


@dataclass(frozen=True)
class Fetched:
    """A whole answer, its body as it was sent (with its Content-Encoding), and how long it took from the start."""

    status: int
    headers: Mapping[str, str]  # by lower-case name
    body: bytes
    seconds: float


@lru_cache(maxsize=256)
def _context(verify: bool, ca_certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca_certificate or None)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Fetcher:
    """Fetches pages until it is left: `with Fetcher() as fetcher: fetcher.fetch(page).result()`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, "resolver")
        self._thread = threading.Thread(target=self._run, name="fetcher", daemon=True)
        self._held, self._lock = 0, threading.RLock()

    def __enter__(self) -> Fetcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                self._loop.run_until_complete(task)
        self._loop.close()

    def fetch(self, page: Page) -> Future[Fetched]:
        """The page's answer, some time; the future raises Forbidden or Unreachable."""
        return asyncio.run_coroutine_threadsafe(self._fetch(page), self._loop)

    async def _fetch(self, page: Page) -> Fetched:
        began = time.monotonic()
        try:
            async with asyncio.timeout(page.timeout_seconds):
                return await self._exchange(page, began)
        except TimeoutError as error:
            raise Unreachable(f"no whole answer within {page.timeout_seconds:g} seconds") from error
        except httpx.LocalProtocolError:
            # Its text holds the header, and that a secret which viewers would read in the target's error.
            raise Unreachable("a header of the request has characters that none may have; enter it again") from None
        except (OSError, httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, ValueError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    async def _exchange(self, page: Page, began: float) -> Fetched:
        parts, host, port = outgoing.parts_of(page.url)
        found = await self._resolve(host, port)
        addresses = outgoing.checked_addresses(host, port, lambda *_: found)
        context = _context(page.verify_tls, page.ca_certificate)
        # A client of its own: a connection that was made for one name must not carry another's request.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(
            verify=context, trust_env=False, timeout=httpx.Timeout(None), limits=limits
        ) as client:
            for place, address in enumerate(addresses):
                request = _request(client, page, parts.netloc, host, address)
                try:
                    return await self._receive(client, request, page.max_bytes, began)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if place + 1 == len(addresses):
                        raise
        raise Unreachable(f"{host} has no address")

    async def _resolve(self, host: str, port: int) -> list[Any]:
        try:
            ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found: list[Any] = await self._loop.run_in_executor(self._resolvers, ask)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{host} does not resolve: {error}") from error
        return found

    async def _receive(
        self, client: httpx.AsyncClient, request: httpx.Request, max_bytes: int, began: float
    ) -> Fetched:
        response = await client.send(request, stream=True, follow_redirects=False)
        body = bytearray()
        try:
            async for part in response.aiter_raw():
                self._hold(len(part))
                body += part
                if len(body) > max_bytes:
                    raise Unreachable(f"it answers more than {max_bytes} bytes")
                if self._held > MAX_BYTES_AT_ONCE:
                    raise Unreachable("too many large pages come in at once; it is read again at its next time")
            fetched = Fetched(response.status_code, dict(response.headers), bytes(body), time.monotonic() - began)
            # An answer counts for as long as somebody holds it, also when its reader is slower than the network.
            weakref.finalize(fetched, self._hold, -len(body))
            return fetched
        except BaseException:
            self._hold(-len(body))
            raise
        finally:
            await response.aclose()

    def _hold(self, size: int) -> None:
        with self._lock:
            self._held += size


def _request(client: httpx.AsyncClient, page: Page, netloc: str, host: str, address: str) -> httpx.Request:
    """The request to a checked address, under the name that it was checked for."""
    url = httpx.URL(page.url).copy_with(host=address)
    headers = {"User-Agent": "WedSync-Monitor", "Connection": "close", **page.headers, "Host": netloc}
    return client.build_request("GET", url, headers=headers, extensions={"sni_hostname": host})


__all__ = ["Fetched", "Fetcher", "Forbidden", "Page", "Unreachable"]
