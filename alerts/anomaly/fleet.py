"""Many streams followed side by side, a point of each every five minutes: the detector's views and tail as arrays.

A stream that is followed alone costs a millisecond a point; here it costs some microseconds. The scores are those that
`detector.Detector` gives to streams whose gaps are `filled`. A point that is missing scores 0; after an hour of nothing
a stream is looked at anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alerts.anomaly.detector import HALF, LARGEST, LOUDER, QUIET_LEAST, QUIET_MOST, QUIET_SHARE, ROUNDING
from alerts.anomaly.tail import BLOCK, MEMORY, RESOLUTION, Tail
from alerts.anomaly.views import NEEDED_DAYS, REACH, SEASONAL, SPANS, WIDENING_DAYS, Floats, rolling, shapes

STEP_SECONDS = 300
STEPS_A_DAY = 86_400 // STEP_SECONDS
# How far the time of day may be off, and how many points the widest mean takes in.
_NEAR, _WIDEST = max(reach for _, reach in SEASONAL), max(span for span, _ in SEASONAL)
KEPT = max(WIDENING_DAYS) * STEPS_A_DAY + _NEAR + _WIDEST
LONGEST_GAP = 12


def filled(values: Floats) -> Floats:
    """(n, K) with what came last in place of what is missing, for up to LONGEST_GAP points."""
    places = np.where(np.isnan(values), -1, np.arange(values.shape[1]))
    last = np.maximum.accumulate(places, axis=1)
    near = (last >= 0) & (np.arange(values.shape[1]) - last <= LONGEST_GAP)
    return np.where(near, np.take_along_axis(values, np.maximum(last, 0), axis=1), np.nan)


class Fleet:
    """Follows `size` streams; `update` takes the next point of each."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._points = self._step = 0
        self._tail = Tail(np.tile(SPANS, size))
        self._kept = np.full((size, KEPT), np.nan)
        self._recent = np.full((size, REACH), np.nan)
        self._block = np.empty((size * len(SPANS), 0))
        self._block_values = np.empty((size, 0))
        self._missed = np.zeros(size, dtype=np.int64)
        self._centre, self._spread, self._largest = np.zeros(size), np.zeros(size), np.zeros(size)
        self._told, self._told_at = np.zeros(size), np.zeros(size, dtype=np.int64)

    def update(self, values: Floats) -> Floats:
        """The scores, each in [0, 1], of the next point of each stream; `values` (size,), NaN where there is none."""
        known = np.abs(values) <= LARGEST
        self._missed = np.where(known, 0, self._missed + 1)
        self._recent[self._missed > LONGEST_GAP] = np.nan
        stream = np.column_stack([self._recent, np.where(known, values, self._recent[:, -1])])
        views = self._views(stream)
        fine = np.repeat(RESOLUTION * self._spread + ROUNDING * self._largest, len(SPANS))
        surprises = self._tail.surprise(views[:, None], fine).reshape(self.size, len(SPANS))
        self._learn(views, stream[:, -1])
        self._kept[:, self._step % KEPT] = stream[:, -1]
        self._recent = stream[:, 1:]
        self._step += 1
        nats = self._once(np.where(known, np.log1p(surprises).sum(axis=1), 0.0))
        return np.asarray(nats / (nats + HALF))

    def arranged(self, places: NDArray[np.int64]) -> Fleet:
        """The fleet whose stream i is this one's stream `places[i]`; where that is -1, one that begins now."""
        found = Fleet(len(places))
        found._points, found._step, found._tail.now = self._points, self._step, self._tail.now
        found._block = np.full((len(places) * len(SPANS), self._block.shape[1]), np.nan)
        found._block_values = np.full((len(places), self._block.shape[1]), np.nan)
        old = places >= 0
        for name in ("_kept", "_recent", "_block_values", "_missed", "_centre", "_spread", "_largest", "_told",
                     "_told_at"):  # fmt: skip
            getattr(found, name)[old] = getattr(self, name)[places[old]]
        rows, own = (_rows(np.flatnonzero(old)), _rows(places[old]))
        found._block[rows] = self._block[own]
        for name in ("peaks", "seen_at", "centre", "points", "highest", "bar"):
            getattr(found._tail, name)[rows] = getattr(self._tail, name)[own]
        return found

    def _views(self, stream: Floats) -> Floats:
        """(size · views,), NaN where a view has not enough before it."""
        with np.errstate(over="ignore", invalid="ignore"):
            both = [(view[:, 0], -view[:, 0]) for view in shapes(stream)] + self._seasonal(stream)
        views = np.column_stack([view for pair in both for view in pair])
        return np.where(np.isfinite(views), views, np.nan).ravel()

    def _seasonal(self, stream: Floats) -> list[tuple[Floats, Floats]]:
        """How far each mean is above and below the band of the same time on earlier days."""
        if self._step < max(NEEDED_DAYS) * STEPS_A_DAY:
            return [(nothing, nothing) for nothing in np.full((len(SEASONAL), self.size), np.nan)]
        known = [days for days in (*NEEDED_DAYS, *WIDENING_DAYS) if self._step >= days * STEPS_A_DAY]
        before = {days: self._around(days) for days in known}
        found = []
        for span, reach in SEASONAL:
            low, high = np.full(self.size, np.inf), np.full(self.size, -np.inf)
            needed = np.ones(self.size, dtype=bool)
            for days, values in before.items():
                part = values[:, values.shape[1] - 2 * _NEAR - span : values.shape[1] - _NEAR + reach]
                band = rolling(part, span, 2 * reach + 1).mean(axis=-1)
                there = ~np.isnan(band).any(axis=1)
                low = np.where(there, np.minimum(low, band.min(axis=1)), low)
                high = np.where(there, np.maximum(high, band.max(axis=1)), high)
                needed &= there | (days not in NEEDED_DAYS)
            mean = stream[:, -span:].mean(axis=1)
            found.append(
                (
                    np.where(needed, np.maximum(mean - high, 0.0), np.nan),
                    np.where(needed, np.maximum(low - mean, 0.0), np.nan),
                )
            )
        return found

    def _around(self, days: int) -> Floats:
        """What was there around the same time so many days ago, as far as the widest mean takes in."""
        centre = self._step - days * STEPS_A_DAY
        steps = np.arange(centre - _NEAR - _WIDEST + 1, centre + _NEAR + 1)
        found = self._kept[:, steps % KEPT]
        found[:, steps < 0] = np.nan
        return found

    def _learn(self, views: Floats, values: Floats) -> None:
        """A block at a time, as the detector learns."""
        self._block = np.column_stack([self._block, views])
        self._block_values = np.column_stack([self._block_values, values])
        if self._block.shape[1] < BLOCK:
            return
        self._tail.learn(self._block)
        self._points += BLOCK
        there = ~np.isnan(self._block_values)
        counts = np.maximum(there.sum(axis=1), 1)
        share = there.sum(axis=1) / min(self._points, MEMORY)
        own = np.where(there, self._block_values, 0.0)
        self._centre += (own.sum(axis=1) / counts - self._centre) * share
        off = np.where(there, np.abs(own - self._centre[:, None]), 0.0)
        self._spread += (off.sum(axis=1) / counts - self._spread) * share
        self._largest = np.maximum(self._largest, np.abs(own).max(axis=1))
        self._block, self._block_values = self._block[:, :0], self._block_values[:, :0]

    def _once(self, nats: Floats) -> Floats:
        """What is left of the nats where an anomaly that lasts is told once."""
        point = self._step - 1
        quiet = min(max(QUIET_SHARE * point, QUIET_LEAST), QUIET_MOST)
        self._told[point - self._told_at > quiet] = 0.0
        told = (nats > 0) & (nats > self._told * LOUDER)
        self._told[told], self._told_at[told] = nats[told], point
        return np.where(told, nats, 0.0)


def _rows(streams: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of the tail that belong to the streams."""
    return (streams[:, None] * len(SPANS) + np.arange(len(SPANS))).ravel()
