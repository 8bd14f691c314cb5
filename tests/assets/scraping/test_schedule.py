"""Slots: spread, steady, and never made up for."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from assets.scraping.schedule import next_slot, offset_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
INTERVALS = st.integers(1, 86400).map(lambda seconds: timedelta(seconds=seconds))
MOMENTS = st.integers(0, 10**15).map(lambda microseconds: NOW + timedelta(microseconds=microseconds))


@settings(max_examples=40)
@given(st.text(), INTERVALS, MOMENTS)
def test_the_next_slot_is_later_by_at_most_an_interval(identity, interval, now):
    slot = next_slot(identity, interval, now)
    assert now < slot <= now + interval


@settings(max_examples=40)
@given(st.text(), INTERVALS, MOMENTS, st.integers(0, 1000))
def test_slots_stay_where_they_are_however_late_one_comes(identity, interval, now, late):
    first = next_slot(identity, interval, now)
    other = next_slot(identity, interval, first + late * interval / 7)
    assert (other - first) % interval == timedelta(0)
    assert next_slot(identity, interval, first) == first + interval


def test_many_targets_are_spread_over_the_interval():
    minute = timedelta(minutes=1)
    seconds = [offset_of(f"http://10.0.{n // 256}.{n % 256}:9100/metrics", minute).seconds for n in range(6000)]
    per_second = [seconds.count(second) for second in range(60)]
    assert min(per_second) > 50
    assert max(per_second) < 170
