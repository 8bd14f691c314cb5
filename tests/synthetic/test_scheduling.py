"""When checks run: slots that spread and do not drift, slots that were missed, leases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from synthetic import scheduling

EVERY = st.integers(1, 86400).map(lambda seconds: timedelta(seconds=seconds))
MOMENTS = st.floats(0, 1e8).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


@given(st.uuids(), EVERY, MOMENTS, st.floats(0, 0.99))
def test_a_run_that_begins_late_moves_no_slot_that_follows(check, every, now, late):
    first = scheduling.slot_after(check, "local", every, now)
    assert now < first <= now + every
    assert scheduling.slot_after(check, "local", every, first + late * every) == first + every


def test_checks_spread_over_their_interval_and_so_do_the_locations_of_one():
    now, minute = datetime(2026, 6, 13, 12, tzinfo=UTC), timedelta(minutes=1)
    seconds = [int((scheduling.slot_after(n, "local", minute, now) - now).total_seconds()) for n in range(3000)]
    assert max(seconds.count(one) for one in range(60)) < 100
    assert scheduling.slot_after(7, "eu-west", minute, now) != scheduling.slot_after(7, "us-east", minute, now)


@given(EVERY, st.integers(0, 1000), st.floats(0, 0.99))
def test_slots_that_passed_are_counted_and_the_one_that_is_run_now_is_not(every, passed, late):
    due = datetime(2026, 6, 13, 12, tzinfo=UTC)
    assert scheduling.missed_slots(due, due + (passed + late) * every, every) in {passed, max(passed - 1, 0)}
    assert scheduling.missed_slots(due, due + passed * every, every) == passed


def test_a_lease_outlives_all_attempts_with_their_pauses():
    assert scheduling.lease(10, 3) > timedelta(seconds=4 * 10 + 3)
