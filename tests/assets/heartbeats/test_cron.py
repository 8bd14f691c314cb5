"""When cron expressions fire, through changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.heartbeats import cron
from assets.heartbeats.cron import BadCron

BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")


def fires(expression: str, after: str, zone: ZoneInfo = BERLIN) -> str:
    """The next time, written on the wall of `zone`."""
    moment = cron.next_after(expression, zone, datetime.fromisoformat(after).replace(tzinfo=zone))
    return moment.astimezone(zone).isoformat()


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        ("30 3 * * *", "2026-06-01T03:29", "2026-06-01T03:30:00+02:00"),
        ("30 3 * * *", "2026-06-01T03:30", "2026-06-02T03:30:00+02:00"),
        ("*/15 * * * *", "2026-06-01T23:50", "2026-06-02T00:00:00+02:00"),
        ("0 9 * * 1-5", "2026-06-05T10:00", "2026-06-08T09:00:00+02:00"),
        ("0 9 * * 7", "2026-06-05T10:00", "2026-06-07T09:00:00+02:00"),
        ("0 9 * * 6-7", "2026-06-06T10:00", "2026-06-07T09:00:00+02:00"),
        ("0 9 * * mon,WED", "2026-06-08T10:00", "2026-06-10T09:00:00+02:00"),
        ("0 0 1 * 5", "2026-06-01T00:00", "2026-06-05T00:00:00+02:00"),  # the 1st, or a Friday
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00:00+01:00"),
        ("0 0 31 * *", "2026-06-01T00:00", "2026-07-31T00:00:00+02:00"),
        ("30 2 * * *", "2026-03-28T12:00", "2026-03-29T03:30:00+02:00"),  # skipped by the clock: an hour later
        ("0 3 * * *", "2026-03-28T12:00", "2026-03-29T03:00:00+02:00"),
        ("30 2 * * *", "2026-10-24T12:00", "2026-10-25T02:30:00+02:00"),  # comes twice: the first
        ("30 2 * * *", "2026-10-25T02:30", "2026-10-26T02:30:00+01:00"),
    ],
)
def test_it_fires_on_the_wall_clock(expression, after, then):
    assert fires(expression, after) == then


def test_half_an_hour_of_summer_time_is_known():
    assert fires("15 2 * * *", "2026-10-03T12:00", LORD_HOWE) == "2026-10-04T02:45:00+11:00"


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "* * * * * *", "61 * * * *", "a * * * *", "0 0 30 2 *", "*/0 * * * *", "0 0 0 * *"]
)
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(BadCron):
        cron.next_after(expression, BERLIN, datetime(2026, 1, 1, tzinfo=UTC))


EXPRESSIONS = st.sampled_from(
    ["*/5 * * * *", "0 * * * *", "30 2 * * *", "15 1-3 * * 0", "0 0 1,15 * 3", "59 23 31 * *"]
)
MOMENTS = st.integers(0, 2 * 365 * 86400).map(lambda seconds: datetime.fromtimestamp(1_767_225_600 + seconds, UTC))


@settings(max_examples=50)
@given(EXPRESSIONS, MOMENTS, st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("UTC")]))
def test_the_next_time_is_later_and_nothing_lies_between(expression, moment, zone):
    following = cron.next_after(expression, zone, moment)
    assert following > moment
    assert cron.next_after(expression, zone, following - timedelta(microseconds=1)) == following
    between = moment + (following - moment) / 2
    assert cron.next_after(expression, zone, between) == following
