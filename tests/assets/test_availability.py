"""Availability and error budget, against examples reckoned by hand."""

from __future__ import annotations

import numpy as np
import pytest

from assets.availability import availability, budget_remaining

MINUTE = 60_000


def at(*minutes: float) -> np.ndarray:
    return np.array([round(minute * MINUTE) for minute in minutes], dtype=np.int64)


@pytest.mark.parametrize(
    ("reported", "end", "percent"),
    [
        pytest.param((0, 5, 10, 15), 20, 100.0, id="a sample in each of four slots"),
        pytest.param((0, 5, 15), 20, 75.0, id="one slot of four is empty"),
        pytest.param((0, 1, 2, 3, 4), 20, 25.0, id="many samples in one slot count once"),
        pytest.param((12, 15), 20, 100.0, id="what lies before the first sample does not count"),
        pytest.param((0, 5), 12, 100.0, id="the slot that is still running does not count as missing"),
        pytest.param((0, 5, 11), 12, 100.0, id="the slot that is still running counts once it has a sample"),
        pytest.param((0,), 60, 100 / 12, id="one report in an hour"),
        pytest.param((5, 0, 15), 20, 75.0, id="samples that arrived out of order"),
    ],
)
def test_availability_is_the_share_of_slots_with_a_sample(reported, end, percent):
    assert availability(at(*reported), end * MINUTE) == pytest.approx(percent)


@pytest.mark.parametrize(
    ("reported", "start", "end", "percent"),
    [
        pytest.param((50, 55), 0, 60, 100 / 6, id="silent for the first fifty minutes of an hour"),
        pytest.param((), 0, 60, 0.0, id="silent for the whole range"),
        pytest.param((0, 5, 10, 15), 0, 20, 100.0, id="there from the start"),
        pytest.param((5, 10, 15), 3, 20, 100.0, id="the slot that the range begins in does not count as missing"),
        pytest.param((4, 5, 15), 3, 20, 75.0, id="the slot that the range begins in counts once it has a sample"),
        pytest.param((), 1, 4, None, id="a range within one slot says nothing"),
    ],
)
def test_an_asset_that_had_reported_before_is_counted_from_the_start_of_the_range(reported, start, end, percent):
    assert availability(at(*reported), end * MINUTE, start * MINUTE) == (
        None if percent is None else pytest.approx(percent)
    )


def test_without_samples_availability_is_not_known():
    assert availability(at(), 60 * MINUTE) is None
    assert budget_remaining(None) is None


@pytest.mark.parametrize(
    ("available", "target", "left"),
    [
        pytest.param(100.0, 99.9, 100.0, id="nothing missing leaves all of it"),
        pytest.param(99.95, 99.9, 50.0, id="half of what may be missing is missing"),
        pytest.param(99.9, 99.9, 0.0, id="exactly at the target"),
        pytest.param(99.8, 99.9, -100.0, id="twice what may be missing"),
        pytest.param(97.0, 95.0, 40.0, id="a target of one's own"),
    ],
)
def test_the_error_budget_is_what_the_target_allows_to_be_missing(available, target, left):
    assert budget_remaining(available, target) == pytest.approx(left, abs=1e-6)
