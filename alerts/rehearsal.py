"""The life of alerts over a recorded history of findings, by the same decisions as when it happens. No Django.

`lifecycle.decide` is asked at the steps at which it could say something new: where the finding changes, while breaches
are counted, and when a time runs out. What lies between would only go on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from alerts import lifecycle
from alerts.lifecycle import Event, Finding, Observation, Snapshot, State, Terms, Transition

MISSING, CLEARED, BETWEEN, BREACHED = range(4)
FINDINGS = (Finding.MISSING, Finding.CLEARED, Finding.BETWEEN, Finding.BREACHED)
Codes = NDArray[np.int8]
_MARKS = ("breach_count", "opened_at", "clear_since", "missing_since", "acknowledged_until")


@dataclass(frozen=True)
class Episode:
    """One alert: from its opening to its end (None: it lasts), and what would have happened to it."""

    opened_at: datetime
    ended_at: datetime | None
    events: tuple[Event, ...]


def episodes(
    codes: Codes, instants_ms: NDArray[np.int64], terms: Terms, counts: NDArray[np.int64] | None = None
) -> list[Episode]:
    """The alerts of one asset of which `codes` (S,) were found at `instants_ms` (S,), in order. `counts` (S,): how many
    breaches in a row open at each instant, where that is not always what the terms say. What flaps is not held."""
    terms = replace(terms, flapping=None)
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1])[: len(codes)])
    breaches = starts[codes[starts] == BREACHED]
    found: list[Episode] = []
    snapshot: Snapshot | None = None
    events: tuple[Event, ...] = ()
    step = 0
    while step < len(codes):
        if snapshot is None and codes[step] != BREACHED:
            place = int(np.searchsorted(breaches, step))
            if place == len(breaches):
                break
            step = int(breaches[place])
        now = _moment(int(instants_ms[step]))
        if counts is not None:
            terms = replace(terms, consecutive_breaches=int(counts[step]))
        decided = lifecycle.decide(snapshot, Observation(FINDINGS[codes[step]]), terms, now)
        if decided is not None:
            events += decided.events
            before, snapshot = snapshot, _next(snapshot, decided)
            if decided.state is State.RESOLVED and before and before.opened_at:
                found.append(Episode(before.opened_at, now, events))
            events = () if snapshot is None else events
        step = _next_step(step, snapshot, codes, starts, instants_ms, terms)
    if snapshot is not None and snapshot.opened_at:
        found.append(Episode(snapshot.opened_at, None, events))
    return found


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _next(snapshot: Snapshot | None, decided: Transition) -> Snapshot | None:
    if decided.gone or decided.state is State.RESOLVED:
        return None
    changes = {name: value for name, value in decided.changes.items() if name in _MARKS}
    return replace(snapshot or Snapshot(decided.state), state=decided.state, **changes)


def _next_step(
    step: int,
    snapshot: Snapshot | None,
    codes: Codes,
    starts: NDArray[np.int64],
    instants_ms: NDArray[np.int64],
    terms: Terms,
) -> int:
    """The next step at which something could happen."""
    if snapshot is None or (snapshot.state is State.PENDING and codes[step] == BREACHED):
        return step + 1
    place = int(np.searchsorted(starts, step, "right"))
    until = int(starts[place]) if place < len(starts) else len(codes)
    for deadline in _deadlines(snapshot, terms):
        due = int(np.searchsorted(instants_ms, int(deadline.timestamp() * 1000)))
        until = min(until, max(due, step + 1))
    return until


def _deadlines(snapshot: Snapshot, terms: Terms) -> list[datetime]:
    found = []
    if snapshot.state is State.PENDING:
        return [snapshot.missing_since + terms.patience] if snapshot.missing_since else []
    if terms.auto_resolve and snapshot.opened_at:
        found.append(snapshot.opened_at + terms.auto_resolve)
    if snapshot.clear_since:
        found.append(snapshot.clear_since + terms.keep_firing)
    return found
