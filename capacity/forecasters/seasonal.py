"""Seasons: the last value, the last season, the usual season, and a smoothed level with drift under the seasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.forecasters.base import Array, Forecasters, History, TooShort

# Shares by which a level follows each new point; the one with the least error a step ahead is used.
SMOOTHING = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0])
SMOOTHED_POINTS = 128
# How much each value counts in each later level: smoothings × levels × values.
_AGES = np.subtract.outer(np.arange(SMOOTHED_POINTS), np.arange(SMOOTHED_POINTS))
KERNELS = np.where(_AGES >= 0, SMOOTHING[:, None, None] * (1 - SMOOTHING[:, None, None]) ** np.maximum(_AGES, 0), 0.0)


def last_value(history: History, horizon: int) -> Array:
    return np.full(horizon, history.values[-1])


@dataclass(frozen=True)
class Usual:
    """The median of the last `rounds` values at the same place of the season of this `rank` (0: the shortest)."""

    rank: int
    rounds: int

    def __call__(self, history: History, horizon: int) -> Array:
        if len(history.seasons) <= self.rank or len(history) < history.seasons[self.rank]:
            raise TooShort
        season = history.seasons[self.rank]
        rounds = min(self.rounds, len(history) // season)
        table = history.values[len(history) - rounds * season :].reshape(rounds, season)
        return np.resize(np.median(table, axis=0), horizon)


def smoothed(history: History, horizon: int) -> Array:
    """Half the drift from an exponentially smoothed level (the theta method of Assimakopoulos and Nikolopoulos)."""
    adjusted = history.adjusted
    if len(adjusted) < 2:
        raise TooShort
    drift = np.polyfit(np.arange(len(adjusted)), adjusted, 1)[0]
    ahead = smoothed_level(adjusted) + drift / 2 * np.arange(1, horizon + 1)
    return history.unscaled(ahead + history.seasonal(horizon))


def smoothed_level(values: Array) -> float:
    """The level after at most SMOOTHED_POINTS values, for the smoothing that would have erred least a step ahead."""
    recent = values[-SMOOTHED_POINTS:]
    count = len(recent)
    begin = recent[:5].mean()
    levels = begin + KERNELS[:, :count, :count] @ (recent - begin)
    missed = np.abs(levels[:, :-1] - recent[1:]).sum(axis=1)
    return float(levels[missed.argmin(), -1])


FORECASTERS: Forecasters = {
    "last season": Usual(rank=0, rounds=1),
    "last long season": Usual(rank=1, rounds=1),
    "usual long season": Usual(rank=1, rounds=4),
    "smoothed level": smoothed,
}
