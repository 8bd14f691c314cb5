"""When windows happen: wall clocks (naive here), zones, and rules that cannot be followed."""

# ruff: noqa: DTZ001

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.suppression.recurrence import Schedule, Span, Unusable

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def weekly(first: datetime, hours: float, zone: ZoneInfo, rule: str = "FREQ=WEEKLY") -> Schedule:
    begin = first.replace(tzinfo=zone)
    end = (first + timedelta(hours=hours)).replace(tzinfo=zone)
    return Schedule(Span(begin, end), rule, zone.key)


def walls(schedule: Schedule, begin: datetime, end: datetime) -> list[tuple[str, str]]:
    zone = ZoneInfo(schedule.zone)
    return [
        (f"{one.start.astimezone(zone):%m-%d %H:%M}", f"{one.end.astimezone(zone):%H:%M}")
        for one in schedule.occurrences(Span(begin.replace(tzinfo=zone), end.replace(tzinfo=zone)))
    ]


def test_a_weekly_window_stays_at_its_hour_when_the_clocks_change():
    schedule = weekly(datetime(2026, 10, 18, 22), 2, BERLIN)
    assert walls(schedule, datetime(2026, 10, 17), datetime(2026, 11, 3)) == [
        ("10-18 22:00", "00:00"),
        ("10-25 22:00", "00:00"),
        ("11-01 22:00", "00:00"),
    ]
    span = Span(datetime(2026, 10, 17, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))
    starts = [one.start for one in schedule.occurrences(span)]
    assert [start.hour for start in starts] == [20, 21, 21]


@pytest.mark.parametrize(
    ("first", "zone", "day", "shown", "lasting"),
    [
        # The clocks jump from 2 to 3: what would begin at 2 begins at 3, and is shorter.
        (datetime(2026, 3, 22, 2), BERLIN, datetime(2026, 3, 29), ("03-29 03:00", "04:00"), 1),
        # 2 o'clock comes twice: the window begins at the first and ends at the only 4.
        (datetime(2026, 10, 18, 2), BERLIN, datetime(2026, 10, 25), ("10-25 02:00", "04:00"), 3),
        (datetime(2026, 3, 1, 2), NEW_YORK, datetime(2026, 3, 8), ("03-08 03:00", "04:00"), 1),
        (datetime(2026, 10, 25, 1), NEW_YORK, datetime(2026, 11, 1), ("11-01 01:00", "03:00"), 3),
    ],
)
def test_a_window_on_the_night_of_the_change(first, zone, day, shown, lasting):
    schedule = weekly(first, 2, zone)
    assert walls(schedule, day, day + timedelta(days=1)) == [shown]
    (one,) = schedule.occurrences(Span(day.replace(tzinfo=zone), (day + timedelta(days=1)).replace(tzinfo=zone)))
    assert one.end - one.start == timedelta(hours=lasting)


def test_until_is_an_instant_and_not_a_wall_clock():
    schedule = weekly(datetime(2026, 11, 1, 0, 30), 1, BERLIN, "FREQ=DAILY;UNTIL=20261102T233000Z")
    assert len(walls(schedule, datetime(2026, 10, 31), datetime(2026, 11, 30))) == 3
    assert schedule.following(datetime(2026, 11, 3, tzinfo=UTC)) is None


def test_a_window_over_midnight_runs_on_the_next_day():
    schedule = weekly(datetime(2026, 6, 6, 23), 4, BERLIN, "FREQ=WEEKLY;BYDAY=SA")
    current = schedule.current(datetime(2026, 6, 14, 2, 30, tzinfo=BERLIN))
    assert current is not None
    assert current.end == datetime(2026, 6, 14, 3, tzinfo=BERLIN)
    assert schedule.current(datetime(2026, 6, 14, 3, tzinfo=BERLIN)) is None


def test_a_window_without_a_rule_happens_once():
    schedule = weekly(datetime(2026, 6, 6, 23), 4, BERLIN, "")
    assert schedule.current(datetime(2026, 6, 7, 1, tzinfo=BERLIN)) == schedule.first
    assert schedule.current(datetime(2026, 6, 14, 1, tzinfo=BERLIN)) is None
    assert schedule.following(datetime(2026, 6, 1, tzinfo=UTC)) == schedule.first


@pytest.mark.parametrize(
    ("rule", "advice"),
    [
        ("every Sunday", "RFC 5545"),
        ("FREQ=SECONDLY", "FREQ=DAILY"),
        ("FREQ=HOURLY", "FREQ=DAILY"),
        ("FREQ=WEEKLY;BYDAY=XX", "RFC 5545"),
        ("FREQ=WEEKLY;INTERVAL=0", "at least 1"),
        ("FREQ=DAILY;BYMONTHDAY=31", "FREQ=MONTHLY"),
        ("FREQ=WEEKLY;UNTIL=20200101T000000Z", "never happens"),
        ("FREQ=WEEKLY;UNTIL=99999999T999999Z", "RFC 5545"),
        ("FREQ=WEEKLY\nRDATE:20260101T000000", "RFC 5545"),
        ("FREQ=DAILY;FREQ=SECONDLY", "FREQ=DAILY"),
    ],
)
def test_a_rule_that_cannot_be_followed_says_what_to_send(rule, advice):
    with pytest.raises(Unusable, match=advice):
        weekly(datetime(2026, 6, 6, 23), 4, BERLIN, rule).check()


def test_an_unknown_zone_is_refused():
    first = weekly(datetime(2026, 6, 6, 23), 4, BERLIN).first
    for zone in ("Mars/Olympus", "../../etc/passwd", ""):
        with pytest.raises(Unusable, match="IANA"):
            Schedule(first, "FREQ=DAILY", zone).check()


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),
    st.integers(5, 26 * 60),
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SA,SU", "FREQ=MONTHLY;BYDAY=-1SU", "FREQ=YEARLY"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    st.integers(0, 400 * 24 * 60),
)
def test_what_runs_is_one_of_the_occurrences_and_ends_after_it_begins(first, minutes, rule, zone, later):
    begin = first.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    schedule = Schedule(Span(begin, begin + timedelta(minutes=minutes)), rule, zone)
    now = begin + timedelta(minutes=later)
    near = schedule.occurrences(Span(now - timedelta(days=3), now + timedelta(days=40)))
    assert all(one.start < one.end for one in near)
    assert near == sorted(near)
    assert schedule.current(now) == next((one for one in near if now in one), None)
    following = schedule.following(now)
    assert following == next((one for one in near if one.start > now), following)
