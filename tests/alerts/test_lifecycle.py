"""The life of an alert, as a table of what is found and what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import lifecycle
from alerts.lifecycle import Event, Finding, Observation, Refused, Snapshot, State, Terms, Transition

NOW = datetime(2026, 6, 13, 14, 0, tzinfo=UTC)
BREACHED, CLEARED = Observation(Finding.BREACHED), Observation(Finding.CLEARED)
BETWEEN, MISSING = Observation(Finding.BETWEEN), Observation(Finding.MISSING)
OPEN = Snapshot(State.OPEN, breach_count=1, opened_at=NOW - timedelta(minutes=10))
MINUTE = timedelta(minutes=1)


def outcome(decided: Transition | None) -> tuple[State | None, tuple[Event, ...]]:
    return (None, ()) if decided is None else (decided.state, decided.events)


def test_the_first_breach_opens_where_one_is_enough():
    assert outcome(lifecycle.decide(None, BREACHED, Terms(), NOW)) == (State.OPEN, (Event.OPENED,))


def test_several_breaches_in_a_row_are_counted_before_opening():
    terms, snapshot = Terms(consecutive_breaches=3), None
    seen = []
    for step in range(3):
        decided = lifecycle.decide(snapshot, BREACHED, terms, NOW + step * MINUTE)
        seen.append(outcome(decided))
        snapshot = Snapshot(decided.state, breach_count=decided.changes["breach_count"])
    assert seen == [(State.PENDING, (Event.PENDING,)), (State.PENDING, ()), (State.OPEN, (Event.OPENED,))]


@pytest.mark.parametrize("finding", [CLEARED, BETWEEN])
def test_a_pending_alert_that_does_not_breach_again_is_forgotten(finding):
    assert lifecycle.decide(Snapshot(State.PENDING, 1), finding, Terms(3), NOW).gone


def test_missing_data_neither_resets_a_pending_alert_nor_resolves_an_open_one():
    pending = lifecycle.decide(Snapshot(State.PENDING, 2), MISSING, Terms(3), NOW)
    assert (pending.state, pending.gone, "breach_count" in pending.changes) == (State.PENDING, False, False)
    assert outcome(lifecycle.decide(OPEN, MISSING, Terms(), NOW)) == (State.OPEN, (Event.DATA_MISSING,))
    silent = replace(OPEN, missing_since=NOW - timedelta(days=1))
    assert lifecycle.decide(silent, MISSING, Terms(), NOW) is None
    assert outcome(lifecycle.decide(silent, BREACHED, Terms(), NOW))[1] == (Event.DATA_BACK,)


def test_a_pending_alert_without_data_is_held_with_a_cap_on_age():
    held = Snapshot(State.PENDING, 1, missing_since=NOW - timedelta(minutes=14))
    assert lifecycle.decide(held, MISSING, Terms(3), NOW) is None
    assert lifecycle.decide(held, MISSING, Terms(3), NOW + 2 * MINUTE).gone


def test_between_the_two_thresholds_an_open_alert_stays_open():
    assert lifecycle.decide(OPEN, BETWEEN, Terms(), NOW) is None
    assert outcome(lifecycle.decide(OPEN, CLEARED, Terms(), NOW)) == (State.RESOLVED, (Event.RESOLVED,))


def test_it_must_be_clear_without_a_break_for_the_keep_firing_time():
    terms = Terms(keep_firing=timedelta(minutes=5))
    first = lifecycle.decide(OPEN, CLEARED, terms, NOW)
    assert (first.state, first.changes["clear_since"]) == (State.OPEN, NOW)
    clear = replace(OPEN, clear_since=NOW)
    assert lifecycle.decide(clear, CLEARED, terms, NOW + 4 * MINUTE) is None
    assert lifecycle.decide(clear, BETWEEN, terms, NOW + 4 * MINUTE).changes["clear_since"] is None
    assert lifecycle.decide(clear, CLEARED, terms, NOW + 5 * MINUTE).state is State.RESOLVED


def test_a_clock_that_jumps_back_does_not_resolve_early():
    clear = replace(OPEN, clear_since=NOW + timedelta(hours=1))
    terms = Terms(keep_firing=timedelta(minutes=5))
    decided = lifecycle.decide(clear, CLEARED, terms, NOW)
    assert decided is None or decided.state is State.OPEN


def test_an_alert_that_nobody_ends_runs_out_where_the_rule_says_so():
    terms = Terms(auto_resolve=timedelta(minutes=10))
    decided = lifecycle.decide(OPEN, BREACHED, terms, NOW)
    assert (decided.state, decided.resolution_type) == (State.RESOLVED, "timeout")


def test_an_acknowledgement_ends_when_it_said_it_would():
    taken = replace(OPEN, state=State.ACKNOWLEDGED, acknowledged_until=NOW + MINUTE)
    assert lifecycle.decide(taken, BREACHED, Terms(), NOW).state is State.ACKNOWLEDGED
    expired = lifecycle.decide(taken, BREACHED, Terms(), NOW + MINUTE)
    assert outcome(expired) == (State.OPEN, (Event.ACKNOWLEDGEMENT_EXPIRED,))


def test_when_a_window_ends_and_it_is_still_bad_people_are_told():
    covered = Observation(Finding.BREACHED, suppressed="a window")
    began = lifecycle.decide(None, covered, Terms(), NOW)
    assert outcome(began) == (State.SUPPRESSED, (Event.SUPPRESSED,))
    ended = lifecycle.decide(Snapshot(State.SUPPRESSED, 1, opened_at=NOW), BREACHED, Terms(), NOW + MINUTE)
    assert outcome(ended) == (State.OPEN, (Event.UNSUPPRESSED,))


@pytest.mark.parametrize(
    ("until", "raised", "then"),
    [
        (None, "", (State.ACKNOWLEDGED, (Event.UNSUPPRESSED, Event.ACKNOWLEDGED))),
        (NOW + 3 * MINUTE, "", (State.ACKNOWLEDGED, (Event.UNSUPPRESSED, Event.ACKNOWLEDGED))),
        (NOW + MINUTE, "", (State.OPEN, (Event.UNSUPPRESSED,))),
        (None, "from high to critical", (State.OPEN, (Event.UNSUPPRESSED,))),
    ],
)
def test_what_was_acknowledged_before_a_window_is_so_after_it_while_the_acknowledgement_holds(until, raised, then):
    taken = replace(OPEN, state=State.ACKNOWLEDGED, acknowledged_until=until)
    held = lifecycle.decide(taken, Observation(Finding.BREACHED, "a window"), Terms(), NOW)
    assert (held.state, held.changes["was_acknowledged"]) == (State.SUPPRESSED, True)
    muted = replace(taken, state=State.SUPPRESSED, was_acknowledged=True)
    back = lifecycle.decide(muted, Observation(Finding.BREACHED, raised=raised), Terms(), NOW + 2 * MINUTE)
    assert (outcome(back), back.changes["was_acknowledged"]) == (then, False)


def test_a_higher_severity_opens_anew_what_was_acknowledged_as_less():
    worse = Observation(Finding.BREACHED, raised="from high to critical")
    taken = replace(OPEN, state=State.ACKNOWLEDGED, acknowledged_until=NOW + MINUTE)
    for snapshot in (OPEN, taken):
        decided = lifecycle.decide(snapshot, worse, Terms(), NOW)
        assert outcome(decided) == (State.OPEN, (Event.OPENED,))
        assert decided.note == "Severity raised from high to critical."
    assert decided.changes["acknowledged_until"] is None


def test_a_snooze_of_an_acknowledged_alert_ends_in_telling_people():
    taken = replace(OPEN, state=State.ACKNOWLEDGED)
    snoozed = lifecycle.decide_snooze(taken, NOW + MINUTE, NOW)
    assert snoozed.changes["was_acknowledged"] is False


def test_a_muted_alert_still_resolves():
    muted = Snapshot(State.SUPPRESSED, 1, opened_at=NOW)
    assert lifecycle.decide(muted, Observation(Finding.CLEARED, "a window"), Terms(), NOW).state is State.RESOLVED


@pytest.mark.parametrize("state", [State.RESOLVED, State.PENDING, State.SUPPRESSED])
def test_what_is_not_open_cannot_be_acknowledged(state):
    with pytest.raises(Refused, match="cannot be acknowledged"):
        lifecycle.decide_acknowledge(Snapshot(state), None, NOW)


findings = st.builds(Observation, st.sampled_from(list(Finding)), st.booleans())
histories = st.lists(st.tuples(findings, st.integers(0, 600)), max_size=60)
all_terms = st.builds(
    Terms,
    consecutive_breaches=st.integers(1, 4),
    keep_firing=st.integers(0, 300).map(lambda seconds: timedelta(seconds=seconds)),
    auto_resolve=st.one_of(st.none(), st.integers(60, 3600).map(lambda seconds: timedelta(seconds=seconds))),
)


def breaches_after(in_a_row: int, snapshot: Snapshot | None, finding: Finding) -> int:
    """The model beside the machine: breaches in a row since the alert began to be pending."""
    if (snapshot is not None and snapshot.state is not State.PENDING) or finding is Finding.MISSING:
        return in_a_row
    return in_a_row + 1 if finding is Finding.BREACHED else 0


def follow(state: State, events: tuple[Event, ...]) -> State:
    for event in events:
        if event is not Event.PENDING:
            state = lifecycle.TRANSITIONS[state, event]
    return state


@given(histories, all_terms)
def test_every_history_follows_the_table_and_nothing_resolves_without_a_clear_value_or_a_timeout(history, terms):
    now, snapshot, in_a_row = NOW, None, 0
    for seen, seconds in history:
        now += timedelta(seconds=seconds)
        decided = lifecycle.decide(snapshot, seen, terms, now)
        in_a_row = breaches_after(in_a_row, snapshot, seen.finding)
        if decided is None:
            continue
        follow(snapshot.state if snapshot else State.INACTIVE, decided.events)
        assert Event.OPENED not in decided.events or in_a_row >= terms.consecutive_breaches
        if decided.state is State.RESOLVED and seen.finding is not Finding.CLEARED:
            assert decided.resolution_type == "timeout"
        if decided.gone or decided.state is State.RESOLVED:
            snapshot, in_a_row = None, 0
            continue
        fields = {name: value for name, value in decided.changes.items() if name in Snapshot.__dataclass_fields__}
        snapshot = replace(snapshot or Snapshot(State.INACTIVE), state=decided.state, **fields)
