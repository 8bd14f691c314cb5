"""How wide a 95 % interval must be at each step, learnt from a backtest's errors. Pure: no Django, no clock."""

from __future__ import annotations

import numpy as np

from capacity.forecasters.base import TINY, Array, moving_mean

LEVEL = 0.95
# The usual error of a step is the mean over its neighbours within this share of the horizon.
SMOOTHED_SHARE = 1 / 2
# Errors of one origin go together, so that few origins are few observations however many steps they have: the 97.5 %
# quantile of Student's t over the normal one, with two degrees of freedom for each origin beyond the first.
FEW_ORIGINS = {1: 6.48, 2: 2.20, 3: 1.42, 4: 1.25, 5: 1.18}
# Without any origin: a width as of one bold guess, in the largest change seen or this share of the largest value.
GUESSED_SHARE = 0.1


def half_widths(errors: Array, horizon: int) -> Array:
    """Half the width at each of `horizon` steps, from errors (origins × tested steps); it never narrows.

    The errors of each step are divided by the step's usual error; the 95 % quantile of these ratios, as in conformal
    prediction, makes the usual error a width. Beyond the tested steps it grows as a random walk's does.
    """
    sizes = np.abs(errors)
    tested = sizes.shape[1]
    usual = np.maximum.accumulate(moving_mean(sizes.mean(axis=0), max(1, int(tested * SMOOTHED_SHARE)))) + TINY
    scale = float(np.quantile(sizes / usual, LEVEL)) * FEW_ORIGINS[min(len(errors), max(FEW_ORIGINS))]
    return np.asarray(scale * _extended(usual, horizon))


def guessed_half_widths(values: Array, horizon: int) -> Array:
    """Half the width at each step where there are too few values to test anything on."""
    change = float(np.abs(np.diff(values)).max(initial=0.0))
    size = max(change, GUESSED_SHARE * float(np.abs(values).max()))
    return np.asarray(FEW_ORIGINS[2] * size * np.sqrt(np.arange(1, horizon + 1)))


def _extended(usual: Array, horizon: int) -> Array:
    steps = np.arange(1, horizon + 1)
    return np.asarray(usual[np.minimum(steps, len(usual)) - 1] * np.sqrt(np.maximum(steps / len(usual), 1)))
