"""What is skipped on the way through a history changes nothing: the same alerts as deciding at every step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts import lifecycle, rehearsal
from alerts.lifecycle import Observation, Snapshot, State, Terms
from alerts.rehearsal import BETWEEN, BREACHED, CLEARED, FINDINGS, MISSING, Episode

START = datetime(2026, 6, 1, tzinfo=UTC)


def instants(number: int, step_seconds: int = 60) -> np.ndarray:
    return int(START.timestamp() * 1000) + step_seconds * 1000 * np.arange(number, dtype=np.int64)


def step_by_step(codes: list[int], times: np.ndarray, terms: Terms) -> list[Episode]:
    """The plain way: `lifecycle.decide` at every evaluation."""
    found: list[Episode] = []
    snapshot, events = None, ()
    for code, at in zip(codes, times.tolist(), strict=True):
        now = datetime.fromtimestamp(at / 1000, UTC)
        decided = lifecycle.decide(snapshot, Observation(FINDINGS[code]), terms, now)
        if decided is None:
            continue
        events += decided.events
        if decided.gone or decided.state is State.RESOLVED:
            if not decided.gone:
                found.append(Episode(snapshot.opened_at, now, events))
            snapshot, events = None, ()
            continue
        known = {name: value for name, value in decided.changes.items() if hasattr(Snapshot(State.OPEN), name)}
        snapshot = replace(snapshot or Snapshot(decided.state), state=decided.state, **known)
    if snapshot is not None and snapshot.opened_at:
        found.append(Episode(snapshot.opened_at, None, events))
    return found


runs = st.lists(
    st.tuples(st.sampled_from([MISSING, CLEARED, BETWEEN, BREACHED, BREACHED]), st.integers(1, 12)), max_size=25
)
seconds = st.integers(0, 900).map(lambda number: timedelta(seconds=number))
terms_ = st.builds(
    Terms, st.integers(1, 6), seconds, st.none() | seconds.map(lambda one: one + timedelta(seconds=1)), seconds
)


@settings(max_examples=300)
@given(runs, terms_, st.sampled_from([7, 60, 100]))
def test_a_rehearsal_is_the_same_as_deciding_at_every_step(runs, terms, step_seconds):
    codes = [code for code, length in runs for _ in range(length)]
    times = instants(len(codes), step_seconds)
    found = rehearsal.episodes(np.array(codes, dtype=np.int8), times, terms)
    assert found == step_by_step(codes, times, terms)


@pytest.mark.parametrize(
    ("codes", "terms", "spans"),
    [
        ([], Terms(), []),
        ([1, 3, 3, 1, 3], Terms(), [(1, 3), (4, None)]),
        ([3, 3, 1, 3, 3, 3, 1], Terms(consecutive_breaches=3), [(5, 6)]),
        ([3, 2, 2, 1], Terms(), [(0, 3)]),
        ([3, 0, 0, 1], Terms(), [(0, 3)]),
        ([3, 1, 1, 1, 1], Terms(keep_firing=timedelta(minutes=2)), [(0, 3)]),
        ([3, 3, 3, 3, 1], Terms(auto_resolve=timedelta(minutes=2)), [(0, 2), (3, 4)]),
    ],
)
def test_what_a_history_comes_to(codes, terms, spans):
    found = rehearsal.episodes(np.array(codes, dtype=np.int8), instants(len(codes)), terms)

    def minute(at: datetime | None) -> int | None:
        return None if at is None else int((at - START).total_seconds() // 60)

    assert [(minute(one.opened_at), minute(one.ended_at)) for one in found] == spans
