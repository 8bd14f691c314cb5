"""An evenly spaced history without gaps, out of what was measured. Pure: no Django, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.forecasters.base import Array, History

_UNITS = {"s": 1, "min": 60, "h": 3600, "D": 86_400, "W": 604_800}
_FREQUENCY = re.compile(r"(\d{0,6})(s|min|h|D|W)")
DAY, WEEK, YEAR = 86_400, 604_800, 31_557_600
# A season that is no whole number of steps counts as one where it is off by less than this share of itself.
SEASON_TOLERANCE = 0.005
# What is older tells little of the days to come and costs time.
MOST_POINTS = 4_096
# With fewer measured points than this share of the steps, `freq` is hardly the spacing of the series.
LEAST_MEASURED = 0.02


@dataclass(frozen=True)
class Spaced:
    """The history and what had to be done to it, in words for people."""

    history: History
    notes: tuple[str, ...]


def step_seconds(freq: str) -> int:
    """Seconds of a step such as "h", "D", "W" or "30min"."""
    match = _FREQUENCY.fullmatch(freq)
    step = int(match[1] or 1) * _UNITS[match[2]] if match else 0
    if not step:
        raise ValueError(f"freq is {freq!r}; give a number and a unit of s, min, h, D, W, such as '30min', 'h' or 'D'")
    return step


def seasons_of(step: int) -> tuple[int, ...]:
    """Day, week and year in steps, where they are whole numbers of at least two steps."""
    lengths = {round(season / step): season / step for season in (DAY, WEEK, YEAR)}
    return tuple(
        whole
        for whole, exact in lengths.items()
        if 1 < whole <= MOST_POINTS and abs(whole - exact) < SEASON_TOLERANCE * exact
    )


def spaced(timestamps: npt.ArrayLike, values: npt.ArrayLike, freq: str) -> Spaced:
    """One value a step, ending at the last timestamp; ValueError says what to send instead.

    Values of the same step are averaged. A gap is filled on a straight line between what is left of its neighbours
    without their place in the season, and told; values that are not finite are gaps.
    """
    step = step_seconds(freq)
    times, measured, end = _checked(timestamps, values)
    back = np.rint((end - times) / step).astype(np.int64)
    known = back < MOST_POINTS
    if not known.any():
        raise ValueError(f"the last {MOST_POINTS} steps of {freq} have no value; give values up to the last timestamp")
    gridded, counts = _gridded(back[known], measured[known])
    if len(gridded) > 50 and np.count_nonzero(counts) < LEAST_MEASURED * len(gridded):
        raise ValueError(
            f"{np.count_nonzero(counts)} values for {len(gridded)} steps of {freq}; "
            "give timestamps in seconds and a freq near their spacing"
        )
    notes = []
    if counts.max() > 1 or not np.allclose((end - times) / step, back, atol=0.01):
        notes.append(f"uneven values were averaged into steps of {freq}")
    missing = int(np.count_nonzero(counts == 0))
    seasons = seasons_of(step)
    if missing:
        notes.append(f"{missing} of {len(gridded)} steps had no value and were filled in")
        gridded = filled(gridded, seasons)
    return Spaced(History(gridded, seasons), tuple(notes))


def _checked(timestamps: npt.ArrayLike, values: npt.ArrayLike) -> tuple[Array, Array, float]:
    """Times and values that are numbers, in order of time, and the last timestamp of all."""
    times, measured = np.asarray(timestamps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.shape != measured.shape:
        raise ValueError(
            f"timestamps {times.shape} and values {measured.shape}: give two flat lists of the same length"
        )
    if not np.isfinite(times).all():
        raise ValueError("a timestamp is not a number; give epoch seconds")
    finite = np.isfinite(measured)
    if not finite.any():
        raise ValueError("there is no value; give at least one that is a number")
    order = np.argsort(times[finite], kind="stable")
    return times[finite][order], measured[finite][order], float(times.max())


def _gridded(back: npt.NDArray[np.int64], measured: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """The mean of each step, oldest first (NaN: none), and the number of its values."""
    length = int(back.max()) + 1
    counts = np.bincount(back, minlength=length)
    sums = np.bincount(back, weights=measured, minlength=length)
    means = np.divide(sums, counts, out=np.full(length, np.nan), where=counts > 0)
    return means[::-1], counts[::-1]


def filled(values: Array, seasons: tuple[int, ...]) -> Array:
    """Gaps (NaN) filled in from their neighbours and the usual value at their place of the season."""
    usual = np.zeros(len(values))
    for season in seasons[:2]:
        if len(values) >= 2 * season:
            places = np.arange(len(values)) % season
            rest = values - usual
            usual += np.array([_median(rest[place::season]) for place in range(season)])[places]
    known = np.flatnonzero(np.isfinite(values))
    rest = np.interp(np.arange(len(values)), known, (values - usual)[known])
    return np.where(np.isfinite(values), values, rest + usual)


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0
