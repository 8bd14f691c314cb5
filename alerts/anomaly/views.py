"""Simple views of a stream, each of which says in its own way how unusual the newest point is.

Every view looks at the point and at a bounded stretch before it, never after it, and is turned both ways, so that a
value that is too low is a high value of the view that looks down.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAY_SECONDS = 86_400.0
# Points that a view of the shape may look back.
REACH = 48
# Points that are kept for the comparison with earlier days: a week at one a minute.
KEPT = 12_288

RECENT = 40
LEVELS = (6, 24)
RESTLESS = 24
# How many points are averaged before they are compared with earlier days, and how far (in points) the time of day may
# be off there.
SEASONAL = ((1, 3), (6, 6), (24, 6))
# A value is unusual for its time of day where it is outside what the last two days and the same day a week ago have
# seen. The week only widens the band, so it need not have passed yet.
NEEDED_DAYS = (1, 2)
WIDENING_DAYS = (7,)
# In streams that are slower than every few minutes, it may be off so far instead.
NEAR_SECONDS = 3_600.0
# A time of day is not known where the nearest point is further away than this.
PHASE_SECONDS = 5_400.0

# Points that each view spans, in the order of `Views.following`.
SPANS: NDArray[np.int64] = np.repeat(
    [1, 1, RECENT, *np.repeat(LEVELS, 2), RESTLESS, RESTLESS, *(span for span, _ in SEASONAL)], 2
)


@dataclass
class Views:
    """The views of one stream, and the stretch of it that the next points are compared with."""

    times: Floats = field(default_factory=lambda: np.empty(0))
    # Per point the means that SEASONAL asks for; the first is the value itself.
    means: Floats = field(default_factory=lambda: np.empty((0, len(SEASONAL))))

    def following(self, times: Floats, values: Floats) -> Floats:
        """The views of the next points, shape (len(SPANS), points); NaN where a view has not enough before it."""
        before = self.means[-REACH:, 0]
        stream = np.concatenate((np.full(REACH - len(before), np.nan), before, values))
        with np.errstate(over="ignore", invalid="ignore"):
            pairs = [(view, -view) for view in shapes(stream)] + self._seasonal(times, stream)
        views = np.array([view for pair in pairs for view in pair])
        return np.where(np.isfinite(views), views, np.nan)

    def _seasonal(self, times: Floats, stream: Floats) -> list[tuple[Floats, Floats]]:
        """How far each mean is above and below the band of the same time on earlier days; the stretch moves on."""
        points = len(times)
        means = np.column_stack([rolling(stream, span, points).mean(axis=1) for span, _ in SEASONAL])
        self.times = np.concatenate((self.times, times))
        self.means = np.concatenate((self.means, means))
        found = [self._outside(points, column, reach) for column, (_, reach) in enumerate(SEASONAL)]
        self.times, self.means = self.times[-KEPT:], self.means[-KEPT:]
        return found

    def _outside(self, points: int, column: int, reach: int) -> tuple[Floats, Floats]:
        """The last `points` of one mean against earlier days; NaN where a needed day is not known."""
        own = np.arange(len(self.times) - points, len(self.times))
        low, high = np.full(points, np.inf), np.full(points, -np.inf)
        known = np.ones(points, dtype=bool)
        for days in (*NEEDED_DAYS, *WIDENING_DAYS):
            band, there = self._same_time(own, days, column, reach)
            low = np.where(there, np.minimum(low, band.min(axis=1)), low)
            high = np.where(there, np.maximum(high, band.max(axis=1)), high)
            known &= there | (days not in NEEDED_DAYS)
        mean = self.means[own, column]
        above = np.where(known, np.maximum(mean - high, 0.0), np.nan)
        below = np.where(known, np.maximum(low - mean, 0.0), np.nan)
        return above, below

    def _same_time(self, own: NDArray[np.intp], days: int, column: int, reach: int) -> tuple[Floats, NDArray[np.bool_]]:
        """A mean around the same time of day `days` ago, shape (points, 2·reach + 1), and where it is known."""
        wanted = self.times[own] - days * DAY_SECONDS
        near = np.searchsorted(self.times, wanted)[:, None] + np.arange(-reach, reach + 1)
        # No further back than KEPT, however many points are looked at together, and never the point itself.
        there = (near[:, 0] >= np.maximum(0, own - KEPT + 1)) & (near[:, -1] < own)
        near[~there] = 0
        nearest = near[:, reach, None]
        near = np.where(np.abs(self.times[near] - wanted[:, None]) <= NEAR_SECONDS, near, nearest)
        there &= np.abs(self.times[nearest[:, 0]] - wanted) <= PHASE_SECONDS
        band = self.means[near, column]
        return band, there & ~np.isnan(band).any(axis=1)


def shapes(stream: Floats) -> list[Floats]:
    """Value, step, distance from the recent mean, level and its change at several spans, spread, roughness: each of the
    points after the first REACH of `stream` (…, REACH + points); streams may stand side by side."""
    points = stream.shape[-1] - REACH
    value, steps = stream[..., REACH:], np.diff(stream)
    views = [value, steps[..., -points:], value - rolling(stream[..., :-1], RECENT, points).mean(axis=-1)]
    for span in LEVELS:
        level = rolling(stream, span, points).mean(axis=-1)
        views += [level, level - rolling(stream[..., :-span], span, points).mean(axis=-1)]
    spread = rolling(stream, RESTLESS, points).std(axis=-1)
    roughness = rolling(np.abs(steps), RESTLESS, points).mean(axis=-1)
    return [*views, spread, roughness]


def rolling(stream: Floats, span: int, points: int) -> Floats:
    """The last `span` values at each of the last `points` points, shape (…, points, span)."""
    first = stream.shape[-1] - points - span + 1
    return np.asarray(stream[..., first + np.arange(points)[:, None] + np.arange(span)])
