"""Cookies that targets set, kept by host for the rest of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping

from wedsync_agent.probes.redaction import SHORTEST_TELLING

MAX_COOKIES = 50

# By host; what may only go over TLS, by `https://` and the host.
Jar = MutableMapping[str, dict[str, str]]


def keep(jar: Jar, host: str, headers: Iterable[tuple[str, str]]) -> None:
    """Put what an answer of `host` sets into the jar."""
    for cookie, value, said in _set(headers):
        kept = jar.setdefault(f"https://{host}" if "secure" in said else host, {})
        if "max-age=0" in said:
            kept.pop(cookie, None)
        elif cookie and len(kept) < MAX_COOKIES:
            kept[cookie] = value


def values(headers: Iterable[tuple[str, str]]) -> list[str]:
    """The values that may give access."""
    return [value for _, value, _ in _set(headers) if len(value) >= SHORTEST_TELLING]


def _set(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, set[str]]]:
    """Name, value and attributes of each cookie."""
    for name, text in headers:
        if name == "set-cookie":
            pair, *attributes = [part.strip() for part in text.split(";")]
            cookie, _, value = pair.partition("=")
            yield cookie, value, {attribute.lower() for attribute in attributes}


def header(jar: Jar, scheme: str, host: str) -> str:
    """The Cookie header for `host`; empty where there is none."""
    if not jar:
        return ""
    kept = {**jar.get(host, {}), **(jar.get(f"https://{host}", {}) if scheme == "https" else {})}
    return "; ".join(f"{name}={value}" for name, value in kept.items())
