"""How a heartbeat stands by time, and what pings make of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.heartbeats import states
from assets.heartbeats.states import Ping, Standing, State

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, GRACE = timedelta(hours=1), timedelta(minutes=10)


def hourly(moment: datetime) -> datetime:
    return moment + HOUR


def pinged(*pings: tuple[Ping, int]) -> Standing:
    """What these pings, minutes after noon, make of a new heartbeat."""
    standing = Standing()
    for ping, minute in pings:
        standing = states.after_ping(standing, ping, NOON + timedelta(minutes=minute))
        standing = states.reckoned(standing, hourly, GRACE)
    return standing


OK, START, FAIL, LOG = Ping.SUCCESS, Ping.START, Ping.FAIL, Ping.LOG
TABLE = [
    ("nothing came yet", (), 10_000, State.NEW),
    ("a success", ((OK, 0),), 0, State.UP),
    ("just before it is due", ((OK, 0),), 59, State.UP),
    ("due", ((OK, 0),), 60, State.LATE),
    ("the last minute of the grace", ((OK, 0),), 69, State.LATE),
    ("past the grace", ((OK, 0),), 70, State.DOWN),
    ("back again", ((OK, 0), (OK, 200)), 210, State.UP),
    ("failed", ((OK, 0), (FAIL, 5)), 6, State.DOWN),
    ("started after it failed", ((FAIL, 5), (START, 6)), 7, State.DOWN),
    ("succeeded after it failed", ((FAIL, 5), (OK, 6)), 7, State.UP),
    ("a first run", ((START, 0),), 9, State.NEW),
    ("a first run that does not end", ((START, 0),), 10, State.DOWN),
    ("a run in time", ((OK, 0), (START, 55)), 60, State.LATE),
    ("a run that takes longer than the grace", ((OK, 0), (START, 20)), 30, State.DOWN),
    ("a run that ended", ((OK, 0), (START, 20), (OK, 25)), 80, State.UP),
    ("a word is no success", ((OK, 0), (LOG, 69)), 70, State.DOWN),
    ("a word to a new one", ((LOG, 0),), 1, State.NEW),
]


@pytest.mark.parametrize(("pings", "minute", "state"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_state_follows_from_pings_and_time(pings, minute, state):
    assert states.state_of(pinged(*pings), NOON + timedelta(minutes=minute)) == state


def test_a_paused_one_is_paused_whatever_comes():
    standing = states.reckoned(Standing(is_paused=True, has_failed=True, expected_from=NOON), hourly, GRACE)
    assert states.state_of(standing, NOON + 5 * HOUR) == State.PAUSED
    assert states.next_change(standing, NOON) is None


def test_one_that_is_resumed_has_its_whole_time_again():
    standing = states.resumed(Standing(is_paused=True, expected_from=NOON, started_at=NOON), NOON + 9 * HOUR)
    standing = states.reckoned(standing, hourly, GRACE)
    assert states.state_of(standing, NOON + 9 * HOUR) == State.UP
    assert standing.due_at == NOON + 10 * HOUR
    fresh = states.reckoned(states.resumed(Standing(is_paused=True), NOON), hourly, GRACE)
    assert states.state_of(fresh, NOON + 99 * HOUR) == State.NEW


PINGS = st.lists(st.tuples(st.sampled_from(list(Ping)), st.integers(0, 300)), max_size=6)


@settings(max_examples=50)
@given(PINGS, st.integers(0, 600))
def test_nothing_changes_before_it_is_said_to_and_then_it_does(pings, minute):
    standing = pinged(*sorted(pings, key=lambda one: one[1]))
    now = NOON + timedelta(minutes=minute)
    before, change = states.state_of(standing, now), states.next_change(standing, now)
    if change is None:
        assert states.state_of(standing, now + 100 * HOUR) == before
    else:
        assert states.state_of(standing, change - timedelta(microseconds=1)) == before
        assert states.state_of(standing, change) != before or before == State.DOWN


@settings(max_examples=50)
@given(PINGS)
def test_only_a_success_makes_it_up_and_silence_always_brings_it_down(pings):
    standing = pinged(*sorted(pings, key=lambda one: one[1]))
    later = NOON + 100 * HOUR
    told = [ping for ping, _ in pings if ping != Ping.LOG]
    assert states.state_of(standing, later) == (State.DOWN if told else State.NEW)
    assert (standing.expected_from is not None) == (Ping.SUCCESS in told)
