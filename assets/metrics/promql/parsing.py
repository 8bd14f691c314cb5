"""PromQL text as a checked tree. Pure: no Django.

Follows Prometheus's grammar (promql/parser/generated_parser.y) for what is supported; everything else is refused with
its place and what may be written.
"""

from __future__ import annotations

import re

from assets.metrics.promql import checking
from assets.metrics.promql.lexing import BadQuery, Token, is_duration, milliseconds, tokens
from assets.metrics.promql.signatures import AGGREGATIONS, COMPARISONS, FUNCTIONS, NEGATION, PRECEDENCE, SETS, supported
from assets.metrics.promql.syntax import (
    NAME,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matcher,
    Matching,
    Negative,
    Number,
    Selector,
    Text,
)

MAX_LENGTH = 20_000
# The tree is walked by recursion.
_MAX_DEPTH, _MAX_OPERATORS = 60, 150
_MATCHERS = ("=", "!=", "=~", "!~")


def parse(text: str) -> Expression:
    """The tree of `text`, with types checked. Raises BadQuery."""
    if len(text) > MAX_LENGTH:
        raise BadQuery(f"send an expression of at most {MAX_LENGTH} characters")
    if "\0" in text:
        raise BadQuery("send text without NUL characters", text.index("\0"))
    parser = _Parser(text)
    if parser.peek().kind == "end":
        raise BadQuery("no expression found in input", 0)
    found = parser.expression(0)
    parser.expect_end()
    checking.type_of(found)
    return found


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers of a series selector as `match[]` has it. Raises BadQuery."""
    found = parse(text)
    if not isinstance(found, Selector) or found.range_ms or found.offset_ms:
        raise BadQuery('match[] is a series selector like up{job="node"}', 0)
    return found.matchers


class _Parser:
    def __init__(self, text: str):
        self.tokens, self.at, self.depth, self.operators = tokens(text), 0, 0, 0

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def accept(self, *texts: str) -> Token | None:
        """The next token, if it is one of these operators or words (words in any case)."""
        token = self.peek()
        known = token.text.lower() if token.kind == "word" else token.text if token.kind == "operator" else None
        return self.take() if known in texts else None

    def expect(self, text: str, where: str) -> Token:
        return self.accept(text) or self.fail(f"expected {text!r} {where}")

    def expect_end(self) -> None:
        if self.peek().kind != "end":
            self.fail("unexpected")

    def fail(self, reason: str, token: Token | None = None) -> Token:
        token = token or self.peek()
        shown = "end of input" if token.kind == "end" else repr(token.text[:40])
        raise BadQuery(f"{reason}: {shown}" if reason == "unexpected" else f"{reason}, got {shown}", token.position)

    def expression(self, loosest: int) -> Expression:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise BadQuery(f"write an expression of at most {_MAX_DEPTH} levels", self.peek().position)
        left = self.unary()
        while (operator := self._operator()) is not None and PRECEDENCE[operator] > loosest:
            token = self.take()
            self.operators += 1
            if self.operators > _MAX_OPERATORS:
                raise BadQuery(f"write an expression of at most {_MAX_OPERATORS} operators", token.position)
            as_bool = self._bool(operator)
            matching = self._matching(operator)
            right = self.expression(PRECEDENCE[operator] - (operator == "^"))
            left = Binary(operator, left, right, matching, as_bool, token.position)
        self.depth -= 1
        return left

    def _operator(self) -> str | None:
        token = self.peek()
        text = token.text.lower()
        return text if token.kind in ("operator", "word") and text in PRECEDENCE else None

    def _bool(self, operator: str) -> bool:
        token = self.accept("bool")
        if token is not None and operator not in COMPARISONS:
            raise BadQuery("bool modifier can only be used on comparison operators", token.position)
        return token is not None

    def _matching(self, operator: str) -> Matching:
        kind = self.accept("on", "ignoring")
        labels = self._labels() if kind else ()
        side = self.accept("group_left", "group_right")
        if side is not None and (kind is None or operator in SETS):
            raise BadQuery(
                f"{side.text} stands after on(…) or ignoring(…), and not with and, or, unless", side.position
            )
        included = self._labels() if side and self.peek().text == "(" and self._are_labels() else ()
        many = side.text.lower().removeprefix("group_") if side else ""
        on = kind is not None and kind.text.lower() == "on"
        if side is not None and on and set(labels) & set(included):
            raise BadQuery(f"a label must not occur in ON and {side.text} clause at once", side.position)
        return Matching(labels, on, many, included)

    def _are_labels(self) -> bool:
        """Whether the parenthesis that begins here holds label names; else it is the operand."""
        ahead = 1
        while self.peek(ahead).kind in ("word", "string") or self.peek(ahead).text == ",":
            ahead += 1
        return self.peek(ahead).text == ")" and self.peek(ahead + 1).kind in ("word", "number", "duration", "operator")

    def unary(self) -> Expression:
        if self.accept("+"):
            return self.expression(NEGATION)
        if token := self.accept("-"):
            return Negative(self.expression(NEGATION), token.position)
        return self._suffixed(self.atom())

    def atom(self) -> Expression:
        token = self.peek()
        if token.kind in ("number", "duration"):
            self.take()
            return Number(_number(token), token.position)
        if token.kind == "string":
            self.take()
            return Text(token.text, token.position)
        if self.accept("("):
            inside = self.expression(0)
            self.expect(")", "after the expression in parentheses")
            return inside
        if token.text == "{":
            return Selector(self._matchers(), position=token.position)
        if token.kind == "word":
            return self._word()
        self.fail("unexpected")
        raise AssertionError

    def _word(self) -> Expression:
        token = self.take()
        name, following = token.text.lower(), self.peek()
        if name in ("inf", "nan"):
            return Number(float(name), token.position)
        if name in AGGREGATIONS and (following.text == "(" or following.text.lower() in ("by", "without")):
            return self._aggregation(token)
        if following.text == "(" and following.kind == "operator":
            return self._call(token)
        if name in PRECEDENCE or name in ("bool", "by", "without", "on", "ignoring", "offset"):
            self.fail("unexpected", token)
        named = Matcher(NAME, "=", token.text)
        return Selector((named, *(self._matchers() if following.text == "{" else ())), position=token.position)

    def _call(self, token: Token) -> Call:
        if token.text not in FUNCTIONS:
            raise BadQuery(f"unknown or unsupported function {token.text[:50]!r}; {supported()}", token.position)
        return Call(token.text, self._arguments(), token.position)

    def _arguments(self) -> tuple[Expression, ...]:
        self.expect("(", "before the arguments")
        found: list[Expression] = []
        while not self.accept(")"):
            if found:
                self.expect(",", "between the arguments")
            found.append(self.expression(0))
        return tuple(found)

    def _aggregation(self, token: Token) -> Aggregation:
        function = token.text.lower()
        grouping = self._grouping()
        arguments = self._arguments()
        grouping = grouping or self._grouping()
        wanted = 2 if AGGREGATIONS[function] else 1
        if len(arguments) != wanted:
            raise BadQuery(f"{function} takes {wanted} argument(s), got {len(arguments)}", token.position)
        without, labels = grouping or (False, ())
        parameter = arguments[0] if wanted == 2 else None
        return Aggregation(function, arguments[-1], parameter, labels, without, token.position)

    def _grouping(self) -> tuple[bool, tuple[str, ...]] | None:
        kind = self.accept("by", "without")
        return (kind.text.lower() == "without", self._labels()) if kind else None

    def _labels(self) -> tuple[str, ...]:
        self.expect("(", "before the labels")
        found: list[str] = []
        while not self.accept(")"):
            if found:
                self.expect(",", "between the labels")
                if self.accept(")"):
                    break
            found.append(self._label())
        return tuple(found)

    def _label(self) -> str:
        token = self.take()
        if token.kind not in ("word", "string") or not token.text or ":" in token.text * (token.kind == "word"):
            self.fail("expected a label's name", token)
        return token.text

    def _matchers(self) -> tuple[Matcher, ...]:
        self.expect("{", "before the matchers")
        found: list[Matcher] = []
        while not self.accept("}"):
            if found:
                self.expect(",", "between the matchers")
                if self.accept("}"):
                    break
            found.append(self._matcher())
        return tuple(found)

    def _matcher(self) -> Matcher:
        named = self.peek()
        label = self._label()
        if named.kind == "string" and self.peek().text in (",", "}"):
            return Matcher(NAME, "=", label)
        operator = self.accept(*_MATCHERS) or self.fail("expected one of = != =~ !~")
        value = self.take()
        if value.kind != "string":
            self.fail("expected a string", value)
        if "~" in operator.text:
            _check_pattern(value)
        return Matcher(label, operator.text, value.text)

    def _suffixed(self, node: Expression) -> Expression:
        """`node` with its window and offset."""
        opening = self.accept("[")
        if opening:
            node = self._with_window(node, opening)
        while token := self.accept("offset", "@", "["):
            if token.text != "offset" and token.text.lower() != "offset":
                what = "@ modifiers are" if token.text == "@" else "subqueries are"
                raise BadQuery(f"{what} not supported; use offset and a selector's own window", token.position)
            if not isinstance(node, Selector) or node.offset_ms:
                raise BadQuery("offset stands once, after a selector", token.position)
            sign = -1 if self.accept("-") else 1
            node = Selector(node.matchers, sign * self._duration(), node.range_ms, node.position)
        return node

    def _with_window(self, node: Expression, opening: Token) -> Selector:
        range_ms = self._duration()
        if self.peek().text == ":" or self.peek().text.startswith(":"):
            raise BadQuery("subqueries are not supported; use a selector's own window", self.peek().position)
        self.expect("]", "after the window")
        if not isinstance(node, Selector) or node.range_ms or node.offset_ms:
            raise BadQuery("a window like [5m] stands right after a series selector only", opening.position)
        if not range_ms:
            raise BadQuery("duration must be greater than 0", opening.position)
        return Selector(node.matchers, 0, range_ms, node.position)

    def _duration(self) -> int:
        token = self.take()
        if token.kind == "duration":
            return milliseconds(token.text, token.position)
        if token.kind == "number":
            return milliseconds(f"{round(min(_number(token), 1e15) * 1000)}ms", token.position)
        self.fail("expected a duration like 5m", token)
        raise AssertionError


def _number(token: Token) -> float:
    if is_duration(token.text):
        return milliseconds(token.text, token.position) / 1000
    return float(int(token.text, 16)) if token.text[:2].lower() == "0x" else float(token.text)


def _check_pattern(token: Token) -> None:
    if found := re.search(r"(?<!\\)(?:\\\\)*\\[1-9]", token.text):
        raise BadQuery(f"regular expressions have no back references like {found.group()}", token.position)
    if "\0" in token.text or len(token.text) > 5000:
        raise BadQuery("send a regular expression of at most 5000 characters", token.position)
