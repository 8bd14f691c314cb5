"""Windows as people plan, begin, prolong and end them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.models import MaintenanceWindow, WindowStatus
from alerts.suppression import windows
from alerts.suppression.windows import Refused

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def window(**columns) -> MaintenanceWindow:
    given = {"window_name": "work", "start_time": NOON, "end_time": NOON + 2 * HOUR} | columns
    return MaintenanceWindow.objects.create(**given)


def weekly(**columns) -> MaintenanceWindow:
    return window(recurrence_config={"rrule": "FREQ=WEEKLY", "timezone": "UTC"}, **columns)


@pytest.mark.django_db
def test_a_window_runs_between_its_times():
    one = window()
    assert windows.running(one, NOON - HOUR) is None
    assert windows.running(one, NOON) is not None
    assert windows.running(one, NOON + 2 * HOUR) is None


@pytest.mark.django_db
@pytest.mark.parametrize("make", [window, weekly])
def test_started_early_it_runs_from_then_to_its_planned_end(make):
    one = make()
    windows.start(one, NOON - HOUR)
    assert windows.running(one, NOON - HOUR / 2).end == NOON + 2 * HOUR
    with pytest.raises(Refused, match="runs already"):
        windows.start(one, NOON)


@pytest.mark.django_db
@pytest.mark.parametrize("make", [window, weekly])
def test_extended_it_runs_on_and_ended_it_stops(make):
    one = make()
    windows.extend(one, NOON + 5 * HOUR, NOON + HOUR)
    assert windows.running(one, NOON + 4 * HOUR).end == NOON + 5 * HOUR
    windows.end(one, NOON + 4 * HOUR, "done")
    assert windows.running(one, NOON + 4 * HOUR) is None
    with pytest.raises(Refused):
        windows.end(one, NOON + 4 * HOUR, "")


@pytest.mark.django_db
def test_a_recurring_window_that_ended_early_comes_again_as_planned():
    one = weekly()
    windows.end(one, NOON + HOUR, "done")
    assert one.status == WindowStatus.SCHEDULED
    week = timedelta(days=7)
    assert windows.running(one, NOON + HOUR * 1.5) is None
    assert windows.running(one, NOON + week).end == NOON + week + 2 * HOUR


@pytest.mark.django_db
def test_a_recurring_window_started_early_comes_again_as_planned():
    one = weekly()
    windows.start(one, NOON - HOUR)
    week = timedelta(days=7)
    assert windows.running(one, NOON + week - HOUR / 2) is None
    assert windows.running(one, NOON + week + HOUR) is not None


@pytest.mark.django_db
def test_a_cancelled_window_neither_runs_nor_begins():
    one = weekly()
    windows.cancel(one, NOON - HOUR)
    assert windows.running(one, NOON + HOUR) is None
    with pytest.raises(Refused):
        windows.start(one, NOON)
    with pytest.raises(Refused, match="already"):
        windows.cancel(one, NOON)


@pytest.mark.django_db
@pytest.mark.parametrize("until", [NOON, NOON + 2 * HOUR, NOON + timedelta(days=99)])
def test_an_extension_ends_after_the_window_and_not_in_a_year(until):
    with pytest.raises(Refused, match="send a time after"):
        windows.extend(window(), until, NOON + HOUR)


@pytest.mark.django_db
def test_the_status_follows_the_times():
    one, again = window(), weekly()
    for now, single, recurring in (
        (NOON - HOUR, "scheduled", "scheduled"),
        (NOON + HOUR, "active", "active"),
        (NOON + 3 * HOUR, "completed", "scheduled"),
    ):
        windows.settle(now)
        one.refresh_from_db()
        again.refresh_from_db()
        assert (one.status, again.status) == (single, recurring)


@pytest.mark.django_db
def test_what_may_run_is_found_among_many(django_assert_num_queries):
    for days in range(1, 40):
        window(start_time=NOON - timedelta(days=days), end_time=NOON - timedelta(days=days) + HOUR)
    one, again, early = window(), weekly(), window(start_time=NOON + HOUR * 9, end_time=NOON + HOUR * 10)
    windows.start(early, NOON)
    with django_assert_num_queries(1):
        assert {row.pk for row in windows.possibly_running(NOON + HOUR)} == {one.pk, again.pk, early.pk}
