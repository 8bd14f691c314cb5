"""Which step comes next and when, as a table; and what never happens, whatever the history."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import escalation
from alerts.conditions import BusinessHours, EscalationStep, HolidaySchedule
from alerts.escalation import Due, Plan
from alerts.hours import Hours, WorkingTime
from alerts.lifecycle import TRANSITIONS, Event, State

# A Saturday.
NOON = datetime(2026, 6, 13, 12, 0, tzinfo=UTC)
OPENED, ACKNOWLEDGED, EXPIRED = Event.OPENED, Event.ACKNOWLEDGED, Event.ACKNOWLEDGEMENT_EXPIRED
SUPPRESSED, UNSUPPRESSED, RESOLVED = Event.SUPPRESSED, Event.UNSUPPRESSED, Event.RESOLVED
ESCALATED, SNOOZED = Event.ESCALATED, Event.SNOOZED


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def plan(*minutes: int, repeat: int | None = None, maximum: int | None = None) -> Plan:
    steps = [EscalationStep(delay_minutes=one) for one in minutes]
    return escalation.plan_of(steps, BusinessHours(), HolidaySchedule(), repeat, maximum)


def happened(*events: tuple[Event, float]) -> list[tuple[Event, datetime]]:
    return [(event, after(minutes)) for event, minutes in events]


PLAN = plan(5, 15)
REPEATED = plan(5, 15, repeat=30, maximum=5)


@pytest.mark.parametrize(
    ("followed", "history", "expected"),
    [
        (PLAN, [(OPENED, 0)], (1, 0, 0, 5)),
        (plan(0, 10), [(OPENED, 0)], (1, 0, 0, 0)),
        (PLAN, [(OPENED, 0), (ESCALATED, 5)], (2, 0, 1, 15)),
        (PLAN, [(OPENED, 0), (ESCALATED, 5), (ESCALATED, 15)], None),
        # Workers were away: the next step keeps its distance from the one that was taken late.
        (PLAN, [(OPENED, 0), (ESCALATED, 65)], (2, 0, 1, 75)),
        (PLAN, [(Event.PENDING, -2), (OPENED, 0)], (1, 0, 0, 5)),
        (PLAN, [(Event.PENDING, 0)], None),
        # Acknowledged: nothing; and on from where it stopped once that is over.
        (PLAN, [(OPENED, 0), (ACKNOWLEDGED, 2)], None),
        (PLAN, [(OPENED, 0), (ACKNOWLEDGED, 2), (EXPIRED, 62)], (1, 0, 0, 65)),
        (PLAN, [(OPENED, 0), (ESCALATED, 5), (ACKNOWLEDGED, 9), (EXPIRED, 69)], (2, 0, 1, 75)),
        # Suppressed and snoozed time is not counted.
        (PLAN, [(SUPPRESSED, 0)], None),
        (PLAN, [(SUPPRESSED, 0), (UNSUPPRESSED, 60)], (1, 0, 0, 65)),
        (PLAN, [(OPENED, 0), (SUPPRESSED, 4), (UNSUPPRESSED, 60), (SUPPRESSED, 60.5), (UNSUPPRESSED, 90)],
         (1, 0, 0, 90.5)),
        (PLAN, [(OPENED, 0), (SNOOZED, 1), (UNSUPPRESSED, 31)], (1, 0, 0, 35)),
        # A step that nobody took before a window began is due when the window ends.
        (PLAN, [(OPENED, 0), (SUPPRESSED, 8), (UNSUPPRESSED, 60)], (1, 0, 0, 60)),
        # What does not move the alert changes nothing.
        (PLAN, [(OPENED, 0), (Event.DATA_MISSING, 1), (Event.COMMENTED, 2), (Event.ASSIGNED, 3)], (1, 0, 0, 5)),
        (PLAN, [(OPENED, 0), (RESOLVED, 3)], None),
        (PLAN, [(OPENED, 0), (RESOLVED, 3), (Event.COMMENTED, 4)], None),
        # Rounds.
        (REPEATED, [(OPENED, 0), (ESCALATED, 5), (ESCALATED, 15)], (3, 1, 0, 45)),
        (REPEATED, [(OPENED, 0), (ESCALATED, 5), (ESCALATED, 15), (ESCALATED, 45)], (4, 1, 1, 55)),
        (REPEATED, [(OPENED, 0), *[(ESCALATED, 10 * n) for n in range(1, 6)]], None),
        (plan(5, 15, maximum=1), [(OPENED, 0), (ESCALATED, 5)], None),
        # A higher severity begins with the first step again, also of what was acknowledged.
        (PLAN, [(OPENED, 0), (ESCALATED, 5), (ESCALATED, 15), (OPENED, 60)], (1, 0, 0, 65)),
        (PLAN, [(OPENED, 0), (ESCALATED, 5), (ACKNOWLEDGED, 9), (OPENED, 60)], (1, 0, 0, 65)),
        # Steps come by their delays, however they were written down.
        (plan(15, 5), [(OPENED, 0)], (1, 0, 0, 5)),
    ],
)  # fmt: skip
def test_the_next_step(followed, history, expected):
    due = escalation.next_step(followed, happened(*history), critical=True)
    assert due == (None if expected is None else Due(*expected[:3], after(expected[3])))


WEEKDAYS = BusinessHours(timezone="Europe/Berlin", days=["mon", "tue", "wed", "thu", "fri"], start="09:00", end="17:00")
MONDAY_OFF = HolidaySchedule(timezone="Europe/Berlin", dates=["2026-06-15"])


@pytest.mark.parametrize(
    ("hours", "holidays", "critical", "expected"),
    [
        (WEEKDAYS, HolidaySchedule(), True, after(5)),
        (WEEKDAYS, HolidaySchedule(), False, datetime(2026, 6, 15, 7, 0, tzinfo=UTC)),
        (WEEKDAYS, MONDAY_OFF, False, datetime(2026, 6, 16, 7, 0, tzinfo=UTC)),
        (WEEKDAYS, MONDAY_OFF, True, after(5)),
        (BusinessHours(), HolidaySchedule(dates=["2026-06-13"]), False, datetime(2026, 6, 14, tzinfo=UTC)),
        (BusinessHours(start="22:00", end="06:00"), HolidaySchedule(), False, datetime(2026, 6, 13, 22, tzinfo=UTC)),
        (BusinessHours(start="12:00", end="13:00"), HolidaySchedule(), False, after(5)),
    ],
)
def test_what_is_not_critical_waits_for_working_time(hours, holidays, critical, expected):
    followed = escalation.plan_of([EscalationStep(delay_minutes=5)], hours, holidays, None, None)
    assert escalation.next_step(followed, happened((OPENED, 0)), critical).at == expected


def test_after_a_night_steps_keep_their_distance():
    steps = [EscalationStep(delay_minutes=one) for one in (5, 15)]
    followed = escalation.plan_of(steps, WEEKDAYS, HolidaySchedule(), None, None)
    morning = datetime(2026, 6, 15, 7, 0, tzinfo=UTC)
    second = escalation.next_step(followed, [*happened((OPENED, 0)), (ESCALATED, morning)], critical=False)
    assert second.at == morning + timedelta(minutes=10)


def test_where_working_time_never_comes_somebody_is_told_all_the_same():
    every_day = frozenset(date(2026, 6, 1) + timedelta(days=n) for n in range(800))
    assert WorkingTime(days_off=every_day).next_moment(NOON) == NOON


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        # The clocks of Berlin go forward on 29 March 2026 and back on 25 October.
        (datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 3, 29, 7, tzinfo=UTC)),
        (datetime(2026, 3, 27, 20, tzinfo=UTC), datetime(2026, 3, 28, 8, tzinfo=UTC)),
        (datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2026, 10, 25, 8, tzinfo=UTC)),
    ],
)
def test_hours_follow_the_wall_clock(moment, expected):
    assert Hours("Europe/Berlin", start=time(9), end=time(17)).next_moment(moment) == expected


def test_hours_over_midnight_belong_to_the_day_they_begin_on():
    night = Hours("UTC", frozenset({5}), time(22), time(6))
    assert datetime(2026, 6, 14, 5, 59, tzinfo=UTC) in night
    assert datetime(2026, 6, 14, 22, tzinfo=UTC) not in night
    assert night.over_at(datetime(2026, 6, 13, 23, tzinfo=UTC)) == datetime(2026, 6, 14, 6, tzinfo=UTC)
    assert Hours().over_at(NOON) == NOON


MOVES = [ACKNOWLEDGED, EXPIRED, SUPPRESSED, UNSUPPRESSED, SNOOZED, RESOLVED, Event.DATA_MISSING, None, None, None]


@given(
    delays=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    repeat=st.none() | st.integers(1, 40),
    maximum=st.none() | st.integers(1, 7),
    moves=st.lists(st.tuples(st.sampled_from(MOVES), st.integers(1, 25)), max_size=60),
)
def test_no_step_is_taken_twice_in_a_round_nor_too_early_nor_while_it_is_not_open(delays, repeat, maximum, moves):
    followed = plan(*delays, repeat=repeat, maximum=maximum)
    history, state, minute = happened((OPENED, 0)), State.OPEN, 0
    open_minutes, taken = 0, []
    for event, passed in moves:
        minute += passed
        open_minutes += passed if state is State.OPEN else 0
        due = escalation.next_step(followed, history, critical=True)
        if due and due.at <= after(minute):
            assert state is State.OPEN
            taken.append((due.round, due.step, open_minutes))
            history.append((ESCALATED, after(minute)))
        if event and (state, event) in TRANSITIONS:
            state = TRANSITIONS[state, event]
            history.append((event, after(minute)))
    places = [(round_, step) for round_, step, _ in taken]
    assert places == sorted(set(places))
    assert places == [divmod(n, len(delays)) for n in range(len(places))]
    assert len(taken) <= (maximum or len(taken))
    assert repeat or len(taken) <= len(delays)
    for (_, step, earlier), (_, following, later) in pairwise(taken):
        wait = sorted(delays)[following] - sorted(delays)[step] if following else repeat
        assert later - earlier >= wait
