"""Matchers of silences."""

from __future__ import annotations

import time

import pytest

from alerts.suppression.matching import Matcher, matches, problem_with

LABELS = {"asset": "web-01", "severity": "critical", "device": "/dev/sda1"}


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        (Matcher("asset", "web-01"), True),
        (Matcher("asset", "web-0"), False),
        (Matcher("asset", "web-01", is_equal=False), False),
        (Matcher("asset", "web-.*", is_regex=True), True),
        (Matcher("asset", "eb-0", is_regex=True), False),
        (Matcher("severity", "high|critical", is_regex=True), True),
        (Matcher("severity", "high|critical", is_regex=True, is_equal=False), False),
        (Matcher("zone", ""), True),
        (Matcher("zone", "a", is_equal=False), True),
        (Matcher("zone", ".+", is_regex=True), False),
    ],
)
def test_a_matcher_compares_the_whole_value(matcher, expected):
    assert matches([matcher], LABELS) is expected


def test_all_matchers_must_match():
    assert matches([Matcher("asset", "web-01"), Matcher("severity", "critical")], LABELS)
    assert not matches([Matcher("asset", "web-01"), Matcher("severity", "low")], LABELS)


@pytest.mark.parametrize("matcher", [Matcher("a", ""), Matcher("a", ".*", True), Matcher("a", "x", is_equal=False)])
def test_matchers_that_everything_matches_are_refused(matcher):
    assert "every alert" in (problem_with([matcher]) or "")


@pytest.mark.parametrize("pattern", ["(", "a{99999}", "(?=look)", "[z-a]", "\\"])
def test_a_pattern_that_cannot_be_followed_is_refused(pattern):
    assert "regular expression" in (problem_with([Matcher("asset", pattern, is_regex=True)]) or "")


def test_a_hostile_pattern_takes_no_longer_than_others():
    began = time.process_time()
    assert not matches([Matcher("asset", "(a+)+$", is_regex=True)], {"asset": "a" * 400 + "!"})
    assert time.process_time() - began < 1


def test_a_matcher_reads_as_people_write_it():
    assert Matcher("severity", "high|critical", True, False).text == 'severity!~"high|critical"'
