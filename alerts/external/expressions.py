"""PromQL of an alerting rule as what rules here can ask, or the reason why they cannot. Pure: no Django.

A rule compares metrics with numbers, one asset at a time: the average, highest, lowest, sum or number of the samples of
a window, of counters their increase per second. Everything that comes down to that is taken, arithmetic with numbers
is solved for the metric; what would mean something else here is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

from alerts.conditions import AssetType, EnvironmentName
from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.parsing import parse
from assets.metrics.promql.signatures import COMPARISONS
from assets.metrics.promql.syntax import (
    NAME,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matcher,
    Negative,
    Number,
    Selector,
    text_of,
)
from assets.metrics.protocols.mapping import host_of, type_by_suffix

OPERATORS = {">": "gt", "<": "lt", ">=": "gte", "<=": "lte", "==": "eq", "!=": "ne"}
_TURNED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_OVER_TIME = {f"{how}_over_time": how for how in ("avg", "min", "max", "sum", "count")}
# How far Prometheus looks back for the newest sample.
_LOOKBACK_SECONDS = 300
_LONGEST_SECONDS = 31 * 86400
_WHOSE = ("asset", "host", "instance")
_PLAIN = re.compile(r"(?:[A-Za-z0-9_:-]|\\\.)+")
_PER_ASSET = "it is asked of each asset by itself"


class Inexpressible(ValueError):
    """No rule here would mean the same; says why."""


@dataclass
class Asked:
    """The columns of a rule, and what is not quite as it was."""

    alert_type: str
    metric_conditions: list[dict[str, Any]] = field(default_factory=list)
    asset_filter: dict[str, Any] = field(default_factory=dict)
    absence_config: dict[str, Any] = field(default_factory=dict)
    composite_config: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Comparison:
    condition: dict[str, Any]
    asset_filter: dict[str, Any]
    notes: tuple[str, ...]


def asked(text: str, newest_seconds: int, ignored: Collection[str] = ()) -> Asked:
    """What `text` asks. The newest value of a series becomes its average of `newest_seconds`; matchers of `ignored`
    labels are left out. Raises Inexpressible."""
    try:
        tree = parse(text)
    except BadQuery as error:
        raise Inexpressible(str(error)) from error
    if isinstance(tree, Call) and tree.function in ("absent", "absent_over_time"):
        return _absence(tree, ignored)
    joined = tree.operator if isinstance(tree, Binary) and tree.operator in ("and", "or") else "and"
    found = [_comparison(part, newest_seconds, ignored) for part in _parts(tree, joined)]
    notes = list(dict.fromkeys(note for one in found for note in one.notes))
    if len(found) > 1:
        notes.append(f"{joined} holds for an asset as a whole, not for each series")
    conditions = [one.condition for one in found]
    if joined == "or":
        if any(one.asset_filter != found[0].asset_filter for one in found):
            raise Inexpressible("the sides of or select different assets: write a rule for each")
        parts = [{"kind": "metric", **condition} for condition in conditions]
        composite = {"require": "any", "parts": parts}
        return Asked("composite", [], found[0].asset_filter, composite_config=composite, notes=notes)
    return Asked("threshold", conditions, _merged(found), notes=notes)


def _parts(node: Expression, operator: str) -> Iterator[Expression]:
    if isinstance(node, Binary) and node.operator == operator:
        per_asset = node.matching.on and set(node.matching.labels) & set(_WHOSE)
        if node.matching.on and not per_asset:
            raise Inexpressible(f"{operator} on({', '.join(node.matching.labels)}): {_PER_ASSET}")
        yield from _parts(node.left, operator)
        yield from _parts(node.right, operator)
    else:
        yield node


def _merged(found: list[_Comparison]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for one in found:
        for name, wanted in one.asset_filter.items():
            if merged.setdefault(name, wanted) != wanted:
                raise Inexpressible("the sides of and select different assets")
    return merged


def _absence(node: Call, ignored: Collection[str]) -> Asked:
    (selector,) = node.arguments
    if not isinstance(selector, Selector) or selector.offset_ms:
        raise Inexpressible(f"{node.function} takes a selector alone here")
    metric, chosen, notes = _selected(selector, ignored)
    seconds = max(selector.range_ms // 1000, 10) if selector.range_ms else _LOOKBACK_SECONDS
    if seconds > 7 * 86400:
        raise Inexpressible("silence is noticed after at most 7 days")
    config = {"metric_name": metric, "when": "fewer_assets", "silent_seconds": seconds, "expected_assets": 1}
    return Asked("absence", asset_filter=chosen, absence_config=config, notes=list(notes))


def _comparison(node: Expression, newest_seconds: int, ignored: Collection[str]) -> _Comparison:
    if not isinstance(node, Binary) or node.operator not in COMPARISONS:
        raise Inexpressible(f"{_short(node)} is not compared with a number")
    if node.as_bool:
        raise Inexpressible("a comparison with bool always has a value: leave bool out")
    threshold, side, operator = _number(node.right), node.left, node.operator
    if threshold is None:
        threshold, side, operator = _number(node.left), node.right, _TURNED[node.operator]
    if threshold is None:
        raise Inexpressible("it compares metrics with one another, and not one with a number")
    factor, added, inner = _solved(side)
    if factor == 0 or not math.isfinite(factor):
        raise Inexpressible("the metric is multiplied away")
    operator = _TURNED[operator] if factor < 0 else operator
    inner, notes = _of_assets(inner, operator)
    selector, aggregation, seconds, unit = _window(inner, newest_seconds)
    metric, chosen, more = _selected(selector, ignored)
    _check_type(metric, inner)
    limit = (threshold - added) / factor / unit
    if not math.isfinite(limit):
        raise Inexpressible("the number is not finite")
    if isinstance(inner, Selector):
        notes += (f"the newest value is the average of the last {seconds} s",)
    condition = {"metric_name": metric, "operator": OPERATORS[operator], "threshold": float(f"{limit:.12g}")}
    return _Comparison(condition | {"aggregation": aggregation, "time_window": seconds}, chosen, notes + more)


def _number(node: Expression) -> float | None:
    """The value of arithmetic with numbers alone."""
    match node:
        case Number():
            return node.value
        case Negative():
            inside = _number(node.operand)
            return None if inside is None else -inside
        case Binary(operator="+" | "-" | "*" | "/"):
            left, right = _number(node.left), _number(node.right)
            return None if left is None or right is None else _computed(node.operator, left, right)
    return None


def _computed(operator: str, left: float, right: float) -> float:
    if operator == "/":
        return left / right if right else math.nan
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


def _solved(node: Expression) -> tuple[float, float, Expression]:
    """(factor, added, inner) with node = factor * inner + added."""
    if isinstance(node, Negative):
        factor, added, inner = _solved(node.operand)
        return -factor, -added, inner
    if not isinstance(node, Binary):
        return 1.0, 0.0, node
    if node.operator not in ("+", "-", "*", "/"):
        raise Inexpressible(f"it computes with {node.operator}")
    left, right = _number(node.left), _number(node.right)
    if left is None and right is None:
        raise Inexpressible(f"it computes with two metrics ({_short(node)}); a rule compares each with a number")
    if left is None:
        assert right is not None
        factor, added, inner = _solved(node.left)
        if node.operator in "+-":
            return factor, _computed(node.operator, added, right), inner
        return _computed(node.operator, factor, right), _computed(node.operator, added, right), inner
    factor, added, inner = _solved(node.right)
    if node.operator == "/":
        raise Inexpressible("it divides by a metric")
    if node.operator == "*":
        return left * factor, left * added, inner
    return (factor, left + added, inner) if node.operator == "+" else (-factor, left - added, inner)


def _of_assets(node: Expression, operator: str) -> tuple[Expression, tuple[str, ...]]:
    """What is aggregated, where the worst series speaks for its asset, as it does here."""
    if not isinstance(node, Aggregation):
        return node, ()
    if (node.function, operator[0]) not in (("max", ">"), ("min", "<")):
        raise Inexpressible(f"{node.function} puts several series together; {_PER_ASSET}, and the worst series counts")
    is_per_asset = not node.without and set(node.labels) & set(_WHOSE)
    return node.operand, () if is_per_asset else (f"{_PER_ASSET}: one alert for each",)


def _window(node: Expression, newest_seconds: int) -> tuple[Selector, str, int, float]:
    """(selector, aggregation, seconds, unit): what is read; values there are `unit` times what a rule sees."""
    if isinstance(node, Selector):
        return _at_hand(node), "avg", newest_seconds, 1.0
    if not isinstance(node, Call) or not node.arguments or not isinstance(node.arguments[0], Selector):
        raise Inexpressible(f"{_short(node)} is not a metric that a rule reads")
    selector = _at_hand(node.arguments[0])
    seconds = math.ceil(selector.range_ms / 1000)
    if seconds > _LONGEST_SECONDS:
        raise Inexpressible("a window is of at most 31 days")
    if node.function in _OVER_TIME:
        return selector, _OVER_TIME[node.function], seconds, 1.0
    if node.function in ("rate", "increase"):
        return selector, "avg", seconds, float(seconds) if node.function == "increase" else 1.0
    raise Inexpressible(f"{node.function} is not computed for rules; use rate, increase or {', '.join(_OVER_TIME)}")


def _at_hand(selector: Selector) -> Selector:
    if selector.offset_ms:
        raise Inexpressible("offset is not read by rules")
    return selector


def _check_type(metric: str, node: Expression) -> None:
    is_rate = isinstance(node, Call) and node.function in ("rate", "increase")
    is_counter = type_by_suffix(metric) == "counter"
    if is_rate and not is_counter:
        raise Inexpressible(f"{metric} is stored as a gauge, by its name: rules see rates of counters alone")
    if is_counter and not is_rate:
        raise Inexpressible(f"{metric} is a counter, by its name: rules see its rate, not what it has reached")


def _selected(selector: Selector, ignored: Collection[str]) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """(metric, asset filter, notes)"""
    names = [one.value for one in selector.matchers if (one.label, one.operator) == (NAME, "=")]
    if len(names) != 1 or any(one.label == NAME and one.operator != "=" for one in selector.matchers):
        raise Inexpressible("a rule reads one metric by its whole name")
    chosen: dict[str, Any] = {}
    notes: list[str] = []
    for one in selector.matchers:
        if one.label == NAME:
            continue
        if one.label in ignored:
            notes.append(f"{one.label}{one.operator}{one.value!r} is left out, as asked")
            continue
        part, wanted = _part(one)
        if chosen.setdefault(part, wanted) != wanted:
            raise Inexpressible(f"{one.label} is matched twice")
    return names[0], chosen, tuple(notes)


def _part(one: Matcher) -> tuple[str, list[str]]:
    """A part of an asset filter and what it holds."""
    values = _values(one)
    if one.label in _WHOSE:
        return "asset_names", [(host_of(value) or value) if one.label == "instance" else value for value in values]
    known = {"environment": ("environments", EnvironmentName), "asset_type": ("asset_types", AssetType)}
    if one.label not in known:
        raise Inexpressible(f"rules do not select by the label {one.label}; --ignore-label {one.label} leaves it out")
    part, allowed = known[one.label]
    if strange := set(values) - set(get_args(allowed)):
        raise Inexpressible(f"{one.label} is one of {', '.join(get_args(allowed))}, not {min(strange)!r}")
    return part, values


def _values(one: Matcher) -> list[str]:
    if one.operator == "=" and one.value:
        return [one.value]
    words = one.value.removeprefix("(").removesuffix(")").split("|")
    if one.operator != "=~" or not all(map(_PLAIN.fullmatch, words)):
        raise Inexpressible(f"{one.label}{one.operator}{one.value!r}: a rule lists the assets that it is about")
    return [word.replace("\\.", ".") for word in words]


def _short(node: Expression) -> str:
    text = text_of(node)
    return text if len(text) <= 80 else f"{text[:79]}…"
