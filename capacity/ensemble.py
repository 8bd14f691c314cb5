"""One forecast out of several, each weighed by its errors in a backtest. Pure: no Django, no clock."""

from __future__ import annotations

import numpy as np

from capacity.backtest import Backtest
from capacity.forecasters.base import TINY, Array

# The weight is the relative error to this power: the better of two that differ by a fifth counts twice.
SHARPNESS = 4.0
# One origin cannot condemn or crown a forecaster alone.
WORST, BEST = 10.0, 0.02
# The relative error of a forecaster that had too little history at every origin.
UNTESTED = 1.2


def weigh(backtest: Backtest) -> dict[str, float]:
    """Weights that sum to 1, by mean absolute error relative to the median forecaster of each origin.

    Where there is no origin all weigh the same. At least one forecaster must have said something at each origin.
    """
    names = list(backtest.forecasts)
    if not backtest.origins:
        return dict.fromkeys(names, 1 / len(names))
    said = np.array([backtest.forecasts[name] for name in names])
    errors = np.abs(said - backtest.actual).mean(axis=2)
    usual = np.nanmedian(errors, axis=0) + TINY + 1e-9 * np.abs(backtest.actual).mean()
    relative = np.minimum(errors / usual, WORST)
    tested = np.isfinite(relative)
    counts = tested.sum(axis=1)
    means = np.where(counts, np.where(tested, relative, 0).sum(axis=1) / np.maximum(counts, 1), UNTESTED)
    weights = np.maximum(means, BEST) ** -SHARPNESS
    return dict(zip(names, (weights / weights.sum()).tolist(), strict=True))


def combine(forecasts: Array, weights: Array) -> Array:
    """The weighted median of forecasts (forecasters × points) at each point; NaN rows count for nothing.

    A median, not a mean: one that runs away moves nothing, however it was weighed.
    """
    weights = np.where(np.isfinite(forecasts), weights[:, None], 0)
    order = np.argsort(forecasts, axis=0, kind="stable")
    sums = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    middle = (sums >= sums[-1] / 2).argmax(axis=0)
    return np.asarray(np.take_along_axis(np.take_along_axis(forecasts, order, axis=0), middle[None], axis=0)[0])
