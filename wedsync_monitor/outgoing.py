"""The one way out: HTTP requests to addresses that users name, which are hostile until proven otherwise.

A name is resolved once, all its addresses are checked (wedsync_agent.guard), and the connection goes to a checked one:
what the name resolves to later does not matter. Redirects are not followed. Private ranges are reached only where
WEDSYNC_ALLOWED_NETWORKS names them, cloud metadata addresses never. One deadline holds for the whole request, from the
name to the last byte, whatever the other side does.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from wedsync_agent.guard import Forbidden, Network, checked, refusal

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 256 * 1024


class Unreachable(Exception):
    """The address did not answer in time, or not in HTTP."""


@dataclass(frozen=True)
class Answer:
    """A response: status, headers by lower-case name, and the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Resolver = Callable[[str, int], list[Any]]


def allowed_networks() -> list[Network]:
    return [ipaddress.ip_network(text, strict=False) for text in settings.OUTGOING_ALLOWED_NETWORKS]


def refusal_of_url(url: str) -> str | None:
    """Why the IP address that stands in `url` may not be reached. None where a name stands there: what that is the
    address of is judged whenever it is sent to."""
    try:
        address = ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return None
    return refusal(address, allowed_networks())


def checked_addresses(host: str, port: int, resolve: Resolver | None = None) -> list[str]:
    """The addresses of `host`, all checked. Raises Forbidden where any of them is, and Unreachable."""
    try:
        found = (resolve or _resolve)(host, port)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} does not resolve: {type(error).__name__}: {error}") from error
    addresses = checked(host, (str(entry[4][0]) for entry in found), allowed_networks())
    if not addresses:
        raise Unreachable(f"{host} has no address")
    return addresses


def _resolve(host: str, port: int) -> list[Any]:
    """The system's resolver has no timeout of its own, so it is waited for from outside."""
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return found.result(TIMEOUT_SECONDS)


class _PinnedConnection(http.client.HTTPConnection):
    """Connects to addresses that were checked, whatever the name resolves to by then, and ends at its deadline."""

    def __init__(self, host: str, port: int, addresses: Sequence[str], context: ssl.SSLContext | None, deadline: float):
        super().__init__(host, port)
        self._addresses, self._context, self._deadline = addresses, context, deadline
        self._timer: threading.Timer | None = None

    def remaining_seconds(self) -> float:
        return self._deadline - time.monotonic()

    def connect(self) -> None:
        self.sock = self._connected()
        # A socket's own timeout starts anew with every byte; only the deadline ends one that drips.
        self.sock.settimeout(None)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self._timer = threading.Timer(max(self.remaining_seconds(), 0), _cut, [self.sock])
        self._timer.daemon = True
        self._timer.start()
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def _connected(self) -> socket.socket:
        """A connection to the first address that takes one; each has its share of the time that is left."""
        failure: OSError = TimeoutError("no time was left to connect")
        for place, address in enumerate(self._addresses):
            seconds = self.remaining_seconds() / (len(self._addresses) - place)
            if seconds <= 0:
                break
            try:
                return socket.create_connection((address, self.port), seconds)
            except OSError as error:
                failure = error
        raise failure

    def end(self) -> None:
        """Close for good. http.client calls `close` itself, before the body is read."""
        self.close()
        if self._timer:
            self._timer.cancel()


def _cut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not the TLS socket's own method: that one drops the encryption of what is still read.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def parts_of(url: str) -> tuple[SplitResult, str, int]:
    """The URL's parts, its host and port. Raises Forbidden for one that is not to be requested."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise Forbidden(f"the URL cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Forbidden("send an http or https URL without a user name in it")
    return parts, parts.hostname, port


def request(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request and read at most MAX_ANSWER_BYTES of its answer. Raises Forbidden, Unreachable."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    parts, host, port = parts_of(url)
    addresses = checked_addresses(host, port)
    context = ssl.create_default_context() if parts.scheme == "https" else None
    connection = _PinnedConnection(host, port, addresses, context, deadline)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        return _exchange(connection, method, path, body, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = connection.remaining_seconds() <= 0
        reason = f"no answer within {TIMEOUT_SECONDS:g} seconds" if late else f"{type(error).__name__}: {error}"
        raise Unreachable(f"{host}: {reason}") from error
    finally:
        connection.end()


def _exchange(
    connection: _PinnedConnection, method: str, path: str, body: bytes, headers: Mapping[str, str] | None
) -> Answer:
    connection.request(method, path, body, {"User-Agent": "WedSync-Monitor", "Connection": "close", **(headers or {})})
    response = connection.getresponse()
    if connection.remaining_seconds() <= 0:
        # http.client takes headers that were cut off for all of them.
        raise TimeoutError("the headers did not end in time")
    received = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, received, _beginning(response, connection))


def _beginning(response: http.client.HTTPResponse, connection: _PinnedConnection) -> bytes:
    """The body as far as it came by the deadline: the status already says how the request went."""
    read = bytearray()
    try:
        while len(read) < MAX_ANSWER_BYTES and (part := response.read1(65536)):
            read += part
    except (OSError, http.client.HTTPException):
        if connection.remaining_seconds() > 0:
            raise
    return bytes(read[:MAX_ANSWER_BYTES])


__all__ = [
    "Answer", "Forbidden", "Unreachable", "allowed_networks", "checked_addresses", "parts_of", "refusal",
    "refusal_of_url", "request",
]  # fmt: skip
