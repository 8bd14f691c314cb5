"""The one way out: HTTP requests to addresses that users name, which are hostile until proven otherwise.

A name is resolved once, all its addresses are checked, and the connection goes to a checked one: what the name
resolves to later does not matter. Redirects are not followed. Private ranges are reached only where
WEDSYNC_ALLOWED_NETWORKS names them, cloud metadata addresses never.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
METADATA: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32")
)
TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 256 * 1024


class Forbidden(Exception):
    """The address may not be reached from here."""


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


def refusal(address: Address, allowed: Iterable[Network]) -> str | None:
    """Why `address` may not be reached, or None where it may. An IPv4 address inside IPv6 is judged as itself."""
    address = _unwrapped(address)
    if any(address in network for network in METADATA):
        return f"{address} is a link-local or metadata address, which is never reached"
    if any(address in network for network in allowed):
        return None
    if not address.is_global or address.is_multicast:
        return f"{address} is not a public address; an operator can allow its network in WEDSYNC_ALLOWED_NETWORKS"
    return None


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        nat64 = ipaddress.ip_network("64:ff9b::/96")
        if inner is None and address in nat64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def checked_address(host: str, port: int, resolve: Resolver | None = None) -> str:
    """An address of `host` to connect to. Raises Forbidden where any of its addresses is, and Unreachable."""
    try:
        found = (resolve or _resolve)(host, port)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} does not resolve: {error}") from error
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    allowed = allowed_networks()
    for text in addresses:
        if reason := refusal(ipaddress.ip_address(text), allowed):
            raise Forbidden(f"{host}: {reason}")
    if not addresses:
        raise Unreachable(f"{host} has no address")
    return addresses[0]


def _resolve(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class _PinnedConnection(http.client.HTTPConnection):
    """Connects to an address that was checked, whatever the name resolves to by then."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None):
        super().__init__(host, port, timeout=TIMEOUT_SECONDS)
        self._address, self._context = address, context

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT_SECONDS)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def request(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request and read at most MAX_ANSWER_BYTES of its answer. Raises Forbidden, Unreachable."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Forbidden("send an http or https URL without a user name in it")
    secure = parts.scheme == "https"
    try:
        port = parts.port or (443 if secure else 80)
    except ValueError as error:
        raise Forbidden("the URL's port is not a number from 1 to 65535") from error
    address = checked_address(parts.hostname, port)
    context = ssl.create_default_context() if secure else None
    connection = _PinnedConnection(parts.hostname, port, address, context)
    try:
        return _exchange(
            connection,
            method,
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            body,
            headers,
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{parts.hostname}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str] | None,
) -> Answer:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    connection.request(method, path, body, {"User-Agent": "WedSync-Monitor", "Connection": "close", **(headers or {})})
    response = connection.getresponse()
    parts: list[bytes] = []
    # A target that drips its answer must not hold us longer than one that is silent.
    while sum(map(len, parts)) < MAX_ANSWER_BYTES and time.monotonic() < deadline:
        part = response.read1(65536)
        if not part:
            break
        parts.append(part)
    received = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, received, b"".join(parts)[:MAX_ANSWER_BYTES])
