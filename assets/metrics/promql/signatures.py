"""Which functions, aggregations and operators there are, and what they take. Pure: no Django."""

from __future__ import annotations

from dataclasses import dataclass

from assets.metrics.promql.syntax import MATRIX, SCALAR, STRING, VECTOR


@dataclass(frozen=True)
class Signature:
    """The types of the arguments, of which the last `optional` may be left out; and the type of the answer."""

    arguments: tuple[str, ...]
    answer: str = VECTOR
    optional: int = 0


_OF_WINDOW = Signature((MATRIX,))
_OF_VECTOR = Signature((VECTOR,))
# Functions of one window of samples.
WINDOW_FUNCTIONS = frozenset(
    (
        "rate",
        "irate",
        "increase",
        "delta",
        "idelta",
        "changes",
        "resets",
        "deriv",
        *(f"{how}_over_time" for how in ("avg", "min", "max", "sum", "count", "last", "present", "stddev", "stdvar")),
    )
)
# Functions of one value.
VALUE_FUNCTIONS = frozenset(("abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn"))

FUNCTIONS: dict[str, Signature] = {
    **dict.fromkeys(WINDOW_FUNCTIONS, _OF_WINDOW),
    **dict.fromkeys(VALUE_FUNCTIONS, _OF_VECTOR),
    "quantile_over_time": Signature((SCALAR, MATRIX)),
    "predict_linear": Signature((MATRIX, SCALAR)),
    "absent_over_time": _OF_WINDOW,
    "absent": _OF_VECTOR,
    "round": Signature((VECTOR, SCALAR), optional=1),
    "clamp": Signature((VECTOR, SCALAR, SCALAR)),
    "clamp_min": Signature((VECTOR, SCALAR)),
    "clamp_max": Signature((VECTOR, SCALAR)),
    "histogram_quantile": Signature((SCALAR, VECTOR)),
    "label_replace": Signature((VECTOR, STRING, STRING, STRING, STRING)),
    "time": Signature((), SCALAR),
    "timestamp": _OF_VECTOR,
    "vector": Signature((SCALAR,)),
    "scalar": Signature((VECTOR,), SCALAR),
    "sort": _OF_VECTOR,
    "sort_desc": _OF_VECTOR,
}

# Aggregations, and the type of the parameter that some have.
AGGREGATIONS: dict[str, str] = {
    **dict.fromkeys(("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group"), ""),
    **dict.fromkeys(("quantile", "topk", "bottomk"), SCALAR),
}

# From the loosest to the tightest; ^ binds to the right, all others to the left.
PRECEDENCE: dict[str, int] = {
    "or": 1,
    "and": 2,
    "unless": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 3),
    "+": 4,
    "-": 4,
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
NEGATION = 5
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
SETS = frozenset(("and", "or", "unless"))


def supported() -> str:
    """What can be written, for error messages."""
    return f"functions: {', '.join(sorted(FUNCTIONS))}; aggregations: {', '.join(AGGREGATIONS)}"
