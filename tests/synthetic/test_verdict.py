"""The verdict's table, against a model of it in plain words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic import verdict
from synthetic.verdict import Seen, State, Thresholds, Verdict

NOW = datetime(2026, 6, 13, 12, tzinfo=UTC)
SEEN = {"g": Seen.GOOD, "b": Seen.BAD, "-": Seen.NOTHING}


def stood(story: str, failures: int = 1, successes: int = 1) -> Verdict:
    found = Verdict()
    for place, letter in enumerate(story):
        found = verdict.after(found, SEEN[letter], Thresholds(failures, successes), NOW + timedelta(minutes=place))
    return found


@pytest.mark.parametrize(
    ("story", "failures", "successes", "state"),
    [
        ("", 1, 1, "unknown"),
        ("g", 1, 3, "up"),
        ("b", 1, 1, "down"),
        ("b", 2, 1, "unknown"),
        ("gbb", 3, 1, "up"),
        ("gbbb", 3, 1, "down"),
        ("gbbgbb", 3, 1, "up"),
        ("bg", 1, 2, "down"),
        ("bgg", 1, 2, "up"),
        ("bgbg", 1, 2, "down"),
        ("-", 1, 1, "unknown"),
        ("gb-b", 2, 1, "down"),
        ("b---", 1, 1, "down"),
    ],
)
def test_a_target_is_down_or_up_after_as_many_results_in_a_row_as_its_check_says(story, failures, successes, state):
    assert stood(story, failures, successes).state == state


def test_a_verdict_knows_since_when_it_is_so():
    assert stood("gbbbg", 2, 2).since == NOW + timedelta(minutes=2)
    assert stood("gg").since == NOW


@given(st.text("gb-", max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_what_says_nothing_never_changes_a_verdict(story, failures, successes):
    told = story.replace("-", "")
    said, silent = stood(story, failures, successes), stood(told, failures, successes)
    assert (said.state, said.failures_in_a_row, said.successes_in_a_row) == (
        silent.state, silent.failures_in_a_row, silent.successes_in_a_row,
    )  # fmt: skip
    assert not (said.failures_in_a_row and said.successes_in_a_row)
    if said.state is State.DOWN:
        assert "b" * failures in told


@pytest.mark.parametrize(
    ("states", "overall"),
    [
        ("", "unknown"), ("?", "unknown"), ("d", "down"), ("u", "up"), ("d?", "down"), ("du", "up"), ("dd", "down"),
        ("duu", "up"), ("ddu", "down"), ("dduu", "down"), ("duuu", "up"), ("dduuu", "up"), ("ddduu", "down"),
        ("ddu??", "down"), ("du??", "up"),
    ],
)  # fmt: skip
def test_a_location_that_sees_a_target_down_is_confirmed_by_another(states, overall):
    words = {"?": State.UNKNOWN, "d": State.DOWN, "u": State.UP}
    assert verdict.over([words[letter] for letter in states]) == overall
