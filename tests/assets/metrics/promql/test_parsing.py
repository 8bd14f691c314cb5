"""PromQL as a tree: what is read, what is refused and where, and that a tree written down is read as the same tree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.parsing import parse, parse_matchers
from assets.metrics.promql.signatures import COMPARISONS, PRECEDENCE, SETS
from assets.metrics.promql.syntax import (
    NAME,
    Aggregation,
    Binary,
    Call,
    Matcher,
    Matching,
    Negative,
    Number,
    Selector,
    Text,
    text_of,
)

UP = Selector((Matcher(NAME, "=", "up"),))


def named(name: str, *matchers: Matcher, **columns: int) -> Selector:
    return Selector((Matcher(NAME, "=", name), *matchers), **columns)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("up", UP),
        ("up # a comment", UP),
        ("node:cpu:sum", named("node:cpu:sum")),
        ('{"http.server.duration", a="b"}', named("http.server.duration", Matcher("a", "=", "b"))),
        ('{__name__=~"a.*"}', Selector((Matcher(NAME, "=~", "a.*"),))),
        ("up{a='b', c!=`d\\e`, \"x.y\"=~\"f\\n\", g!~\"h\",}", named(
            "up", Matcher("a", "=", "b"), Matcher("c", "!=", "d\\e"), Matcher("x.y", "=~", "f\n"),
            Matcher("g", "!~", "h"),
        )),
        ("up[5m]", named("up", range_ms=300_000)),
        ("up[1h30m] offset -1d", named("up", range_ms=5_400_000, offset_ms=-86_400_000)),
        ("up offset 90", named("up", offset_ms=90_000)),
        ("rate(up[300])", Call("rate", (named("up", range_ms=300_000),))),
        ("1 + 2 * 3", Binary("+", Number(1), Binary("*", Number(2), Number(3)))),
        ("2 ^ 3 ^ 2", Binary("^", Number(2), Binary("^", Number(3), Number(2)))),
        ("1 - 2 - 3", Binary("-", Binary("-", Number(1), Number(2)), Number(3))),
        ("-1 ^ 2", Negative(Binary("^", Number(1), Number(2)))),
        ("-up * 2", Binary("*", Negative(UP), Number(2))),
        ("(1 + 2) * 3", Binary("*", Binary("+", Number(1), Number(2)), Number(3))),
        ("0x1F", Number(31)),
        ("1e3", Number(1000)),
        (".5", Number(0.5)),
        ("Inf", Number(float("inf"))),
        ("5m", Number(300)),
        ("up or up and up", Binary("or", UP, Binary("and", UP, UP))),
        ("up == bool 1", Binary("==", UP, Number(1), as_bool=True)),
        ("up / ON (a, b) up", Binary("/", UP, UP, Matching(("a", "b"), on=True))),
        ("up * ignoring(a) group_left(c) up", Binary("*", UP, UP, Matching(("a",), many="left", included=("c",)))),
        ("up * on(a) group_right (up)", Binary("*", UP, UP, Matching(("a",), on=True, many="right"))),
        ("sum by (a) (up)", Aggregation("sum", UP, labels=("a",))),
        ("SUM(up) without (a, b)", Aggregation("sum", UP, labels=("a", "b"), without=True)),
        ("topk(3, up)", Aggregation("topk", UP, Number(3))),
        ("sum", named("sum")),
        ("time()", Call("time", ())),
        ('"text"', Text("text")),
    ],
)  # fmt: skip
def test_what_is_written_is_read(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", 1, "no expression"),
        ("up{", 4, "expected a label's name, got end of input"),
        ("up{a}", 5, "expected one of = != =~ !~"),
        ("up{a=b}", 6, "expected a string"),
        ("up[5m", 6, "expected ']'"),
        ("up[5m:1m]", 6, "subqueries are not supported"),
        ("sum(up)[5m]", 8, "series selector"),
        ("up @ 1", 4, "@ modifiers are not supported"),
        ("by{on='x'}", 1, "unexpected: 'by'"),
        ("up up", 4, "unexpected: 'up'"),
        ("foo(up)", 1, "unsupported function 'foo'; functions: abs"),
        ("rate(up)", 6, "expected type range vector"),
        ("up[5m] + 1", 1, "not a range vector"),
        ("abs()", 1, "takes 1 argument"),
        ("round(up, 1, 2)", 1, "takes 1 to 2 argument"),
        ("topk(up)", 1, "takes 2 argument"),
        ("1 > 2", 3, "BOOL"),
        ("up + bool 1", 6, "bool modifier"),
        ("1 and up", 3, "set operator"),
        ("up + on(a) 1", 4, "vector matching only"),
        ("up + group_left(a) up", 6, "after on"),
        ("{}", 1, "non-empty matcher"),
        ('{a=~".*"}', 1, "non-empty matcher"),
        ('up{a="b}', 6, "string does not end"),
        ('up{a=~"(.)\\\\1"}', 7, "back references"),
        ('up{a="\\q"}', 6, "unknown escape"),
        ("5x", 1, "bad number or duration"),
        ("up[0s]", 3, "greater than 0"),
        ("up[999y]", 4, "too long"),
        ("up ; up", 4, "unexpected character: ';'"),
        ("(" * 100 + "1", 61, "levels"),
        ("+".join(["1"] * 300), 302, "operators"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_place(text, place, said):
    with pytest.raises(BadQuery) as refused:
        parse(text)
    assert str(refused.value).startswith(f"1:{place}: parse error: ")
    assert said in str(refused.value)


def test_a_series_selector_has_neither_window_nor_functions():
    assert parse_matchers('up{a="b"}') == (Matcher(NAME, "=", "up"), Matcher("a", "=", "b"))
    for text in ("up[5m]", "rate(up[5m])", "up offset 1m"):
        with pytest.raises(BadQuery, match="series selector"):
            parse_matchers(text)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6)
labels = st.sampled_from(["a", "job", "le", "x.y", "sum", "on", "Übung"])
matchers = st.builds(Matcher, labels, st.sampled_from(["=", "!="]), texts)
names = st.sampled_from(["up", "node:cpu:rate5m", "http.requests", "and", "sum", "inf", "ä"])
plain = st.builds(
    lambda name, rest, offset: Selector((Matcher(NAME, "=", name), *rest), offset),
    names,
    st.lists(matchers, max_size=3),
    st.integers(-100_000_000, 100_000_000),
)
windowed = st.builds(lambda one, size: Selector(one.matchers, one.offset_ms, size), plain, st.integers(1, 10**11))
numbers = st.builds(Number, st.floats(min_value=0, allow_infinity=True, allow_nan=False))
matchings = st.builds(Matching, st.lists(labels, max_size=2, unique=True).map(tuple), st.just(True)) | st.builds(
    lambda chosen, side: Matching(tuple(chosen), False, side, ("z",) if side else ()),
    st.lists(labels, min_size=1, max_size=2, unique=True),
    st.sampled_from(["", "left", "right"]),
)


def vectors(inner: st.SearchStrategy) -> st.SearchStrategy:
    grouping = st.lists(labels, max_size=2, unique=True).map(tuple)
    arithmetic = st.sampled_from(sorted(set(PRECEDENCE) - SETS - COMPARISONS))
    return st.one_of(
        st.builds(lambda one: Call("abs", (one,)), inner),
        st.builds(lambda one, target: Call("label_replace", (one, Text(target), *[Text("x")] * 3)), inner, texts),
        st.builds(lambda one, by, without: Aggregation("sum", one, None, by, without), inner, grouping, st.booleans()),
        st.builds(lambda k, one, by: Aggregation("topk", one, k, by), numbers, inner, grouping),
        st.builds(Negative, inner),
        st.builds(Binary, arithmetic, inner, inner, matchings),
        st.builds(Binary, arithmetic, inner, numbers),
        st.builds(
            lambda how, a, b, as_bool: Binary(how, a, b, Matching(), as_bool),
            st.sampled_from(sorted(COMPARISONS)), numbers, inner, st.booleans(),
        ),
        st.builds(lambda how, a, b: Binary(how, a, b), st.sampled_from(sorted(SETS)), inner, inner),
    )  # fmt: skip


instant = plain | st.builds(lambda one, how: Call(how, (one,)), windowed, st.sampled_from(["rate", "max_over_time"]))


@settings(max_examples=60)
@given(st.recursive(instant, vectors, max_leaves=6) | numbers | windowed)
def test_a_tree_that_is_written_down_is_read_as_the_same(tree):
    assert parse(text_of(tree)) == tree
    assert text_of(parse(text_of(tree))) == text_of(tree)


@settings(max_examples=60)
@given(st.text(max_size=30) | st.text(alphabet="up{}[]()=~\"'5m+-*/ ,byonsumrate\\", max_size=40))
def test_any_text_is_a_tree_or_refused(text):
    try:
        tree = parse(text)
    except BadQuery:
        return
    assert parse(text_of(tree)) == tree
