"""What every forecaster is given and gives, and the arithmetic that they share. Pure: no Django, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import mul
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
TINY = 1e-12
# How far beyond the span of its history, in spans, a forecast may go at once; it may go on as far as history came.
REACH = 0.5
# With fewer rounds of a season its median figure would mostly be noise.
SEASONS_NEEDED = 3


class TooShort(Exception):
    """This forecaster cannot say anything from so little history; another one can."""


@dataclass(frozen=True)
class History:
    """Evenly spaced values without gaps, oldest first, and the lengths of their seasons in points, shortest first."""

    values: Array
    seasons: tuple[int, ...] = ()
    logarithms: bool = True

    def __len__(self) -> int:
        return len(self.values)

    @property
    def season(self) -> int:
        """The shortest season in points; 1 where there is none."""
        return self.seasons[0] if self.seasons else 1

    @cached_property
    def plain(self) -> History:
        """The same history never taken in logarithms: what fills up by the day is a sum."""
        return History(self.values, self.seasons, logarithms=False)

    def until(self, origin: int) -> History:
        return History(self.values[:origin], self.seasons, self.logarithms)

    @cached_property
    def in_logarithms(self) -> bool:
        return self.logarithms and bool(self.values.min() > 0)

    @cached_property
    def scaled(self) -> Array:
        """Logarithms where every value is positive: the growth and seasons of most load are multiples, not sums."""
        return np.log(self.values) if self.in_logarithms else self.values

    def unscaled(self, scaled: Array) -> Array:
        """Back to the unit of the values, held within reach of what the series has ever done.

        What is positive stays positive, and growth by a factor does not go on for ever: upwards it is held in the
        unit of the values, not in logarithms.
        """
        reach = REACH + np.arange(1, len(scaled) + 1) / len(self)
        low, high = float(self.scaled.min()), float(self.scaled.max())
        held = np.clip(scaled, low - (high - low) * reach, high + (high - low) * reach)
        if not self.in_logarithms:
            return held
        least, most = float(self.values.min()), float(self.values.max())
        return np.asarray(np.minimum(np.exp(held), most + (most - least) * reach))

    @cached_property
    def adjusted(self) -> Array:
        """`scaled` without its seasons."""
        return self._decomposed[0]

    def seasonal(self, horizon: int) -> Array:
        """What the seasons add to `adjusted` in each of the next `horizon` points."""
        steps = np.arange(horizon)
        return sum((figure[steps % len(figure)] for figure in self._decomposed[1]), np.zeros(horizon))

    @cached_property
    def _decomposed(self) -> tuple[Array, list[Array]]:
        rest, figures = self.scaled, []
        for season in self.seasons:
            if len(rest) >= SEASONS_NEEDED * season:
                figure = seasonal_figure(rest, season)
                rest = rest - figure[(np.arange(len(rest)) - len(rest)) % season]
                figures.append(figure)
        return rest, figures


class Forecaster(Protocol):
    """The next `horizon` values of a history: finite, deterministic; raises TooShort where it cannot say."""

    def __call__(self, history: History, horizon: int, /) -> Array: ...


Forecasters = dict[str, Forecaster]


def seasonal_figure(values: Array, season: int) -> Array:
    """Median departure from the moving mean at each place of the season; the first belongs to the next point."""
    rounds = len(values) // season
    departures = (values - moving_mean(values, season))[len(values) - rounds * season :]
    figure: Array = np.median(departures.reshape(rounds, season), axis=0)
    figure -= figure.mean()
    return figure


def moving_mean(values: Array, width: int) -> Array:
    """The mean of the `width` points around each point, of the first or last `width` at the ends."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    starts = np.clip(np.arange(len(values)) - width // 2, 0, len(values) - width)
    return np.asarray((sums[starts + width] - sums[starts]) / width)


def lagged(values: Array, lags: npt.NDArray[np.int64], start: int) -> Array:
    """Row i holds the values `lags` points before point `start + i`; every lag is at most `start`."""
    return np.asarray(values[np.arange(start, len(values))[:, None] - lags])


def ridge(rows: Array, targets: Array, penalty: float, weights: Array | None = None) -> Array:
    """Coefficients of a (weighted) least-squares fit, drawn towards zero by a share of the rows' mean square."""
    weighted = rows if weights is None else rows * weights[:, None]
    gram = weighted.T @ rows
    gram.flat[:: len(gram) + 1] += penalty * (np.trace(gram) / len(gram)) + TINY
    return np.asarray(np.linalg.solve(gram, weighted.T @ targets))


def recursion(recent: Array, weights: Array, driven: Array, low: float, high: float) -> Array:
    """Each next value is what drives it plus `weights` of the values before it, latest first.

    All are held between `low` and `high`, so that an unstable recursion cannot run away. Plain floats: an array of
    three or five is slower at every step.
    """
    shares = weights.tolist()
    last = recent[: -len(shares) - 1 : -1].tolist()
    values = []
    for drive in driven.tolist():
        value = min(max(drive + sum(map(mul, shares, last)), low), high)
        values.append(value)
        last.insert(0, value)
        last.pop()
    return np.array(values)


def reach_of(series: Array) -> tuple[float, float]:
    """The bounds of a recursion over standardised values: one standard deviation around all that was seen."""
    return float(series.min()) - 1, float(series.max()) + 1
