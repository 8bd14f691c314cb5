"""Forecasts of a series: its values to come, with intervals that a backtest has calibrated. Pure: no Django, no clock.

1. What was measured is spaced evenly and its gaps filled (`spacing`).
2. Every forecaster of the method forecasts from several points of the past (`backtest`).
3. Each is weighed by its errors there; the weighted median is the forecast (`ensemble`).
4. The errors that this median made there give the interval, step by step (`intervals`).
5. Bounds that the series cannot leave hold the forecast and its interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from capacity import backtest, ensemble, intervals
from capacity.backtest import Backtest
from capacity.forecasters import METHODS
from capacity.forecasters.base import Array, Forecasters, History
from capacity.spacing import spaced

MOST_STEPS = 10_000
# With fewer tested origins the interval is at least as wide as without any.
LEAST_ORIGINS = 3


@dataclass(frozen=True)
class Accuracy:
    """Of the backtest: `mase` in mean seasonal changes, `smape` in percent, `owa` relative to Naive2.

    `coverage` is the share of values inside the interval that the rest of the backtest gives, 0 to 1.
    """

    mase: float
    smape: float
    owa: float
    coverage: float | None


@dataclass(frozen=True)
class Forecast:
    """`mean`, `lo95` and `hi95` have one value a step; `accuracy` is None where there was too little to test."""

    mean: Array
    lo95: Array
    hi95: Array
    weights: dict[str, float]
    accuracy: Accuracy | None
    notes: tuple[str, ...]


def forecast(
    timestamps: npt.ArrayLike, values: npt.ArrayLike, horizon: int, freq: str, method: str = "auto"
) -> dict[str, Array]:
    """The next `horizon` values as arrays `mean`, `lo95` and `hi95`."""
    made = predict(timestamps, values, horizon, freq, method)
    return {"mean": made.mean, "lo95": made.lo95, "hi95": made.hi95}


def predict(
    timestamps: npt.ArrayLike,
    values: npt.ArrayLike,
    horizon: int,
    freq: str,
    method: str = "auto",
    lower: float | None = None,
    upper: float | None = None,
) -> Forecast:
    """The next `horizon` values after the last timestamp, one a step of `freq`.

    `timestamps` are epoch seconds in any order, `values` as many numbers (NaN: a gap), `freq` a step such as "h", "D"
    or "30min", `method` a name of METHODS; nothing forecast is below `lower` or above `upper`. The same input has the
    same answer. ValueError says what to send instead.
    """
    if not 1 <= horizon <= MOST_STEPS:
        raise ValueError(f"horizon is {horizon}; give 1 to {MOST_STEPS} steps")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose from {', '.join(METHODS)}")
    if lower is not None and upper is not None and lower >= upper:
        raise ValueError(f"lower {lower} is not below upper {upper}; give the least and the greatest possible value")
    even = spaced(timestamps, values, freq)
    # In shares of the largest value, so that neither 1e-300 nor 1e300 leaves the numbers' range on the way.
    size = float(np.abs(even.history.values).max()) or 1.0
    made = _predicted(History(even.history.values / size, even.history.seasons), METHODS[method], horizon)
    made = replace(made, mean=made.mean * size, lo95=made.lo95 * size, hi95=made.hi95 * size)
    return _bounded(replace(made, notes=even.notes + made.notes), lower, upper)


def _predicted(history: History, forecasters: Forecasters, horizon: int) -> Forecast:
    tested = backtest.run(history, forecasters, horizon)
    weights = ensemble.weigh(tested)
    shares = np.array(list(weights.values()))
    mean = ensemble.combine(np.array([backtest.said(one, history, horizon) for one in forecasters.values()]), shares)
    if not tested.origins:
        half = intervals.guessed_half_widths(history.values, horizon)
        note = f"only {len(history)} values: too few to test a forecast on, so that its interval is a wide guess"
        return Forecast(mean, mean - half, mean + half, weights, None, (note,))
    past = np.array([ensemble.combine(said, shares) for said in tested.by_origin()])
    half = intervals.half_widths(past - tested.actual, horizon)
    if len(tested.origins) < LEAST_ORIGINS:
        half = np.maximum(half, intervals.guessed_half_widths(history.values, horizon))
    return Forecast(mean, mean - half, mean + half, weights, _accuracy(history, tested, past), _notes(tested, horizon))


def _accuracy(history: History, tested: Backtest, past: Array) -> Accuracy:
    references = np.array([backtest.naive2(history.until(origin), tested.horizon) for origin in tested.origins])
    return Accuracy(
        mase=backtest.mase(tested.actual, past, history.values, history.season),
        smape=backtest.smape(tested.actual, past),
        owa=backtest.owa(tested.actual, past, references),
        coverage=_coverage(past - tested.actual),
    )


def _coverage(errors: Array) -> float | None:
    """The share of each origin's errors within the interval that the other origins give; None for a single one."""
    if len(errors) < 2:
        return None
    others = [np.delete(errors, i, axis=0) for i in range(len(errors))]
    inside = [np.abs(own) <= intervals.half_widths(other, len(own)) for own, other in zip(errors, others, strict=True)]
    return float(np.mean(inside))


def _notes(tested: Backtest, horizon: int) -> tuple[str, ...]:
    notes = []
    if len(tested.origins) < backtest.ORIGINS:
        notes.append(f"short history: tested from {len(tested.origins)} moments only, so that the interval is widened")
    if tested.horizon < horizon:
        notes.append(f"tested {tested.horizon} of {horizon} steps ahead; beyond them the interval is extrapolated")
    return tuple(notes)


def _bounded(made: Forecast, lower: float | None, upper: float | None) -> Forecast:
    if lower is None and upper is None:
        return made
    return replace(
        made,
        mean=np.clip(made.mean, lower, upper),
        lo95=np.clip(made.lo95, lower, upper),
        hi95=np.clip(made.hi95, lower, upper),
    )
