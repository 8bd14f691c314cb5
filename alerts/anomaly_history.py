"""Anomaly rules over stored history: what was expected at each instant, and what would have been unusual.

As an evaluation at that instant would have said it, by the same bands and the same detector, with nothing later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts import defined_baselines, learning, readings
from alerts.anomaly import Detector
from alerts.anomaly.bands import DAY, HOUR_MS, Band, Surprises, expected
from alerts.anomaly.fleet import KEPT, filled
from alerts.anomaly_rules import Question
from alerts.learning import HOLDS, SETTLES, STEP_MS, Floats
from assets.metrics.samples import Series
from assets.metrics.windows import Grid

_SETTLES_MS = int(SETTLES.total_seconds() * 1000)

_POINTS_DRAWN = 600


@dataclass(frozen=True)
class History:
    """(n, S) of n series at S instants: the values, the band, and which are unusual."""

    values: Floats
    band: Band
    unusual: NDArray[np.bool_]


def points(series: int, grid: Grid) -> int:
    """How many points the detector is given for `of_series`."""
    return series * (KEPT + len(grid) * grid.step_ms // STEP_MS)


def of_series(question: Question, series: Sequence[Series], grid: Grid) -> History:
    values = readings.over_grid(question.conditions[0], list(series), grid)
    band, ready = expectation(question, series, grid)
    told, asked = _surprises(question, series, grid), question.asked
    unusual = band.unusual(values, told, asked.sensitivity, asked.direction) & ready & ~np.isnan(values)
    return History(values, band, unusual)


def drawn(question: Question, series: Series, start: datetime, end: datetime) -> dict[str, Any]:
    """One series as a chart: {span: [ms, ms], series: [{label, unit, points: [[ms, value]]}], bands: [{label, points:
    [[ms, from, to]]}]}; an end of the band that is open is null."""
    from_ms, until_ms = (int(one.timestamp() * 1000) for one in (start, end))
    step_ms = max((until_ms - from_ms) // _POINTS_DRAWN // 60_000, 1) * 60_000
    grid = Grid(-(-from_ms // step_ms) * step_ms, until_ms // step_ms * step_ms, step_ms, 1)
    if not len(grid):
        return {"span": [from_ms, until_ms], "series": [], "bands": []}
    values = readings.over_grid(question.conditions[0], [series], grid)[0]
    band, ready = expectation(question, [series], grid)
    times = grid.instants().tolist()
    unit = series.metric_unit + ("/s" if series.metric_type == "counter" else "")
    points = [[at, value] for at, value in zip(times, values.tolist(), strict=True) if not math.isnan(value)]
    ends = [np.where(ready, one, np.nan)[0].tolist() for one in (band.lower, band.upper)]
    edges = [
        [at, *(one if math.isfinite(one) else None for one in (low, high))]
        for at, low, high in zip(times, *ends, strict=True)
        if not (math.isnan(low) and math.isnan(high))
    ]
    return {
        "span": [from_ms, until_ms],
        "series": [{"label": series.title(), "unit": unit, "points": points}],
        "bands": [{"label": "Expected", "points": edges}],
    }


def expectation(question: Question, series: Sequence[Series], grid: Grid) -> tuple[Band, NDArray[np.bool_]]:
    """(n, S) What was expected, and where the series was known for long enough; three statements."""
    asked, condition = question.asked, question.conditions[0]
    hour_of = (grid.instants() - _SETTLES_MS) // HOUR_MS
    width = (asked.baseline_days + 1) * DAY
    last = int(hour_of[-1]) - 1
    hours = learning.read_hours(list(series), last, last - int(hour_of[0]) + 1 + width)
    rows = defined_baselines.of_metric(asked.metric_name, {one.asset_id for one in series})
    tables, ready = np.full((4, len(series), len(grid)), np.nan), np.zeros((len(series), len(grid)), dtype=bool)
    for hour in np.unique(hour_of).tolist():
        known = hours.until(hour - 1, width)
        band = expected(known, condition.aggregation, asked.sensitivity, condition.time_window)
        now = datetime.fromtimestamp(hour * HOUR_MS / 1000, UTC)
        long_enough = known.days() >= asked.baseline_days
        band, is_ready = defined_baselines.applied(rows, band, long_enough, series, asked.sensitivity, now)
        here = hour_of == hour
        tables[:, :, here] = np.array([band.lower, band.expected, band.upper, band.within])[:, :, None]
        ready[:, here] = is_ready[:, None]
    return Band(*tables), ready


def _surprises(question: Question, series: Sequence[Series], grid: Grid) -> Surprises:
    """(n, S) What the detector had said when each instant was evaluated, and not longer ago than it is told."""
    end_ms = (grid.end_ms - _SETTLES_MS) // STEP_MS * STEP_MS
    steps = Grid(grid.start_ms // STEP_MS * STEP_MS - KEPT * STEP_MS, end_ms, STEP_MS, STEP_MS)
    given = readings.over_grid(learning.condition_at(question.conditions[0]), list(series), steps)
    scores = np.array([Detector().update(steps.instants() / 1000, one) for one in filled(given)]).reshape(given.shape)
    scores[np.isnan(given)] = 0.0
    newest = (grid.instants() - _SETTLES_MS - steps.start_ms) // STEP_MS
    holds = max(HOLDS, timedelta(seconds=question.rule.evaluation_frequency))
    score, value = np.zeros((len(series), len(grid))), np.full((len(series), len(grid)), np.nan)
    for ago in range(holds // timedelta(milliseconds=STEP_MS) + 1):
        at = np.maximum(newest - ago, 0)
        lasts = steps.instants()[at] > grid.instants() - int(holds.total_seconds() * 1000)
        higher = lasts & (scores[:, at] > score)
        score, value = np.where(higher, scores[:, at], score), np.where(higher, given[:, at], value)
    return Surprises(score, value)
