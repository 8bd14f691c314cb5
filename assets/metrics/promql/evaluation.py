"""What an expression is at T instants: one pass over the tree, arrays all the way. Pure: no Django."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from assets.metrics import windows
from assets.metrics.promql import aggregating, functions, histograms, operators, ranges
from assets.metrics.promql.functions import MatchTexts
from assets.metrics.promql.ranges import Ranges
from assets.metrics.promql.syntax import (
    Aggregation,
    Binary,
    Call,
    Expression,
    Negative,
    Number,
    Selector,
    Text,
    children,
)
from assets.metrics.promql.vectors import HourlyWindow, Mask, Vector, Window, nothing, relabelled, without_name
from assets.metrics.samples import Floats, Ints

# Prometheus's mark of a series that has ended (model/value/value.go, StaleNaN).
STALE = np.uint64(0x7FF0000000000002)
# What hourly statistics answer: where in blocks.STATISTICS, and how hours are put together.
_HOURLY = {
    "count_over_time": (0, "sum"),
    "sum_over_time": (1, "sum"),
    "avg_over_time": (1, "sum"),
    "min_over_time": (2, "min"),
    "max_over_time": (3, "max"),
}
_OVER: dict[str, Callable[[Ranges], ranges.Result]] = {
    **{f"{how}_over_time": ranges.aggregated(how) for how in ("avg", "min", "max", "sum", "count", "last", "stddev")},
    **{how: ranges.aggregated(how) for how in ("rate", "increase", "delta")},
    "irate": ranges.last_rate,
    "idelta": ranges.last_step,
    "changes": ranges.changes,
    "resets": ranges.resets,
    "deriv": ranges.slope,
    "present_over_time": ranges.present,
    "absent_over_time": ranges.present,
    "stdvar_over_time": ranges.variance,
}


@dataclass(frozen=True)
class Need:
    """Samples that an expression reads; `hourly` where statistics of whole hours would do as well."""

    selector: Selector
    hourly: bool = False


Data = Mapping[Need, Window | HourlyWindow]
Value = Floats | Vector | Window | str  # a scalar is (T,)


def needs(node: Expression, hourly: bool = False) -> Iterator[Need]:
    """All that has to be read for `node`."""
    if isinstance(node, Selector):
        yield Need(node, hourly)
    by_hour = isinstance(node, Call) and node.function in _HOURLY
    for child in children(node):
        yield from needs(child, by_hour)


@dataclass(frozen=True)
class Evaluation:
    """Instants (ascending milliseconds), how long a sample is good for, and what was read."""

    moments: Ints
    lookback_ms: int
    data: Data
    match: MatchTexts

    def value(self, node: Expression) -> Value:
        """Raises BadQuery where series do not fit together, ranges.TooMuch where windows hold too much."""
        match node:
            case Number():
                return np.full(len(self.moments), node.value)
            case Text():
                return node.value
            case Selector():
                return self._samples(node) if node.range_ms else self._newest(node)[0]
            case Negative():
                return operators.negative(self._operand(node.operand))
            case Binary():
                return operators.apply(node, self._operand(node.left), self._operand(node.right))
            case Aggregation():
                parameter = None if node.parameter is None else self.scalar(node.parameter)
                return aggregating.aggregate(node, self.vector(node.operand), parameter)
            case Call():
                return self._call(node)

    def vector(self, node: Expression) -> Vector:
        found = self.value(node)
        assert isinstance(found, Vector)
        return found

    def scalar(self, node: Expression) -> Floats:
        found = self.value(node)
        assert isinstance(found, np.ndarray)
        return found

    def _operand(self, node: Expression) -> Floats | Vector:
        found = self.value(node)
        assert isinstance(found, Vector | np.ndarray)
        return found

    def _text(self, node: Expression) -> str:
        found = self.value(node)
        assert isinstance(found, str)
        return found

    def _samples(self, node: Selector) -> Window:
        found = self.data[Need(node)]
        assert isinstance(found, Window)
        return found

    def _newest(self, node: Selector) -> tuple[Vector, Floats]:
        """The newest sample of each series at each instant, and when it was taken (seconds)."""
        window = self._samples(node)
        if not len(window.timestamps):
            return nothing(len(self.moments)), np.empty((0, len(self.moments)))
        moments = self.moments - node.offset_ms
        places = windows.positions(window, moments) - 1
        held = np.maximum(places, 0)
        taken = window.timestamps[held]
        there = (places >= window.offsets[:-1, None]) & (taken > moments - self.lookback_ms)
        values = window.values[held]
        there &= ~is_stale(values)
        kept = np.flatnonzero(there.any(axis=1))
        return Vector(window.labels, values, there).take(kept), taken[kept] / 1000

    def _call(self, node: Call) -> Value:
        name, arguments = node.function, node.arguments
        if name in _OVER or name in ("quantile_over_time", "predict_linear"):
            return self._over(node)
        if name in functions.OF_VALUES:
            return functions.of_values(name, self.vector(arguments[0]), [self.scalar(one) for one in arguments[1:]])
        return _CALLS[name](self, arguments)

    def _over(self, node: Call) -> Vector:
        selector = next(one for one in node.arguments if isinstance(one, Selector))
        found = self.data[Need(selector, node.function in _HOURLY)]
        moments = self.moments - selector.offset_ms
        if isinstance(found, HourlyWindow):
            return _hourly(node.function, found, moments, selector.range_ms)
        window = without_stale(found)
        if not len(window.values):
            vector = nothing(len(moments))
        else:
            vector = _kept(
                Vector(window.labels, *self._result(node, selector, Ranges(window, moments, selector.range_ms)))
            )
        if node.function == "absent_over_time":
            return functions.absent(vector, selector)
        return vector if node.function == "last_over_time" else relabelled(vector, without_name)

    def _result(self, node: Call, selector: Selector, parts: Ranges) -> ranges.Result:
        if node.function == "quantile_over_time":
            return ranges.quantile(parts, self.scalar(node.arguments[0]))
        if node.function == "predict_linear":
            # From now on, whatever the offset of what is read.
            return ranges.predicted(parts, self.scalar(node.arguments[1]) + selector.offset_ms / 1000)
        return _OVER[node.function](parts)

    def _ranked(self, node: Expression, descending: bool) -> Vector:
        """Only the answer at one instant has an order."""
        vector = self.vector(node)
        return aggregating.ranked(vector, descending) if len(self.moments) == 1 else vector

    def _timestamp(self, node: Expression) -> Vector:
        if isinstance(node, Selector):
            vector, taken = self._newest(node)
        else:
            vector = self.vector(node)
            taken = np.broadcast_to(self.moments / 1000, vector.values.shape)
        return relabelled(Vector(vector.labels, taken, vector.there), without_name)


_CALLS: dict[str, Callable[[Evaluation, tuple[Expression, ...]], Value]] = {
    "time": lambda self, _: self.moments / 1000,
    "timestamp": lambda self, given: self._timestamp(given[0]),
    "vector": lambda self, given: Vector(
        [{}], self.scalar(given[0])[None, :], np.ones((1, len(self.moments)), dtype=bool)
    ),
    "scalar": lambda self, given: functions.scalar(self.vector(given[0])),
    "absent": lambda self, given: functions.absent(self.vector(given[0]), given[0]),
    "sort": lambda self, given: self._ranked(given[0], False),
    "sort_desc": lambda self, given: self._ranked(given[0], True),
    "histogram_quantile": lambda self, given: histograms.quantile(self.scalar(given[0]), self.vector(given[1])),
    "label_replace": lambda self, given: functions.label_replace(
        self.vector(given[0]), [self._text(one) for one in given[1:]], self.match
    ),
}


def is_stale(values: Floats) -> Mask:
    return np.equal(values.view(np.uint64), STALE)


def without_stale(window: Window) -> Window:
    """The samples that are values: windows pass over the marks of series that ended."""
    kept = ~is_stale(window.values)
    if kept.all():
        return window
    before = np.concatenate([[0], np.cumsum(kept)])
    return Window(window.labels, before[window.offsets], window.timestamps[kept], window.values[kept])


def _kept(vector: Vector) -> Vector:
    rows = vector.there.any(axis=1)
    return vector if rows.all() else vector.take(np.flatnonzero(rows))


def _hourly(function: str, window: HourlyWindow, moments: Ints, range_ms: int) -> Vector:
    """The same function from the statistics of the hours that end in each window."""
    if not len(window.timestamps):
        return nothing(len(moments))

    def put_together(column: int, how: str) -> Floats:
        values = np.ascontiguousarray(window.statistics[:, column])
        columns = Window(window.labels, window.offsets, window.timestamps, values)
        return ranges.aggregated(how)(Ranges(columns, moments, range_ms))[0]

    values = put_together(*_HOURLY[function])
    if function == "avg_over_time":
        values = values / put_together(0, "sum")
    return relabelled(_kept(Vector(window.labels, values, ~np.isnan(values))), without_name)
