"""The way to the server: sends what is spooled, in order, and waits when told to."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from wedsync_agent import __version__, wire
from wedsync_agent.configuration import Local
from wedsync_agent.spool import Spool

MAX_REQUEST_BYTES = 1024 * 1024
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
MAX_REFUSED_FILES = 100
# What the server itself says of a record that it will never take. A proxy, a captive portal or a wrong Host answer with
# codes like these too, but not in the server's format: their errors pass, and nothing may be set aside for them.
FINAL = frozenset({400, 413, 415, 422})
PROBLEM = "application/problem+json"


UNKNOWN_KEY = (
    "the server does not know this key (401): it is mistyped, revoked or has run out. Get another by "
    "`manage.py enroll_agent` on the server, or by an enrolment token and `wedsync-agent enrol`"
)


class NoKey(Exception):
    """There is no key yet."""


def client(local: Local) -> httpx.Client:
    """An HTTP client that checks the server's certificate, against the operator's own authority where named."""
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=local.ca_file) if local.ca_file else True
    return httpx.Client(
        base_url=local.server, verify=verify, timeout=15, headers={"User-Agent": f"wedsync-agent/{__version__}"}
    )


@dataclass
class Totals:
    """What has been sent since the start."""

    samples: int = 0
    bytes: int = 0
    refused: int = 0
    last_error: str | None = None


class Sender:
    """Drains the spool. `step` sends one request and answers how long to wait before the next."""

    def __init__(self, spool: Spool, http: httpx.Client, key: Callable[[], str | None], refused_folder: Path):
        self.spool, self.http, self.key, self.refused_folder = spool, http, key, refused_folder
        self.totals = Totals()
        self.compress = True
        self._pause = FIRST_PAUSE_SECONDS
        self._request_bytes = MAX_REQUEST_BYTES

    def step(self, chance: random.Random) -> float:
        """Send the next records. Seconds to wait: 0 where more is waiting and the server takes it."""
        records, place = self.spool.peek(self._request_bytes)
        if not records:
            return 0.5
        try:
            answer = self._post(records)
        except (httpx.HTTPError, NoKey) as error:
            return self._back_off(f"{type(error).__name__}: {error}", None, chance)
        if answer.is_success:
            self._count(answer)
            self.spool.acknowledge(place)
            self._pause, self._request_bytes = FIRST_PAUSE_SECONDS, MAX_REQUEST_BYTES
            return 0.0
        return self._refused(answer, records, place, chance)

    def _post(self, records: list[bytes]) -> httpx.Response:
        key = self.key()
        if key is None:
            raise NoKey("there is no agent key yet")
        body = wire.join(records)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/msgpack"}
        if self.compress:
            body, headers["Content-Encoding"] = wire.compress(body), "zstd"
        self.totals.bytes += len(body)
        return self.http.post("/api/monitoring/metrics", content=body, headers=headers)

    def _count(self, answer: httpx.Response) -> None:
        said: dict[str, Any] = answer.json()
        self.totals.samples += int(said.get("accepted", 0))
        rejected = said.get("rejected") or []
        self.totals.refused += len(rejected)
        self.totals.last_error = str(rejected[0].get("reason")) if rejected else None

    def _refused(self, answer: httpx.Response, records: list[bytes], place: Any, chance: random.Random) -> float:
        code = answer.status_code
        final = code in FINAL and answer.headers.get("content-type", "").startswith(PROBLEM)
        if len(records) > 1 and (final or code == 413):
            # Find the record at fault, or what a proxy lets through: send less, down to one.
            self._request_bytes = max(sum(map(len, records)) // 2, 1)
            return 0.0
        if not final:
            told = UNKNOWN_KEY if code == 401 else f"the server answered {code}"
            return self._back_off(told, answer.headers.get("retry-after"), chance)
        # One record that the server will never take must not hold up the rest.
        self._set_aside(records[0], answer)
        self.spool.acknowledge(place)
        return 0.0

    def _set_aside(self, record: bytes, answer: httpx.Response) -> None:
        self.totals.refused += 1
        self.totals.last_error = f"the server refused a record ({answer.status_code}): {answer.text[:200]}"
        self.refused_folder.mkdir(parents=True, exist_ok=True)
        kept = sorted(self.refused_folder.iterdir())
        for old in kept[: max(len(kept) - MAX_REFUSED_FILES + 1, 0)]:
            old.unlink()
        name = f"{int(kept[-1].stem) + 1 if kept else 1:08d}.msgpack"
        (self.refused_folder / name).write_bytes(record)

    def _back_off(self, error: str, wish: str | None, chance: random.Random) -> float:
        self.totals.last_error = error
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        wanted = float(wish) if wish and wish.isdigit() else 0.0
        return max(pause * chance.uniform(0.5, 1.0), min(wanted, 300.0))
