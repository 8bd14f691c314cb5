"""Functions of instant vectors and scalars. Pure: NumPy only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.syntax import NAME, Expression, Selector
from assets.metrics.promql.vectors import Labels, Mask, Vector, relabelled, without_name
from assets.metrics.samples import Floats

# The groups of each text that a regular expression matches from beginning to end (group 0 is all of it); else None.
MatchTexts = Callable[[str, Sequence[str]], "list[tuple[str, ...] | None]"]
_REFERENCE = re.compile(r"\$(?:(\$)|(\d{1,2})|\{(\d{1,2})\}|\{?(\w+)\}?)")


def _round(values: Floats, nearest: Floats | None = None) -> Floats:
    """To the nearest multiple, of 1 if left out; halves go up."""
    inverse = np.ones(1) if nearest is None else 1 / nearest
    return np.floor(values * inverse + 0.5) / inverse


def _clamp(values: Floats, least: Floats, most: Floats) -> Floats:
    return np.maximum(least, np.minimum(values, most))


# Functions of one vector's values and of scalars.
OF_VALUES: dict[str, Callable[..., Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "sgn": np.sign,
    "round": _round,
    "clamp": _clamp,
    "clamp_min": lambda values, least: np.maximum(values, least),
    "clamp_max": lambda values, most: np.minimum(values, most),
}


def of_values(function: str, vector: Vector, scalars: Sequence[Floats]) -> Vector:
    with np.errstate(all="ignore"):
        values = OF_VALUES[function](vector.values, *scalars)
    there: Mask = vector.there
    if function == "clamp":
        there = there & (scalars[0] <= scalars[1])
    return relabelled(Vector(vector.labels, values, there), without_name)


def scalar(vector: Vector) -> Floats:
    """The value where there is just one, else NaN."""
    counts = vector.there.sum(axis=0)
    total = np.where(vector.there, vector.values, 0).sum(axis=0)
    return np.where(counts == 1, total, np.nan)


def absent(vector: Vector, argument: Expression) -> Vector:
    """1 where the vector is empty, under the labels that its selector demands."""
    demanded: dict[str, str] = {}
    if isinstance(argument, Selector):
        equal = [one for one in argument.matchers if one.label != NAME]
        names = [one.label for one in equal]
        demanded = {
            one.label: one.value for one in equal if one.operator == "=" and one.value and names.count(one.label) == 1
        }
    there: Mask = np.logical_not(vector.there.any(axis=0)).reshape(1, -1)
    return Vector([demanded], np.ones(there.shape), there)


def label_replace(vector: Vector, texts: Sequence[str], match: MatchTexts) -> Vector:
    """`texts`: the label to set, what to, the label to look at, and a regular expression. Raises BadQuery."""
    target, replacement, source, pattern = texts
    if not target or "\0" in target or len(target) > 200:
        raise BadQuery(f"invalid destination label name in label_replace(): {target[:50]!r}")
    sources = [labels.get(source, "") for labels in vector.labels]
    distinct = list(dict.fromkeys(sources))
    found = dict(zip(distinct, match(pattern, distinct), strict=True))

    def change(labels: Labels) -> Labels:
        groups = found[labels.get(source, "")]
        if groups is None:
            return labels
        value = _expanded(replacement, groups)
        rest = {name: old for name, old in labels.items() if name != target}
        return rest | ({target: value} if value else {})

    return relabelled(vector, change)


def _expanded(replacement: str, groups: tuple[str, ...]) -> str:
    def meant(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        number = reference[2] or reference[3]
        return groups[int(number)] if number and int(number) < len(groups) else ""

    return _REFERENCE.sub(meant, replacement)
