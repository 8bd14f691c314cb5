"""One HTTP request from the name to the last byte, with the redirects that it leads to, each over a connection that is
guarded anew."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from wedsync_agent.checks import Auth, CheckConfig
from wedsync_agent.probes import connecting, cookies, http1, http2, tls
from wedsync_agent.probes.base import Surroundings, Trace, Trouble
from wedsync_agent.probes.connecting import Stream
from wedsync_agent.probes.http1 import Answer
from wedsync_agent.probes.redaction import SHORTEST_TELLING, Vault, is_telling

USER_AGENT = "WedSync-Monitor"
_PROTOCOLS = {"auto": ("h2", "http/1.1"), "1.1": ("http/1.1",), "2": ("h2",)}
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = {"connection", "content-length", "transfer-encoding", "upgrade"}
# What goes along to another site: nothing that could give access there.
_HARMLESS = {"accept", "accept-language", "user-agent"}
_MAX_HOST = 253


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads: `authority` is its Host header, `target` what is asked there."""

    scheme: str
    host: str
    port: int
    authority: str
    target: str

    def site(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@lru_cache(maxsize=8192)
def place_of(url: str) -> Place:
    """Raises ValueError that says what to send instead."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password or port == 0:
        raise ValueError("send an http or https URL with a host and without a user name")
    if not host.isascii():
        host = host.encode("idna").decode()
    if len(host) > _MAX_HOST or any(letter.isspace() or ord(letter) < 33 for letter in host):
        raise ValueError("send a host name of at most 253 letters")
    bare = f"[{host}]" if ":" in host else host
    usual = 443 if parts.scheme == "https" else 80
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]|{}^`\\")
    authority = bare if port in (None, usual) else f"{bare}:{port}"
    return Place(parts.scheme, host, port or usual, authority, target)


def shown(url: str) -> str:
    """A URL as it is told: without a query and a user name, in which people put what gives access."""
    return re.sub(r"//[^/?#]*@", "//", re.split(r"[?#]", url[:2000])[0])


def request_of(
    method: str, url: str, headers: Mapping[str, str], body: str, auth: Auth | None, vault: Vault
) -> Request:
    """A request with its secrets filled in. Raises Trouble for one that cannot be sent."""
    filled: dict[str, str] = {}
    for name, text in headers.items():
        value = vault.fill(text).strip()
        if name.lower() in _OURS:
            raise Trouble("configuration", f"leave out the header {name}: it is set by the probe")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Trouble("configuration", f"send the header {name[:60]!a} in Latin-1 and on one line")
        if is_telling(name):
            _hide(vault, value)
        filled[name.lower()] = value
    if auth is not None:
        filled["authorization"] = authorization(auth, vault)
    return Request(method, vault.fill(url), filled, vault.fill(body).encode())


def authorization(auth: Auth, vault: Vault) -> str:
    """The value of an Authorization header."""
    if auth.type == "basic":
        password = vault.fill(auth.password)
        vault.hide(password)
        token = base64.b64encode(f"{vault.fill(auth.username)}:{password}".encode()).decode()
    else:
        token = vault.fill(auth.token)
        if not token.isascii() or not token.isprintable():
            raise Trouble("configuration", "send a token of printable ASCII")
    vault.hide(token)
    return f"{auth.type.capitalize()} {token}"


def _hide(vault: Vault, value: str) -> None:
    for part in (value, value.partition(" ")[2]):
        if len(part) >= SHORTEST_TELLING:
            vault.hide(part)


async def fetch(
    request: Request, follow: bool, config: CheckConfig, trace: Trace, around: Surroundings, jar: cookies.Jar
) -> Answer:
    """The final answer. What each hop was is in the trace. Raises Trouble, OSError."""
    hops: list[dict[str, object]] = []
    while True:
        try:
            place = place_of(request.url)
        except ValueError as error:
            said = f"{'it redirects to' if hops else 'the URL is'} {shown(request.url)!a}: {error}"
            raise Trouble("expectation" if hops else "configuration", said) from error
        answer = await _hop(request, place, config, trace, around, jar)
        cookies.keep(jar, place.host, answer.headers)
        location = answer.joined.get("location") if answer.status in _REDIRECTS else None
        if not follow or not location:
            trace.watch.pause()
            return answer
        hops.append({"url": shown(request.url), "status_code": answer.status, "ip": trace.network.get("ip")})
        trace.network["redirects"] = hops
        if len(hops) > config.max_redirects:
            raise Trouble("expectation", f"more than {config.max_redirects} redirects (max_redirects)")
        request = _redirected(request, place, answer.status, location)


def _redirected(request: Request, place: Place, status: int, location: str) -> Request:
    """RFC 9110, section 15.4. To another site go neither the check's headers nor its body."""
    try:
        url = urljoin(request.url, location)
        elsewhere = place_of(url).site() != place.site()
    except ValueError:
        return replace(request, url=location)  # told as what it is when it is looked at next
    becomes_get = status == 303 or (status in (301, 302) and request.method == "POST")
    if becomes_get:
        method = "HEAD" if request.method == "HEAD" else "GET"
        headers = {name: value for name, value in request.headers.items() if name != "content-type"}
        request = Request(method, url, headers)
    elif elsewhere and request.body:
        raise Trouble("expectation", f"it redirects the body to another site: {shown(url)!a}")
    if elsewhere:
        request = replace(request, headers={n: v for n, v in request.headers.items() if n in _HARMLESS})
    return replace(request, url=url)


async def _hop(
    request: Request, place: Place, config: CheckConfig, trace: Trace, around: Surroundings, jar: cookies.Jar
) -> Answer:
    stream = await _connected(place, config, trace, around)
    try:
        second = config.http_version == "2"
        if place.scheme == "https":
            spoken = await tls.secure(stream, place.host, config, trace, _PROTOCOLS[config.http_version])
            if second and spoken.selected_alpn_protocol() != "h2":
                raise Trouble("expectation", f"{place.host} does not speak HTTP/2")
            second = spoken.selected_alpn_protocol() == "h2"
        trace.network["http_version"] = "2" if second else "1.1"
        headers = _headers(request, place, cookies.header(jar, place.scheme, place.host))
        if second:
            authority = request.headers.get("host", place.authority)
            return await http2.exchange(
                stream, request.method, authority, place.scheme, place.target, headers, request.body,
                config.max_body_bytes, trace,
            )  # fmt: skip
        sent = http1.request(request.method, place.target, headers, request.body)
        return await http1.exchange(stream, request.method, sent, config.max_body_bytes, trace)
    finally:
        stream.close()


def _headers(request: Request, place: Place, cookie: str) -> list[tuple[str, str]]:
    sent = {
        "host": place.authority,
        "user-agent": USER_AGENT,
        "accept": "*/*",
        "accept-encoding": "gzip",
        "connection": "close",
        **request.headers,
    }
    if cookie:
        sent["cookie"] = f"{sent['cookie']}; {cookie}" if "cookie" in sent else cookie
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        sent["content-length"] = str(len(request.body))
    return list(sent.items())


async def _connected(place: Place, config: CheckConfig, trace: Trace, around: Surroundings) -> Stream:
    """A connection to the place itself, or through the proxy to a checked address of it."""
    if not config.proxy:
        return await connecting.connect(place.host, place.port, config, trace, around)
    try:
        proxy = place_of(trace.vault.fill(config.proxy))
    except ValueError as error:
        raise Trouble("configuration", f"proxy: {error}") from error
    if proxy.scheme != "http":
        raise Trouble("configuration", "proxy: send an http URL; what goes through it can be TLS")
    trace.watch.enter("dns_lookup_ms")
    # The name's address is judged here and handed to the proxy: what the proxy would resolve it to is not known.
    address = (await connecting.addresses_of(place.host, around, config.ip_version))[0]
    stream = await connecting.connect(proxy.host, proxy.port, _any_family(config), trace, around)
    try:
        await _tunnelled(stream, f"[{address}]" if ":" in address else address, place.port, config, trace)
    except BaseException:
        stream.close()
        raise
    trace.network |= {"proxy": proxy.authority, "ip": address, "port": place.port}
    return stream


def _any_family(config: CheckConfig) -> CheckConfig:
    """The choice of IPv4 or IPv6 is about the target, not about the way to the proxy."""
    return msgspec.structs.replace(config, ip_version="any")


async def _tunnelled(stream: Stream, address: str, port: int, config: CheckConfig, trace: Trace) -> None:
    headers = [("host", f"{address}:{port}"), ("user-agent", USER_AGENT)]
    if config.proxy_auth is not None:
        headers.append(("proxy-authorization", authorization(config.proxy_auth, trace.vault)))
    status = await http1.tunnel(stream, http1.request("CONNECT", f"{address}:{port}", headers, b""))
    if not 200 <= status < 300:
        raise Trouble("connect", f"the proxy does not connect to {address} port {port}: status {status}")


def unpacked(answer: Answer, limit: int) -> bytes:
    """The body without its Content-Encoding. Raises Trouble where that is more than `limit` bytes or cannot be read."""
    encoding = answer.joined.get("content-encoding", "identity").lower()
    if encoding == "identity" or not answer.body:
        return answer.body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Trouble("protocol", f"content-encoding {encoding[:60]!a} is not read here: answer gzip or none")
    # 47: a zlib or a gzip header, whichever is there.
    unpacking = zlib.decompressobj(47)
    try:
        body = unpacking.decompress(answer.body, limit + 1)
    except zlib.error as error:
        raise Trouble("protocol", f"the body is not {encoding}: {error}") from error
    if len(body) > limit:
        raise Trouble("expectation", f"the answer unpacks to more than {limit} bytes (max_body_bytes)")
    if not unpacking.eof:
        raise Trouble("protocol", f"the {encoding} body ends too early")
    return body
