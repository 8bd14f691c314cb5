"""PromQL as a tree, and back as text. Pure: no Django."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from assets.metrics.promql.lexing import UNITS_MS, quoted

SCALAR, VECTOR, MATRIX, STRING = "scalar", "instant vector", "range vector", "string"
NAME = "__name__"
_METRIC_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Words that cannot stand for a metric by themselves; {"and"} can.
RESERVED = frozenset(
    ("and", "or", "unless", "atan2", "bool", "by", "without", "on", "ignoring", "group_left", "group_right", "offset")
) | {"inf", "nan"}


@dataclass(frozen=True)
class Matcher:
    """`operator` is one of = != =~ !~; a label that is not there counts as empty."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True)
class Number:
    value: float
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Text:
    value: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Selector:
    """Series by their labels; with `range_ms` their samples of a window, else the newest one of each."""

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    range_ms: int = 0
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Expression, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Aggregation:
    """One value of each group; groups are by `labels`, or (`without`) by all others."""

    function: str
    operand: Expression
    parameter: Expression | None = None
    labels: tuple[str, ...] = ()
    without: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Matching:
    """How two vectors find together: `on` these labels, or on all others. `many` names the side (left or right) of
    which several may belong to one of the other; they get the labels `included` from that one."""

    labels: tuple[str, ...] = ()
    on: bool = False
    many: str = ""
    included: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binary:
    operator: str
    left: Expression
    right: Expression
    matching: Matching = Matching()
    as_bool: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Negative:
    operand: Expression
    position: int = field(default=0, compare=False)


Expression = Number | Text | Selector | Call | Aggregation | Binary | Negative


def children(node: Expression) -> tuple[Expression, ...]:
    """What stands directly inside of `node`."""
    match node:
        case Call():
            return node.arguments
        case Aggregation():
            return (node.operand,) if node.parameter is None else (node.parameter, node.operand)
        case Binary():
            return (node.left, node.right)
        case Negative():
            return (node.operand,)
    return ()


def selectors(node: Expression) -> Iterator[Selector]:
    """All selectors in `node`."""
    if isinstance(node, Selector):
        yield node
    for child in children(node):
        yield from selectors(child)


def text_of(node: Expression) -> str:
    """The expression as text that parses to the same tree; operands of operators stand in parentheses."""
    match node:
        case Number():
            return number_text(node.value)
        case Text():
            return quoted(node.value)
        case Selector():
            return _selector_text(node)
        case Call():
            return f"{node.function}({', '.join(map(text_of, node.arguments))})"
        case Aggregation():
            return _aggregation_text(node)
        case Negative():
            return f"-{_operand(node.operand)}"
        case Binary():
            modifiers = " bool" * node.as_bool + _matching_text(node.matching)
            return f"{_operand(node.left)} {node.operator}{modifiers} {_operand(node.right)}"


def _operand(node: Expression) -> str:
    return f"({text_of(node)})" if isinstance(node, Binary | Negative) else text_of(node)


def number_text(value: float) -> str:
    """As Prometheus writes values: shortest digits, `NaN`, `+Inf`, `-Inf`."""
    if math.isfinite(value):
        return repr(value).removesuffix(".0")
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def duration_text(milliseconds: int) -> str:
    parts = []
    for unit, size in sorted(UNITS_MS.items(), key=lambda one: -one[1]):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _selector_text(node: Selector) -> str:
    matchers = list(node.matchers)
    named = next((one for one in matchers if (one.label, one.operator) == (NAME, "=")), None)
    if named is not None and _METRIC_NAME.fullmatch(named.value) and named.value.lower() not in RESERVED:
        matchers.remove(named)
        name = named.value
    else:
        name = ""
    inside = ", ".join(f"{label_text(one.label)}{one.operator}{quoted(one.value)}" for one in matchers)
    shown = name + (f"{{{inside}}}" if inside or not name else "")
    if node.range_ms:
        shown += f"[{duration_text(node.range_ms)}]"
    if node.offset_ms:
        shown += f" offset {'-' if node.offset_ms < 0 else ''}{duration_text(abs(node.offset_ms))}"
    return shown


def label_text(label: str) -> str:
    return label if LABEL_NAME.fullmatch(label) else quoted(label)


def _labels_text(labels: tuple[str, ...]) -> str:
    return f"({', '.join(map(label_text, labels))})"


def _aggregation_text(node: Aggregation) -> str:
    grouping = ""
    if node.labels or node.without:
        grouping = f" {'without' if node.without else 'by'} {_labels_text(node.labels)} "
    return f"{node.function}{grouping}({', '.join(map(text_of, children(node)))})"


def _matching_text(matching: Matching) -> str:
    shown = ""
    if matching.on or matching.labels:
        shown = f" {'on' if matching.on else 'ignoring'} {_labels_text(matching.labels)}"
    if matching.many:
        shown += f" group_{matching.many} {_labels_text(matching.included)}"
    return shown
