"""Ridge autoregression on the last points and the same points of earlier seasons, learnt from the whole history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.forecasters.base import TINY, Array, Forecasters, History, TooShort, lagged, reach_of, recursion, ridge

# Rounds of reweighting that turn least squares into least absolute error: outages and clean-ups teach nothing.
REWEIGHTINGS = 3
# Errors below this share of the median error count alike.
SMALL_ERROR = 0.3
# The last points, each of them a lag; the other lags reach back by seasons.
SHORT = 3


@dataclass(frozen=True)
class Autoregression:
    """Of the values, or of their differences where `differences` is 1; robust fits least absolute errors."""

    differences: int = 0
    penalty: float = 1e-4
    robust: bool = True

    def __call__(self, history: History, horizon: int) -> Array:
        scaled = history.scaled
        series = np.diff(scaled, n=self.differences)
        if len(series) < 8:
            raise TooShort
        centre, spread = float(series.mean()), float(series.std())
        ahead = np.full(horizon, centre)
        if spread > TINY:
            ahead += spread * self._forecast((series - centre) / spread, history.seasons, horizon)
        if self.differences:
            ahead = scaled[-1] + np.cumsum(ahead)
        return history.unscaled(ahead)

    def _forecast(self, series: Array, seasons: tuple[int, ...], horizon: int) -> Array:
        lags = lags_of(seasons, len(series))
        start = int(lags[-1])
        rows = np.ones((len(series) - start, len(lags) + 1))
        rows[:, :-1] = lagged(series, lags, start)
        targets = series[start:]
        weights = ridge(rows, targets, self.penalty)
        for _ in range(REWEIGHTINGS if self.robust else 0):
            missed = np.abs(targets - rows @ weights)
            least = SMALL_ERROR * float(np.median(missed)) + TINY
            weights = ridge(rows, targets, self.penalty, 1 / np.maximum(missed, least))
        return _rolled(series, lags, weights[:-1], float(weights[-1]), horizon)


def lags_of(seasons: tuple[int, ...], length: int) -> npt.NDArray[np.int64]:
    """The last three points and those around one season ago, as far back as enough of the history is left to learn."""
    lags = set(range(1, SHORT + 1))
    for rank, season in enumerate(seasons):
        lags |= {season - 1, season, season + 1}
        if rank == 0:
            lags |= {2 * season, 3 * season, 4 * season} if season <= 12 else {2 * season}
    kept = sorted(lags)
    while len(kept) > SHORT and length - kept[-1] < max(3 * len(kept), length // 4):
        kept.pop()
    return np.array(kept)


def _rolled(series: Array, lags: npt.NDArray[np.int64], weights: Array, constant: float, horizon: int) -> Array:
    """Each value from the ones before it; what seasons ago drives it is known for a block of steps at once."""
    low, high = reach_of(series)
    known = np.concatenate((series, np.zeros(horizon)))
    block = int(lags[SHORT]) if len(lags) > SHORT else horizon
    for begin in range(len(series), len(known), block):
        end = min(begin + block, len(known))
        driven = constant + lagged(known[:end], lags[SHORT:], begin) @ weights[SHORT:]
        known[begin:end] = recursion(known[:begin], weights[:SHORT], driven, low, high)
    return known[len(series) :]


FORECASTERS: Forecasters = {
    "autoregression": Autoregression(),
    "autoregression of changes": Autoregression(differences=1),
    "smooth autoregression": Autoregression(penalty=1e-2, robust=False),
}
