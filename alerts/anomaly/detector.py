"""A streaming anomaly detector without training, tuning or clock: how surprising a point is in many simple views.

1. Every view of the stream (`views`) says how far the newest point stands out.
2. What a view has shown before (`tail`) turns that into nats of surprise, which mean the same for every stream.
3. The surprises of all views are added, each with diminishing weight, so that one view alone must be very sure.
4. An anomaly that lasts is told once: for a while, only a much louder score follows it.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from alerts.anomaly.tail import BLOCK, MEMORY, RESOLUTION, Tail
from alerts.anomaly.views import SPANS, Floats, Views

# Nats of all views together at which the score is one half.
HALF = 4.0
# After a score, only one that is LOUDER times as loud is given for this share of the points so far, within limits: the
# longer a stream is known, the rarer is an anomaly that deserves the name.
QUIET_SHARE, QUIET_LEAST, QUIET_MOST = 0.05, 200, 600
LOUDER = 1.75
# Points that are looked at together, to bound the memory of a long history.
PART = 4_096
# Of the largest value: what rounding may do to a mean.
ROUNDING = 1e-12
# Larger values are taken for missing, since sums of them overflow.
LARGEST = 1e300

# A score at or above it is an anomaly, for the sensitivities that a rule may ask for; the same for every series.
THRESHOLDS = MappingProxyType({"low": 0.58, "medium": 0.5, "high": 0.42})


class Detector:
    """Follows one stream. `update` may be called with any number of points at a time; the scores are the same."""

    def __init__(self) -> None:
        self._views = Views()
        self._tail = Tail(SPANS)
        self._block = np.empty((len(SPANS), 0))
        self._newest = -np.inf
        self._points = 0
        self._centre = self._spread = self._largest = 0.0
        self._told = 0.0
        self._told_at = self._told_points = 0

    def update(self, timestamps: ArrayLike, values: ArrayLike) -> Floats:
        """The scores of the points that follow, each in [0, 1].

        `timestamps` are in seconds and ascend; equal ones may follow each other. A value that is missing (NaN,
        infinite, past 1e300) and a point that is older than one before it score 0 and leave no trace. ValueError where
        the two are not flat and of one length.
        """
        times, numbers = np.asarray(timestamps, dtype=float), np.asarray(values, dtype=float)
        if times.ndim != 1 or times.shape != numbers.shape:
            raise ValueError(
                f"timestamps and values must be two lists of one length, not {times.shape} and {numbers.shape}"
            )
        usable = np.isfinite(times) & (np.abs(numbers) <= LARGEST)
        ordered = np.maximum.accumulate(np.concatenate(([self._newest], np.where(usable, times, -np.inf))))
        usable &= times >= ordered[:-1]
        self._newest = float(ordered[-1])
        nats = np.zeros(len(times))
        known = np.flatnonzero(usable)
        for start in range(0, len(known), PART):
            part = known[start : start + PART]
            nats[part] = self._once(self._surprise(times[part], numbers[part]))
        return np.asarray(nats / (nats + HALF))

    def _surprise(self, times: Floats, values: Floats) -> Floats:
        views = self._views.following(times, values)
        surprises = np.empty(views.shape)
        start = 0
        while start < len(values):
            stop = start + BLOCK - self._block.shape[1]
            piece = views[:, start:stop]
            surprises[:, start:stop] = self._tail.surprise(piece, RESOLUTION * self._spread + ROUNDING * self._largest)
            self._learn(piece)
            start = stop
        return np.asarray(np.log1p(surprises).sum(axis=0))

    def _learn(self, piece: Floats) -> None:
        """Points are learnt from a block at a time, whatever the pieces that they come in."""
        self._block = np.concatenate((self._block, piece), axis=1)
        if self._block.shape[1] < BLOCK:
            return
        self._tail.learn(self._block)
        values = self._block[0]
        self._points += BLOCK
        share = BLOCK / min(self._points, MEMORY)
        self._centre += float(values.mean() - self._centre) * share
        self._spread += float(np.abs(values - self._centre).mean() - self._spread) * share
        self._largest = max(self._largest, float(np.abs(values).max()))
        self._block = self._block[:, :0]

    def _once(self, nats: Floats) -> Floats:
        """What is left of the nats where an anomaly that lasts is told once."""
        told = np.zeros(len(nats))
        for place in np.flatnonzero(nats):
            point = self._told_points + int(place)
            quiet = min(max(QUIET_SHARE * point, QUIET_LEAST), QUIET_MOST)
            if point - self._told_at > quiet:
                self._told = 0.0
            if nats[place] > self._told * LOUDER:
                told[place] = self._told = float(nats[place])
                self._told_at = point
        self._told_points += len(nats)
        return told


def score(timestamps: ArrayLike, values: ArrayLike) -> Floats:
    """The scores of a whole stream, each in [0, 1]; the score of a point depends on that point and those before it.

    See `Detector.update` for what is taken and refused.
    """
    return Detector().update(timestamps, values)
