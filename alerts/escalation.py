"""Which step of an escalation policy comes next, and when. Pure: no Django, no clock.

1. A step is due when the alert has been open for its delay. Time in which it is acknowledged, snoozed or suppressed is
   not counted, so it resumes where it stopped.
2. A step waits for its distance from the one before, counted from when that one was taken: after an outage of the
   workers steps follow one another as they would have, not all at once.
3. After the last step the round is over. A policy that repeats begins the next after its interval, until its maximum
   of steps, over all rounds, is reached.
4. Steps of alerts that are not critical wait for working time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from alerts.conditions import BusinessHours, EscalationStep, HolidaySchedule
from alerts.hours import WorkingTime, hours_of
from alerts.lifecycle import TRANSITIONS, Event, State

_NOTHING = timedelta(0)
History = Sequence[tuple[Event, datetime]]


@dataclass(frozen=True)
class Plan:
    """A policy, ready to be followed: the delays of its steps, in order, from the opening."""

    delays: tuple[timedelta, ...]
    repeat_after: timedelta | None = None
    maximum: int | None = None
    working: WorkingTime | None = None


@dataclass(frozen=True)
class Due:
    """The next step: its place in the policy and its round (both from 0), and its number over all rounds (from 1).

    It `waits` where it would have been due before `at`, outside of working time.
    """

    number: int
    round: int
    step: int
    at: datetime
    waits: bool = False


def ordered(steps: Iterable[EscalationStep]) -> list[EscalationStep]:
    """Steps as they come, whatever order they were written in."""
    return sorted(steps, key=lambda step: step.delay_minutes)


def plan_of(
    steps: Iterable[EscalationStep],
    hours: BusinessHours,
    holidays: HolidaySchedule,
    repeat_minutes: int | None,
    maximum: int | None,
) -> Plan:
    """`repeat_minutes` is None where the policy is followed once."""
    return Plan(
        tuple(timedelta(minutes=step.delay_minutes) for step in ordered(steps)),
        timedelta(minutes=repeat_minutes) if repeat_minutes else None,
        maximum,
        working_time(hours, holidays),
    )


def working_time(hours: BusinessHours, holidays: HolidaySchedule) -> WorkingTime | None:
    """When people may be told of what is not critical; None where that is always."""
    if not (hours.days or hours.start or hours.end or holidays.dates):
        return None
    days_off = frozenset(date.fromisoformat(day) for day in holidays.dates)
    return WorkingTime(hours_of(hours.timezone, hours.days, hours.start, hours.end), days_off, holidays.timezone)


def next_step(plan: Plan, history: History, critical: bool) -> Due | None:
    """The step that follows an alert's history (its events, oldest first), due from `at` on; None while the alert is
    not open, and where all steps were taken."""
    taken = [at for event, at in history if event is Event.ESCALATED]
    number = len(taken) + 1
    round_, step = divmod(len(taken), len(plan.delays))
    if (plan.maximum is not None and number > plan.maximum) or (round_ and plan.repeat_after is None):
        return None
    at = _open_for(_wait(plan, round_, step), history, taken[-1] if taken else None)
    if at is None:
        return None
    due = at if critical or plan.working is None else plan.working.next_moment(at)
    return Due(number, round_, step, due, waits=due > at)


def _wait(plan: Plan, round_: int, step: int) -> timedelta:
    if step:
        return plan.delays[step] - plan.delays[step - 1]
    return plan.repeat_after or _NOTHING if round_ else plan.delays[0]


def _open_for(wait: timedelta, history: History, since: datetime | None) -> datetime | None:
    """When the alert will have been open for `wait` since `since`; None while it is not open."""
    state, began, left = State.INACTIVE, None, wait
    for event, at in history:
        after = TRANSITIONS.get((state, event), state)
        if after is not state and after is State.OPEN:
            began = at
        elif after is not state and began is not None:
            left, began = left - max(at - _later(began, since), _NOTHING), None
        state = after
    return None if began is None else _later(began, since) + max(left, _NOTHING)


def _later(moment: datetime, other: datetime | None) -> datetime:
    return moment if other is None else max(moment, other)
