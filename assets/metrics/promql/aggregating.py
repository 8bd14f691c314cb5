"""Aggregations across series: sum, topk and the like, by groups of labels. Pure: NumPy only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assets.metrics.promql.syntax import Aggregation
from assets.metrics.promql.vectors import Labels, Mask, Vector, dropped, grouped, key_of, only
from assets.metrics.samples import Floats, Ints


def aggregate(node: Aggregation, operand: Vector, parameter: Floats | None) -> Vector:
    """One row of each group; of topk and bottomk the rows that are kept. `parameter` is (T,)."""
    if not len(operand.labels):
        return operand
    kept = [_group_labels(node, labels) for labels in operand.labels]
    groups, firsts = grouped(map(key_of, kept))
    if node.function in ("topk", "bottomk"):
        assert parameter is not None
        return _extreme(operand, groups, parameter, node.function == "topk")
    # The rows of each group one after the other.
    order = np.argsort(groups, kind="stable")
    rows = operand.take(order)
    starts = np.searchsorted(groups[order], np.arange(len(firsts)))
    there = np.logical_or.reduceat(rows.there, starts, axis=0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if node.function == "quantile":
            assert parameter is not None
            values = _quantile(rows, starts, parameter)
        else:
            values = _REDUCE[node.function](rows, starts)
    return Vector([kept[first] for first in firsts], values, there)


def _group_labels(node: Aggregation, labels: Labels) -> Labels:
    return dropped(labels, node.labels) if node.without else only(labels, node.labels)


def _filled(rows: Vector, filler: float) -> Floats:
    return np.where(rows.there, rows.values, filler)


def _count(rows: Vector, starts: Ints) -> Floats:
    return np.add.reduceat(rows.there.astype(np.float64), starts, axis=0)


def _sum(rows: Vector, starts: Ints) -> Floats:
    return np.add.reduceat(_filled(rows, 0), starts, axis=0)


def _mean(rows: Vector, starts: Ints) -> Floats:
    return _sum(rows, starts) / _count(rows, starts)


def _variance(rows: Vector, starts: Ints) -> Floats:
    sizes = np.diff(np.append(starts, len(rows.labels)))
    away = _filled(rows, 0) - np.repeat(_mean(rows, starts), sizes, axis=0)
    return np.add.reduceat(np.where(rows.there, away**2, 0), starts, axis=0) / _count(rows, starts)


_REDUCE: dict[str, Callable[[Vector, Ints], Floats]] = {
    "sum": _sum,
    "avg": _mean,
    "count": _count,
    "group": lambda rows, starts: np.ones((len(starts), rows.values.shape[1])),
    # Of values and NaN the values count.
    "min": lambda rows, starts: np.fmin.reduceat(_filled(rows, np.nan), starts, axis=0),
    "max": lambda rows, starts: np.fmax.reduceat(_filled(rows, np.nan), starts, axis=0),
    "stdvar": _variance,
    "stddev": lambda rows, starts: np.sqrt(_variance(rows, starts)),
}


def _quantile(rows: Vector, starts: Ints, q: Floats) -> Floats:
    steps = rows.values.shape[1]
    found = np.full((len(starts), steps), np.nan)
    # What is not there sorts behind everything, NaN before it.
    keys = np.where(rows.there, np.where(np.isnan(rows.values), -np.inf, rows.values), np.inf)
    for group, (begin, end) in enumerate(zip(starts, np.append(starts[1:], len(rows.labels)), strict=True)):
        there, part = rows.there[begin:end], rows.values[begin:end]
        order = np.lexsort((keys[begin:end], ~there), axis=0)
        ordered = np.take_along_axis(part, order, axis=0).T.ravel()
        counts = there.sum(axis=0)
        places = np.arange(steps) * (end - begin)
        full = counts > 0
        found[group, full] = interpolated(ordered, places[full], counts[full], q[full])
    return found


def interpolated(ordered: Floats, starts: Ints, counts: Ints, q: Floats) -> Floats:
    """The q-quantile of each run of ascending values, linear between neighbours; below 0 is -Inf, above 1 +Inf."""
    with np.errstate(invalid="ignore"):
        rank = np.where(np.isfinite(q), q, 0) * (counts - 1)
        low = np.clip(np.floor(rank), 0, counts - 1).astype(np.int64)
        high = np.minimum(low + 1, counts - 1)
        weight = rank - np.floor(rank)
        found = np.where(
            weight > 0, ordered[starts + low] * (1 - weight) + ordered[starts + high] * weight, ordered[starts + low]
        )
    return np.select([np.isnan(q), q < 0, q > 1], [np.nan, -np.inf, np.inf], found)


def _extreme(operand: Vector, groups: Ints, parameter: Floats, largest: bool) -> Vector:
    """The k largest (or smallest) of each group at each instant; rows that are never among them are left out.

    At a single instant the rows are in the order of their values.
    """
    rank = _ranks(operand, groups, largest)
    wanted = np.where(np.isfinite(parameter), np.minimum(parameter, len(groups)), 0).astype(np.int64)
    there = operand.there & (rank < wanted)
    rows = np.flatnonzero(there.any(axis=1))
    if operand.values.shape[1] == 1:
        rows = rows[np.lexsort((rank[rows, 0], groups[rows]))]
    return Vector([operand.labels[row] for row in rows.tolist()], operand.values[rows], there[rows])


def _ranks(operand: Vector, groups: Ints, largest: bool) -> Ints:
    """The place of each value in its group at its instant; NaN and what is not there come last."""
    signed = -operand.values if largest else operand.values
    missing = np.where(operand.there, np.isnan(operand.values).astype(np.int64), 2)
    order = _sorted_rows(signed, missing, groups)
    sorted_groups = groups[order]
    starts = np.searchsorted(sorted_groups[:, 0], np.arange(groups.max() + 1))
    rank = np.empty_like(order)
    places = np.arange(len(groups))[:, None] - starts[sorted_groups]
    np.put_along_axis(rank, order, places, axis=0)
    return rank


def _sorted_rows(signed: Floats, missing: Ints, groups: Ints) -> Ints:
    owner = np.broadcast_to(groups[:, None], signed.shape)
    return np.lexsort((np.where(np.isnan(signed), np.inf, signed), missing, owner), axis=0)


def ranked(vector: Vector, descending: bool) -> Vector:
    """The rows in the order of their values at a single instant, NaN last."""
    keys = -vector.values[:, 0] if descending else vector.values[:, 0]
    return vector.take(np.argsort(keys, kind="stable"))


def any_of(mask: Mask, groups: Ints, count: int) -> Mask:
    """(count, T): whether any row of each group is set."""
    found = np.zeros((count, mask.shape[1]), dtype=bool)
    np.logical_or.at(found, groups, mask)
    return found
