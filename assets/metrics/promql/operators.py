"""Operators between scalars and vectors, and how two vectors find together. Pure: NumPy only.

Source: Prometheus promql/engine.go (VectorBinop, resultMetric, VectorAnd, VectorOr, VectorUnless).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from assets.metrics.promql.aggregating import any_of
from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.signatures import COMPARISONS, SETS
from assets.metrics.promql.syntax import Binary, Matching
from assets.metrics.promql.vectors import (
    Key,
    Labels,
    Vector,
    dropped,
    grouped,
    joined,
    key_of,
    merged,
    only,
    relabelled,
    shown,
    without_name,
)
from assets.metrics.samples import Floats, Ints

_COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
Value = Floats | Vector  # a scalar is (T,)


def apply(node: Binary, left: Value, right: Value) -> Value:
    """Raises BadQuery where vectors do not match."""
    with np.errstate(all="ignore"):
        if isinstance(left, Vector) and isinstance(right, Vector):
            return _set(node, left, right) if node.operator in SETS else _vectors(node, left, right)
        if isinstance(left, Vector):
            return _with_scalar(node, left, left.values, right)
        if isinstance(right, Vector):
            return _with_scalar(node, right, left, right.values)
        scalar: Floats = _COMPUTE[node.operator](left, right).astype(np.float64)
        return scalar


def _filters(node: Binary) -> bool:
    return node.operator in COMPARISONS and not node.as_bool


def _with_scalar(node: Binary, vector: Vector, left: Any, right: Any) -> Vector:
    found = _COMPUTE[node.operator](left, right)
    if _filters(node):
        return Vector(vector.labels, vector.values, vector.there & found)
    return relabelled(Vector(vector.labels, found.astype(np.float64), vector.there), without_name)


def _signature(matching: Matching, labels: Labels) -> Key:
    return key_of(only(labels, matching.labels) if matching.on else dropped(labels, matching.labels))


def _groups(matching: Matching, left: Vector, right: Vector) -> tuple[Ints, Ints, int]:
    """The number of each row's match group, on both sides, and how many there are."""
    keys = [_signature(matching, labels) for labels in (*left.labels, *right.labels)]
    groups, firsts = grouped(keys)
    return groups[: len(left.labels)], groups[len(left.labels) :], len(firsts)


def _set(node: Binary, left: Vector, right: Vector) -> Vector:
    lefts, rights, count = _groups(node.matching, left, right)
    if node.operator == "or":
        new = right.there & ~any_of(left.there, lefts, count)[rights]
        both = [*left.labels, *right.labels]
        return _without_empty(
            joined(Vector(both, np.concatenate([left.values, right.values]), np.concatenate([left.there, new])))
        )
    matched = any_of(right.there, rights, count)[lefts]
    there = left.there & (matched if node.operator == "and" else ~matched)
    return _without_empty(Vector(left.labels, left.values, there))


def _without_empty(vector: Vector) -> Vector:
    return vector.take(np.flatnonzero(vector.there.any(axis=1)))


def _vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    """The side of many keeps its rows; the other is one row of each match group."""
    swapped = node.matching.many == "right"
    lefts, rights, count = _groups(node.matching, left, right)
    many, one = (right, left) if swapped else (left, right)
    manys, ones = (rights, lefts) if swapped else (lefts, rights)
    values, there = merged(one, ones, count, _ambiguous(node, "left" if swapped else "right"))
    if not node.matching.many:
        merged(many, manys, count, _ambiguous(node, "left"))
    first, second = (values[manys], many.values) if swapped else (many.values, values[manys])
    found = _COMPUTE[node.operator](first, second)
    both = many.there & there[manys]
    of_one = {group: one.labels[row] for row, group in reversed(list(enumerate(ones.tolist())))}
    labels = [
        _result_labels(node, mine, of_one.get(group, {}))
        for mine, group in zip(many.labels, manys.tolist(), strict=True)
    ]
    if _filters(node):
        # What a comparison keeps is the left side's value, whichever side is the one of many.
        return joined(_without_empty(Vector(labels, first, both & found)))
    return joined(_without_empty(Vector(labels, found.astype(np.float64), both)))


def _result_labels(node: Binary, mine: Labels, of_one: Labels) -> Labels:
    matching = node.matching
    kept = dict(mine) if _filters(node) else without_name(mine)
    if not matching.many:
        if matching.on:
            return only(kept, matching.labels)
        return {name: value for name, value in kept.items() if name not in matching.labels}
    for name in matching.included:
        kept.pop(name, None)
        if name in of_one:
            kept[name] = of_one[name]
    return kept


def _ambiguous(node: Binary, side: str) -> Callable[[Labels], BadQuery]:
    def refusal(labels: Labels) -> BadQuery:
        group = shown(dict(_signature(node.matching, labels)))
        return BadQuery(
            f"found duplicate series for the match group {group} on the {side} hand-side of {node.operator}: "
            "matching labels must be unique on one side; use on(…), ignoring(…) or group_left/group_right",
        )

    return refusal


def negative(value: Value) -> Value:
    if isinstance(value, Vector):
        return relabelled(Vector(value.labels, -value.values, value.there), without_name)
    return -value
