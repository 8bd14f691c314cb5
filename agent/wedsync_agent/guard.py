"""Which addresses may be connected to: the one judgement of the server and of probes. Pure.

Private ranges are reached only where the operator names them, link-local and cloud metadata addresses never.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
METADATA: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "192.0.0.192/32")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Forbidden(Exception):
    """The address may not be reached from here."""


def refusal(address: Address, allowed: Iterable[Network]) -> str | None:
    """Why `address` may not be reached, or None where it may. An IPv4 address inside IPv6 is judged as itself."""
    address = _unwrapped(address)
    if any(address in network for network in METADATA):
        return f"{address} is a link-local or metadata address, which is never reached"
    if any(address in network for network in allowed):
        return None
    if not address.is_global or address.is_multicast:
        return f"{address} is in a private network; an operator can allow it with WEDSYNC_ALLOWED_NETWORKS"
    return None


def checked(host: str, found: Iterable[str], allowed: Sequence[Network]) -> list[str]:
    """What `host` resolved to, each address once, without scopes. Raises Forbidden where any may not be reached."""
    addresses = list(dict.fromkeys(text.partition("%")[0] for text in found))
    networks = tuple(allowed)
    for text in addresses:
        if reason := _refusal(text, networks):
            raise Forbidden(reason if text == host else f"{host}: {reason}")
    return addresses


@lru_cache(maxsize=16384)
def _refusal(text: str, allowed: tuple[Network, ...]) -> str | None:
    return refusal(ipaddress.ip_address(text), allowed)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address
