"""Whether an expression's types fit together. Pure: no Django."""

from __future__ import annotations

from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.signatures import AGGREGATIONS, COMPARISONS, FUNCTIONS, SETS, Signature
from assets.metrics.promql.syntax import (
    MATRIX,
    SCALAR,
    STRING,
    VECTOR,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matching,
    Negative,
    Number,
    Selector,
    Text,
)


def type_of(node: Expression) -> str:
    """What `node` evaluates to: a scalar, a string, an instant or a range vector. Raises BadQuery."""
    match node:
        case Number():
            return SCALAR
        case Text():
            return STRING
        case Selector():
            return _selector(node)
        case Call():
            return _call(node)
        case Aggregation():
            _expect(node.operand, VECTOR, f"aggregation {node.function}")
            if node.parameter is not None:
                _expect(node.parameter, AGGREGATIONS[node.function], f"the parameter of {node.function}")
            return VECTOR
        case Binary():
            return _binary(node)
        case Negative():
            found = type_of(node.operand)
            if found not in (SCALAR, VECTOR):
                raise BadQuery(f"only scalars and instant vectors have a negative, not a {found}", node.position)
            return found


def _expect(node: Expression, wanted: str, where: str) -> None:
    if (found := type_of(node)) != wanted:
        raise BadQuery(f"expected type {wanted} in {where}, got {found}", node.position)


def _selector(node: Selector) -> str:
    """At least one matcher must refuse the empty text, so that nobody asks for everything by mistake."""
    if not any(one.operator in ("=", "=~") and one.value not in ("", ".*") for one in node.matchers) and not any(
        one.operator == "!=" and not one.value for one in node.matchers
    ):
        raise BadQuery("vector selector must contain at least one non-empty matcher", node.position)
    return MATRIX if node.range_ms else VECTOR


def _call(node: Call) -> str:
    signature = FUNCTIONS[node.function]
    most = len(signature.arguments)
    if not most - signature.optional <= len(node.arguments) <= most:
        raise BadQuery(f"{node.function} takes {_takes(signature)}, got {len(node.arguments)}", node.position)
    for argument, wanted in zip(node.arguments, signature.arguments, strict=False):
        _expect(argument, wanted, f"call to function {node.function}")
    return signature.answer


def _takes(signature: Signature) -> str:
    most = len(signature.arguments)
    least = f"{most - signature.optional} to " if signature.optional else ""
    return f"{least}{most} argument(s)"


def _binary(node: Binary) -> str:
    left, right = type_of(node.left), type_of(node.right)
    for found, side in ((left, node.left), (right, node.right)):
        if found not in (SCALAR, VECTOR):
            raise BadQuery(f"{node.operator} takes scalars and instant vectors, not a {found}", side.position)
    if left == right == SCALAR and node.operator in COMPARISONS and not node.as_bool:
        raise BadQuery("comparisons between scalars must use BOOL modifier", node.position)
    if SCALAR in (left, right):
        if node.operator in SETS:
            raise BadQuery(f"set operator {node.operator} not allowed in binary scalar expression", node.position)
        if node.matching != Matching():
            raise BadQuery("vector matching only allowed between instant vectors", node.position)
    return SCALAR if left == right == SCALAR else VECTOR
