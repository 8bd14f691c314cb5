"""YAML of configuration: what is written is read again, and every word has one meaning."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from wedsync_monitor.configuration import text

words = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
words |= some.sampled_from(
    ["on", "no", "~", "null", "12:30", "1e3", "0x1f", "2026-01-05", "=", "<<", "|\n", "a: b", "&x", "1_000"]
)
numbers = some.integers(-(2**63) + 1, 2**63 - 1) | some.floats(allow_nan=False, allow_infinity=False)
values = some.recursive(
    some.none() | some.booleans() | numbers | words,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(values)
def test_what_is_written_is_read_again(value):
    said = text.written({"value": value})
    assert text.read(said) == {"value": value}
    assert text.written(text.read(said)) == said


@settings(max_examples=30)
@given(some.dictionaries(words, words, max_size=4))
def test_other_readers_of_yaml_see_the_same_texts(value):
    assert yaml.safe_load(text.written(value)) == value


@pytest.mark.parametrize(
    ("said", "meant"),
    [("on", "on"), ("no", "no"), ("12:30", "12:30"), ("2026-01-05", "2026-01-05"), ("1e3", 1000.0), ("010", 10),
     ("true", True), ("~", None), ("1.50", 1.5), ("0x1f", "0x1f"), (".5", 0.5), ("Yes", "Yes")],
)  # fmt: skip
def test_a_word_means_what_people_mean(said, meant):
    assert text.read(f"word: {said}") == {"word": meant}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: 'a' stands twice"),
        ("a: &x [1]\nb: *x", "line 2, column 4: write it out"),
        ("a: !!python/object:os.system []", "line 1, column 4: the tag"),
        ("1: one", "line 1, column 1: write the name '1' in quotes"),
        ("a: [1", "line 1, column 6"),
        ('a: "\\0"', "without NUL"),
        ('a: "\\ud800"', "lone surrogates"),
        ("a: 99999999999999999999999", "at most 64 bits"),
        ("a: 1e999", "64-bit float"),
        ("a: " + "[" * 500, "less deeply"),
        ("a: \x07", "write YAML"),
        ("a: 1\n---\nb: 2", "single document"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(said, problem):
    with pytest.raises(text.Unreadable, match=".*" + problem.replace("[", r"\[")):
        text.read(said)
