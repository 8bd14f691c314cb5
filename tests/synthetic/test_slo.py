"""Error budgets and burn rates."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic import slo
from synthetic.slo import FAST, SLOW, Counts

COUNTS = st.builds(lambda good, bad: Counts(good + bad, bad), st.integers(0, 10_000), st.integers(0, 10_000))


@pytest.mark.parametrize(
    ("total", "bad", "target", "left", "rate"),
    [
        (1000, 0, 99.9, 100, 0),
        (1000, 1, 99.9, 0, 1),
        (1000, 2, 99.9, -100, 2),
        (10, 1, 90, 0, 1),
        (100, 5, 90, 50, 0.5),
    ],
)
def test_the_budget_is_what_the_objective_lets_fail(total, bad, target, left, rate):
    assert slo.budget_remaining(Counts(total, bad), target) == pytest.approx(left, abs=1e-6)
    assert slo.burn_rate(Counts(total, bad), target) == pytest.approx(rate)


def test_without_results_nothing_is_known_and_nothing_burns():
    assert (slo.availability(Counts()), slo.budget_remaining(Counts(), 99.9)) == (None, None)
    assert not slo.is_burning(FAST, {}, 99.9)


@pytest.mark.parametrize(
    ("hour", "five_minutes", "burns"),
    [((60, 1), (5, 1), True), ((60, 1), (5, 0), False), ((6000, 1), (5, 1), False), ((0, 0), (0, 0), False)],
)
def test_it_burns_while_both_windows_say_so(hour, five_minutes, burns):
    counted = {FAST.long: Counts(*hour), FAST.short: Counts(*five_minutes)}
    assert slo.is_burning(FAST, counted, 99.9) is burns


def test_the_thresholds_spend_what_they_are_named_for():
    month = timedelta(days=30)
    assert FAST.threshold * (FAST.long / month) == pytest.approx(0.02)
    assert SLOW.threshold * (SLOW.long / month) == pytest.approx(0.05)


@settings(max_examples=40)
@given(COUNTS, COUNTS, st.floats(50, 99.999))
def test_a_pace_is_never_faster_than_either_of_its_windows(long, short, target):
    rate = slo.pace_rate(SLOW, {SLOW.long: long, SLOW.short: short}, target)
    assert rate <= min(slo.burn_rate(long, target) or 0, slo.burn_rate(short, target) or 0) + 1e-9
