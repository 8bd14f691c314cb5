"""A query from its tree to its answer: what to read, the evaluation, and how its type is written."""

from __future__ import annotations

import numpy as np

from assets.metrics.promql import answers, checking, reading
from assets.metrics.promql.evaluation import Evaluation, Value, needs
from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.ranges import TooMuch
from assets.metrics.promql.selecting import match_texts
from assets.metrics.promql.syntax import SCALAR, VECTOR, Expression
from assets.metrics.promql.vectors import Vector, Window
from assets.metrics.samples import Ints
from wedsync_monitor.policy import Person


class Failed(Exception):
    """A well-formed query whose series do not fit together."""


def at(person: Person, expression: Expression, moment: int, lookback_ms: int) -> bytes:
    """The result at one instant, as JSON. Raises BadQuery, TooMuch, Failed."""
    found = _evaluated(person, expression, np.array([moment], dtype=np.int64), lookback_ms)
    if isinstance(found, Vector):
        return answers.instant(found, moment)
    if isinstance(found, Window):
        return answers.samples(found)
    return answers.text(found, moment) if isinstance(found, str) else answers.scalar(float(found[0]), moment)


def over(person: Person, expression: Expression, moments: Ints, lookback_ms: int) -> bytes:
    """The results at many instants, as JSON. Raises BadQuery, TooMuch, Failed."""
    kind = checking.type_of(expression)
    if kind not in (SCALAR, VECTOR):
        raise BadQuery(f'invalid expression type "{kind}" for range query, must be scalar or instant vector')
    found = _evaluated(person, expression, moments, lookback_ms)
    if isinstance(found, Vector):
        return answers.matrix(found, moments)
    assert isinstance(found, np.ndarray)
    return answers.scalar_matrix(found, moments)


def _evaluated(person: Person, expression: Expression, moments: Ints, lookback_ms: int) -> Value:
    data = reading.read(person, list(needs(expression)), moments, lookback_ms)
    try:
        return Evaluation(moments, lookback_ms, data, match_texts).value(expression)
    except TooMuch:
        raise
    except BadQuery as error:
        raise Failed(str(error)) from error
