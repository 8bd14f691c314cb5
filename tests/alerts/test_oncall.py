"""Who is on call, as tables: rotations, hand-over, zones and their clocks, restrictions, overrides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import oncall
from alerts.oncall import Layer, Override, Restriction, Schedule, Shift
from alerts.suppression.recurrence import Span


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


WEEKLY = Layer(users=["ana", "ben", "cleo"], starts_at="2026-03-02T09:00")


@pytest.mark.parametrize(
    ("layer", "zone", "at", "expected"),
    [
        (WEEKLY, "UTC", utc(2026, 3, 2, 8, 59), None),
        (WEEKLY, "UTC", utc(2026, 3, 2, 9), "ana"),
        (WEEKLY, "UTC", utc(2026, 3, 9, 8, 59), "ana"),
        (WEEKLY, "UTC", utc(2026, 3, 9, 9), "ben"),
        (WEEKLY, "UTC", utc(2026, 3, 23, 9), "ana"),
        # Hand-over is at 9 o'clock on the wall: 8 UTC in winter, 7 UTC in summer.
        (WEEKLY, "Europe/Berlin", utc(2026, 3, 9, 7, 59), "ana"),
        (WEEKLY, "Europe/Berlin", utc(2026, 3, 9, 8), "ben"),
        (WEEKLY, "Europe/Berlin", utc(2026, 3, 30, 6, 59), "ana"),
        (WEEKLY, "Europe/Berlin", utc(2026, 3, 30, 7), "ben"),
        (Layer(users=["ana", "ben"], starts_at="2026-03-02T00:00", rotation="daily"), "UTC", utc(2026, 3, 3), "ben"),
        (Layer(users=["ana", "ben"], starts_at="2026-03-02T08:00", rotation="custom", rotation_hours=12), "UTC",
         utc(2026, 3, 3, 7), "ben"),
        (Layer(users=["ana"], starts_at="2026-03-02T09:00", ends_at="2026-03-05T09:00"), "UTC", utc(2026, 3, 5, 9),
         None),
        (Layer(users=["ana"], starts_at="2026-03-02T09:00",
               restriction=Restriction(days=["sat", "sun"], start="10:00", end="18:00")),
         "UTC", utc(2026, 3, 7, 10), "ana"),
        (Layer(users=["ana"], starts_at="2026-03-02T09:00",
               restriction=Restriction(days=["sat", "sun"], start="10:00", end="18:00")),
         "UTC", utc(2026, 3, 6, 10), None),
        # A night that goes over midnight.
        (Layer(users=["ana"], starts_at="2026-03-02T09:00", restriction=Restriction(start="20:00", end="08:00")),
         "UTC", utc(2026, 3, 6, 3), "ana"),
    ],
)  # fmt: skip
def test_who_is_on_call(layer, zone, at, expected):
    found = oncall.on_call(Schedule(zone, [layer]), at)
    assert (found.person if found else None) == expected


def test_a_shift_over_a_change_of_the_clocks_keeps_its_wall_clock_times():
    days = Layer(users=["ana", "ben"], starts_at="2026-03-28T09:00", rotation="daily")
    schedule = Schedule("Europe/Berlin", [days])
    first = oncall.shifts(schedule, Span(utc(2026, 3, 28, 8), utc(2026, 3, 29, 7)))
    assert [(one.person, one.end - one.start) for one in first] == [("ana", timedelta(hours=23))]
    back = oncall.on_call(schedule, utc(2026, 10, 25, 1))
    assert back.end - back.start == timedelta(hours=25)
    hourly = Layer(users=["ana", "ben"], starts_at="2026-03-29T00:00", rotation="custom", rotation_hours=1)
    night = oncall.shifts(Schedule("Europe/Berlin", [hourly]), Span(utc(2026, 3, 28, 23), utc(2026, 3, 29, 3)))
    # Ana's turn is the hour that the clocks jump over.
    assert [(one.person, one.end - one.start) for one in night[:2]] == [
        ("ana", timedelta(hours=1)),
        ("ben", timedelta(hours=2)),
    ]


def test_later_layers_count_over_earlier_ones_and_overrides_over_all():
    nights = Layer(users=["nina"], starts_at="2026-03-02T20:00", restriction=Restriction(start="20:00", end="08:00"))
    over = Override("omar", Span(utc(2026, 3, 3, 6), utc(2026, 3, 3, 10)))
    schedule = Schedule("UTC", [WEEKLY, nights], [over])
    assert oncall.shifts(schedule, Span(utc(2026, 3, 2, 18), utc(2026, 3, 3, 21))) == [
        Shift("ana", utc(2026, 3, 2, 18), utc(2026, 3, 2, 20)),
        Shift("nina", utc(2026, 3, 2, 20), utc(2026, 3, 3, 6)),
        Shift("omar", utc(2026, 3, 3, 6), utc(2026, 3, 3, 10), True),
        Shift("ana", utc(2026, 3, 3, 10), utc(2026, 3, 3, 20)),
        Shift("nina", utc(2026, 3, 3, 20), utc(2026, 3, 3, 21)),
    ]


def test_a_rotation_of_one_person_is_one_shift():
    alone = Schedule("UTC", [Layer(users=["ana"], starts_at="2026-03-02T09:00", rotation="daily")])
    assert len(oncall.shifts(alone, Span(utc(2026, 3, 3), utc(2026, 3, 20)))) == 1


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"rotation": "custom"}, "rotation_hours"),
        ({"rotation": "daily", "rotation_hours": 5}, "rotation_hours"),
        ({"starts_at": "2026-02-30T09:00"}, "2026-06-01T09:00"),
        ({"ends_at": "2026-03-01T09:00"}, "after starts_at"),
        ({"starts_at": "0001-01-01T09:00"}, "1970"),
    ],
)
def test_a_layer_that_cannot_be_followed_is_refused(layer, said):
    written = {"users": ["ana"], "starts_at": "2026-03-02T09:00"} | layer
    with pytest.raises(oncall.Unusable, match=said):
        oncall.check([msgspec.convert(written, Layer)])


@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    hours=st.integers(1, 200),
    people=st.integers(1, 5),
    begins=st.integers(0, 8760),
    covered=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50)), max_size=4),
)
def test_shifts_leave_no_gap_and_do_not_overlap(zone, hours, people, begins, covered):
    layer = Layer(
        users=[f"p{n}" for n in range(people)], starts_at="2025-12-01T09:30", rotation="custom", rotation_hours=hours
    )
    start = utc(2026, 1, 1) + timedelta(hours=begins)
    overrides = [
        Override("x", Span(start + timedelta(hours=at), start + timedelta(hours=at + length))) for at, length in covered
    ]
    within = Span(start, start + timedelta(days=14))
    found = oncall.shifts(Schedule(zone, [layer], overrides), within)
    assert (found[0].start, found[-1].end) == (within.start, within.end)
    assert all(one.end == two.start for one, two in pairwise(found))
    assert all(one.start < one.end for one in found)
