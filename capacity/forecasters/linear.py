"""Robust trends: the median slope through the history without its seasons, from where the series is now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.forecasters.base import Array, Forecasters, History, TooShort

# The slope is the median over all pairs of this many medians of neighbouring points (Theil, Sen), never of all points.
BLOCKS = 64
# A window in points where the series has no season to count in.
POINTS_PER_SEASON = 7


@dataclass(frozen=True)
class Trend:
    """A line through the last `window` seasons (None: all), from the level of the latest half season.

    In the unit of the values where `plain`: a disk fills by so much a day, and in logarithms it would run away.
    """

    window: int | None = None
    plain: bool = True

    def __call__(self, history: History, horizon: int) -> Array:
        history = history.plain if self.plain else history
        season = history.season if history.season > 1 else POINTS_PER_SEASON
        recent = history.adjusted if self.window is None else history.adjusted[-self.window * season :]
        slope = robust_slope(recent)
        latest = min(len(recent), max(1, history.season // 2))
        level = float(np.median(recent[-latest:] - slope * np.arange(1 - latest, 1)))
        return history.unscaled(level + slope * np.arange(1, horizon + 1) + history.seasonal(horizon))


def robust_slope(values: Array) -> float:
    """The median of the slopes between all pairs of (medians of) points, per point."""
    if len(values) < 2:
        raise TooShort
    size = -(-len(values) // BLOCKS)
    count = len(values) // size
    blocks = np.median(values[len(values) - count * size :].reshape(count, size), axis=1)
    early, late = np.triu_indices(count, 1)
    return float(np.median((blocks[late] - blocks[early]) / (late - early)) / size)


FORECASTERS: Forecasters = {
    "trend": Trend(),
    "recent trend": Trend(14, plain=False),
}
