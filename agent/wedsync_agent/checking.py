"""The agent as a location of synthetic checks: fetches them, runs them at their slots, and reports what it saw.

Slots are the server's: whole intervals of Unix time and an offset. While the server is away the known checks go
on, and results wait in a spool, with their own times and ids: what is sent twice is the same result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from wedsync_agent.configuration import Local
from wedsync_agent.probes import Check, Outcome, Session, Surroundings, Timing
from wedsync_agent.probing import Prober
from wedsync_agent.spool import Spool

AT_ONCE = 1000
FETCH_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 60.0
_MAX_RESULTS, _MAX_BYTES = 500, 1_500_000
_PATH = "/api/monitoring/agents/checks"
# What the server says of a report that it will never take.
_FINAL = frozenset({400, 409, 413, 422})


@dataclass
class Planned:
    """A check, and when its next slot is, in Unix seconds."""

    id: str
    said: Mapping[str, Any]
    due: float
    missed: int = 0
    is_busy: bool = False

    @property
    def every(self) -> float:
        return float(self.said["check_frequency"])

    def move(self, now: float) -> None:
        """To the first slot after `now`; those that passed since the one that was due are missed."""
        self.missed += max(math.floor((now - self.due) / self.every), 0)
        self.due = slot_after(self.said, now)


def slot_after(said: Mapping[str, Any], now: float) -> float:
    offset, every = float(said["offset_seconds"]), float(said["check_frequency"])
    return offset + (math.floor((now - offset) / every) + 1) * every


@dataclass
class Checking:
    """The checks of this location. `step` and `report` are called again and again, each by a thread of its own."""

    local: Local
    http: httpx.Client
    headers: Callable[[], dict[str, str]]
    spool: Spool
    prober: Prober
    clock: Callable[[], float] = time.time
    checks: dict[str, Planned] = field(default_factory=dict)
    _planned: dict[str, Planned] = field(default_factory=dict)
    _tag: str = ""
    _sessions: dict[str, Session] = field(default_factory=dict)
    _pause: float = 1.0
    _at_once: int = _MAX_RESULTS

    def fetch(self) -> None:
        """Ask the server which checks there are; those that are known stay what they are where it does not answer.
        Raises httpx.HTTPError."""
        answer = self.http.get(_PATH, headers=self.headers() | ({"If-None-Match": self._tag} if self._tag else {}))
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return
        answer.raise_for_status()
        now, before = self.clock(), self.checks
        found = {said["id"]: said for said in answer.json()["checks"]}
        # What is new or has changed runs at once.
        self.checks = {
            key: before[key] if key in before and before[key].said == said else Planned(key, said, now)
            for key, said in found.items()
        }
        self._tag = answer.headers.get("ETag", "")

    def step(self, wait_seconds: float) -> int:
        """Begin what is due and keep what has ended; answers how many ended."""
        now = self.clock()
        for planned in list(self.checks.values()):
            if planned.due <= now and not planned.is_busy and len(self.prober.under_way) < AT_ONCE:
                planned.move(now)
                self._begin(planned)
        ended = self.prober.take(wait_seconds)
        for one in ended:
            planned = self._planned.pop(one.ticket)
            planned.is_busy = False
            self._keep(planned, one.outcome, one.attempts, one.is_counted)
        return len(ended)

    def _begin(self, planned: Planned) -> None:
        said = planned.said
        try:
            if reason := said.get("error"):
                raise ValueError(reason)
            check = Check.read(
                said["check_config"],
                said["expected_response"],
                kind=said["check_type"],
                url=said["target_url"],
                host=said["target_host"],
                port=said["target_port"],
                timeout_seconds=said["timeout_seconds"],
                key=planned.id,
            )
        except ValueError as error:
            self._keep(planned, Outcome("error", self._now(), Timing(), "configuration", str(error)), 1, False)
            return
        around = Surroundings(
            secrets=said["secrets"],
            allowed_networks=self.local.allowed_networks,
            sessions=self._sessions,
            now=self._now,
        )
        ticket = str(uuid4())
        planned.is_busy, self._planned[ticket] = True, planned
        self.prober.start(ticket, check, around, said["retry_attempts"])

    def _now(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.clock())

    def _keep(self, planned: Planned, outcome: Outcome, attempts: int, is_counted: bool) -> None:
        result = outcome.columns() | {"id": uuid4(), "check_id": planned.id, "attempts": attempts}
        result |= {"is_counted": is_counted, "missed": planned.missed}
        planned.missed = 0
        self.spool.append(msgspec.json.encode(result))

    def report(self) -> float:
        """Send the oldest results; answers how long to wait before the next. Nothing is lost where that fails."""
        records, place = self.spool.peek(_MAX_BYTES, self._at_once)
        if not records:
            return 0.5
        body = b'{"results":[' + b",".join(records) + b'],"is_cut_off":' + _JSON[self.prober.is_cut_off] + b"}"
        try:
            headers = self.headers() | {"Content-Type": "application/json"}
            answer = self.http.post(f"{_PATH}/results", content=body, headers=headers)
        except httpx.HTTPError:
            return self._back_off()
        is_final = answer.status_code in _FINAL and "problem+json" in answer.headers.get("content-type", "")
        if is_final and len(records) > 1:
            # Find the one at fault: it must not hold up the rest.
            self._at_once = max(len(records) // 2, 1)
            return 0.0
        if not answer.is_success and not is_final:
            return self._back_off()
        self.spool.acknowledge(place)
        self._pause, self._at_once = 1.0, _MAX_RESULTS
        return 0.0

    def _back_off(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return pause


_JSON = {True: b"true", False: b"false"}
