"""How surprising a value is for what its view has shown before: its rank among remembered peaks, and a tail beyond."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alerts.anomaly.views import Floats

# Points per block. A peak is the highest point of a block, so that one excursion counts once.
BLOCK = 12
PEAKS = 64
# Points after which a peak is forgotten: a memory that only grows goes blind.
MEMORY = 8_000
# Points of a view before it may speak.
WARM_UP = 60
# A value is a surprise where fewer points than this share have been as high.
COMMON = 0.02
# Beyond the highest peak the tail is Pareto's with this index.
TAIL_INDEX = 6.0
# Differences below this share of the stream's spread are none.
RESOLUTION = 0.01
# Keep the logarithm of a ratio finite.
SMALLEST, FARTHEST = 1e-300, 1e30


class Tail:
    """What each view of one stream has shown: its highest peaks, its centre, and how many points it is based on.

    The surprise of a value is -log of its probability, less -log COMMON, and 0 at least. The probability is the rank
    among the peaks, corrected for the points that a view spans; beyond the highest peak it is the predictive
    distribution of a Pareto tail that is known from E exceedances only, (1 + index·log(r) / E) ** -E, with r the
    distance from the centre in units of the highest peak's.
    """

    def __init__(self, spans: NDArray[np.int64]) -> None:
        self.spans = spans.astype(float)
        self.peaks = np.full((len(spans), PEAKS), -np.inf)
        self.seen_at = np.zeros((len(spans), PEAKS))
        self.centre = np.zeros(len(spans))
        self.points = np.zeros(len(spans))
        self.highest = np.full(len(spans), -np.inf)
        # Only what is above the bar can be a surprise.
        self.bar = np.full(len(spans), np.inf)
        self.now = 0

    def surprise(self, views: Floats, resolution: float | Floats) -> Floats:
        """In nats, shape of `views` (views, points); 0 where a view is NaN or has not seen enough. Differences up to
        `resolution`, of all views or of each, are none."""
        found = np.zeros(views.shape)
        fine = np.broadcast_to(np.asarray(resolution), len(views))
        rows, columns = np.nonzero(views - fine[:, None] > self.bar[:, None])
        if len(rows):
            found[rows, columns] = self._surprise(rows, views[rows, columns], fine[rows])
        return found

    def _surprise(self, rows: NDArray[np.intp], values: Floats, resolution: Floats) -> Floats:
        independent = np.minimum(self.points, MEMORY)[rows] / self.spans[rows]
        as_high = (self.peaks[rows] >= (values - resolution)[:, None]).sum(axis=1)
        ranked = as_high * np.minimum(1.0, BLOCK / self.spans[rows])
        centre = self.centre[rows]
        farthest = np.maximum(self.highest[rows] - centre, np.maximum(resolution, SMALLEST))
        with np.errstate(over="ignore"):
            ratio = (values - centre) / farthest
        beyond = np.log(np.clip(ratio, 1.0, FARTHEST))
        known = np.maximum(independent * COMMON, 1.0)
        nats = np.log((independent + 1) * COMMON / (ranked + 1)) + known * np.log1p(TAIL_INDEX * beyond / known)
        return np.asarray(np.maximum(nats, 0.0))

    def learn(self, views: Floats) -> None:
        """Take in a whole block, shape (views, BLOCK): its highest points become peaks where they are high enough."""
        valid = ~np.isnan(views)
        counts = valid.sum(axis=1)
        self.points += counts
        means = np.where(valid, views, 0.0).sum(axis=1) / np.maximum(counts, 1)
        self.centre += (means - self.centre) * counts / np.clip(self.points, 1, MEMORY)
        self._remember(np.where(valid, views, -np.inf).max(axis=1))
        self.highest = self.peaks.max(axis=1)
        self.bar = np.where(self.points < WARM_UP, np.inf, self.peaks.min(axis=1))

    def _remember(self, highest: Floats) -> None:
        """Peaks that are too old make room, then the lowest ones do."""
        self.now += BLOCK
        self.peaks[self.seen_at < self.now - MEMORY] = -np.inf
        lowest = self.peaks.argmin(axis=1)
        rows = np.flatnonzero(highest > self.peaks.min(axis=1))
        self.peaks[rows, lowest[rows]] = highest[rows]
        self.seen_at[rows, lowest[rows]] = self.now
