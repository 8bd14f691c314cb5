"""What expressions evaluate to: values of n label sets at T instants, as arrays. Pure: no Django.

A NaN is a value (0 / 0); whether there is a value at all is told apart from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.metrics.promql.lexing import BadQuery, quoted
from assets.metrics.promql.syntax import NAME, label_text
from assets.metrics.samples import Floats, Ints

Labels = Mapping[str, str]
Key = tuple[tuple[str, str], ...]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Vector:
    """Row i has `labels[i]` and, where `there[i]`, `values[i]`."""

    labels: Sequence[Labels]
    values: Floats  # (n, T)
    there: Mask  # (n, T)

    def take(self, rows: Ints | Sequence[int]) -> Vector:
        """The same with these rows only, in this order."""
        kept = np.asarray(rows, dtype=np.int64)
        return Vector([self.labels[row] for row in kept.tolist()], self.values[kept], self.there[kept])


@dataclass(frozen=True)
class Window:
    """Samples of n series one after the other, as in assets.metrics.samples.Samples, with what they are called here."""

    labels: Sequence[Labels]
    offsets: Ints  # (n + 1,)
    timestamps: Ints
    values: Floats


@dataclass(frozen=True)
class HourlyWindow:
    """Statistics of hours, in the order of blocks.STATISTICS, each at the end of its hour."""

    labels: Sequence[Labels]
    offsets: Ints  # (n + 1,)
    timestamps: Ints
    statistics: Floats  # (k, 7)


def nothing(steps: int) -> Vector:
    """No rows."""
    return Vector([], np.empty((0, steps)), np.empty((0, steps), dtype=bool))


def key_of(labels: Labels) -> Key:
    return tuple(sorted(labels.items()))


def without_name(labels: Labels) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != NAME}


def only(labels: Labels, names: Iterable[str]) -> dict[str, str]:
    return {name: labels[name] for name in names if name in labels}


def dropped(labels: Labels, names: Iterable[str]) -> dict[str, str]:
    """`labels` without these and without the name."""
    gone = {NAME, *names}
    return {name: value for name, value in labels.items() if name not in gone}


def shown(labels: Labels) -> str:
    """A label set as Prometheus writes it."""
    inside = ", ".join(f"{label_text(name)}={quoted(value)}" for name, value in sorted(labels.items()) if name != NAME)
    return labels.get(NAME, "") + f"{{{inside}}}"


def relabelled(vector: Vector, change: Callable[[Labels], Labels]) -> Vector:
    """The rows under changed labels, those that become one joined. Raises BadQuery where two have a value at once."""
    return joined(Vector([change(labels) for labels in vector.labels], vector.values, vector.there))


def joined(vector: Vector) -> Vector:
    """Rows of the same labels as one row."""
    groups, firsts = grouped(map(key_of, vector.labels))
    if len(firsts) == len(vector.labels):
        return vector
    values, there = merged(vector, groups, len(firsts), _same_labels)
    return Vector([vector.labels[first] for first in firsts], values, there)


def _same_labels(labels: Labels) -> BadQuery:
    return BadQuery(f"vector cannot contain metrics with the same labelset: {shown(labels)}")


def grouped(keys: Iterable[Key]) -> tuple[Ints, list[int]]:
    """The number of each row's group, in the order of first sight, and each group's first row."""
    numbers: dict[Key, int] = {}
    firsts: list[int] = []
    found = []
    for row, key in enumerate(keys):
        number = numbers.setdefault(key, len(numbers))
        if number == len(firsts):
            firsts.append(row)
        found.append(number)
    return np.array(found, dtype=np.int64), firsts


def merged(vector: Vector, groups: Ints, count: int, refusal: Callable[[Labels], BadQuery]) -> tuple[Floats, Mask]:
    """One row of each group, made of all of its rows. Raises `refusal` where two have a value at the same instant."""
    steps = vector.values.shape[1]
    values, there = np.full((count, steps), np.nan), np.zeros((count, steps), dtype=bool)
    for row, group in enumerate(groups.tolist()):
        mine = vector.there[row]
        if (there[group] & mine).any():
            raise refusal(vector.labels[row])
        values[group] = np.where(mine, vector.values[row], values[group])
        there[group] |= mine
    return values, there
