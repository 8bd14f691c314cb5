"""A stored check as probes take it: its sealed texts opened, with the secrets that it may send to its hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import datetime
from urllib.parse import urlsplit

from wedsync_agent.probes import Check, Session, Surroundings

from synthetic.models import ProbeSecret, SyntheticCheck
from wedsync_monitor import outgoing, secrets

# A part of an address that is filled in when it runs could lead anywhere.
_REFERENCE = "{{"


class Unusable(Exception):
    """The check cannot be run as it is stored; the text says what to change."""


def probe_of(check: SyntheticCheck) -> Check:
    """Raises Unusable."""
    try:
        return Check.read(
            secrets.reveal(check.check_config),
            check.expected_response,
            kind=check.check_type,
            url=check.target_url or "",
            host=check.target_host or "",
            port=check.target_port,
            timeout_seconds=check.timeout_seconds,
            key=str(check.pk),
        )
    except (secrets.Unreadable, ValueError) as error:
        raise Unusable(str(error)) from error


def surroundings(
    known: Mapping[str, str], sessions: MutableMapping[str, Session], now: Callable[[], datetime]
) -> Surroundings:
    """Of a run on this server: it reaches what the operator allowed for all outgoing requests."""
    return Surroundings(secrets=known, allowed_networks=outgoing.allowed_networks(), sessions=sessions, now=now)


class Secrets:
    """All secrets, read once for many checks."""

    def __init__(self) -> None:
        self._rows: list[ProbeSecret] | None = None

    def of(self, check: Check) -> dict[str, str]:
        """The secrets that this check may use: each only where all hosts that it names are among the secret's own."""
        if not _mentions_secrets(check):
            return {}
        if self._rows is None:
            self._rows = list(ProbeSecret.objects.all())
        hosts = set(_hosts_of(check))
        return {row.secret_name: _opened(row) for row in self._rows if hosts <= {host.lower() for host in row.hosts}}


def _opened(row: ProbeSecret) -> str:
    try:
        return str(secrets.reveal(row.secret)["value"])
    except secrets.Unreadable as error:
        raise Unusable(f"secret {row.secret_name}: {error}") from error


def _mentions_secrets(check: Check) -> bool:
    return "{{" in repr(check)


def _hosts_of(check: Check) -> Iterator[str]:
    """Every host that the check would send something to; an address that is not known before it runs is none of
    anybody's."""
    config = check.config
    if check.host:
        yield check.host.lower()
    steps = [*config.steps, *(config.sign_in.steps if config.sign_in else ())]
    urls: Iterable[str] = (check.url, config.proxy, *(step.url for step in steps if not step.url.startswith("/")))
    for url in filter(None, urls):
        yield _host_of(url)


def _host_of(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return _REFERENCE
    return _REFERENCE if not host or _REFERENCE in host else host.lower()
