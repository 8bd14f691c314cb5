"""What an evaluating process has learnt of the series of an anomaly rule: their hours, and a fleet that follows them.

1. Everything comes from stored samples, so another process, or this one after a restart, comes to know the same.
2. Hours are read once and then one by one as they end. The fleet takes a point of each series every five minutes, once
   its samples had time to come in. What is behind catches up in bounded portions, round by round.
3. What is told at a moment rests on nothing after it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts import defined_baselines, readings
from alerts.anomaly.bands import DAY, HOUR_MS, Band, Hours, Surprises, expected
from alerts.anomaly.fleet import KEPT, STEP_SECONDS, Fleet
from alerts.conditions import MetricCondition
from alerts.models import PerformanceBaseline
from assets.metrics import query
from assets.metrics.samples import Series
from assets.metrics.windows import Grid

Floats = NDArray[np.float64]
STEP_MS = STEP_SECONDS * 1000
# Samples of an hour or a step may come in so much later.
SETTLES = timedelta(seconds=30)
# A surprise is told for so long, or until the next evaluation where those are rarer.
HOLDS = timedelta(minutes=15)
# What one round may do to catch up: points of the fleet, steps, samples that are read.
MOST_POINTS, MOST_STEPS, MOST_SAMPLES = 50_000, 600, 2_000_000
# Some 50 KiB of memory each.
MOST_SERIES = 5_000
# A rule that is not evaluated any more is forgotten.
FORGOTTEN_AFTER = timedelta(hours=1)


class TooMany(Exception):
    """The rule covers more series than are followed; the text says what to change."""


def condition_at(condition: MetricCondition) -> MetricCondition:
    """The condition as the fleet sees it: steps leave nothing out."""
    return msgspec.structs.replace(condition, time_window=max(condition.time_window, STEP_SECONDS))


def read_hours(series: list[Series], last: int, width: int) -> Hours:
    """The `width` hours of the series up to and with hour `last` (since 1970)."""
    end = datetime.fromtimestamp((last + 1) * HOUR_MS / 1000, UTC)
    start = end - timedelta(hours=width) + timedelta(microseconds=1)
    ids, starts, table = query.statistics_of(series, start, end - timedelta(microseconds=1), "hour")
    counters = np.array([one.metric_type == "counter" for one in series], dtype=bool)
    places = {one.id: place for place, one in enumerate(series)}
    rows = np.array([places[one] for one in ids.tolist()], dtype=np.int64)
    columns = starts // HOUR_MS - (last - width + 1)
    inside = (columns >= 0) & (columns < width)
    rows, columns, table = rows[inside], columns[inside], table[inside]
    found = np.full((4, len(series), width), np.nan)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        rates = np.where(counters[rows], table[:, 6] / 3600, table[:, 1] / table[:, 0])
    rates[~np.isfinite(rates)] = np.nan
    found[:, rows, columns] = rates, table[:, 2], table[:, 3], table[:, 0]
    return Hours(last, found, counters)


class Learner:
    """Follows the series of one rule. `advance` before anything is asked."""

    def __init__(self, condition: MetricCondition, days: int) -> None:
        self.condition, self.days = condition, days
        self.asked_at = datetime.min.replace(tzinfo=UTC)
        self._series: list[Series] = []
        self._fleet = Fleet(0)
        self._at_ms = 0
        self._behind = 0
        self._lately: deque[tuple[int, Floats, Floats]] = deque()
        self._bands: dict[tuple[int, str], Band] = {}
        self._defined: tuple[int, dict[UUID, PerformanceBaseline]] = (0, {})
        self.hours = read_hours([], 0, self._width)

    @property
    def _width(self) -> int:
        # A day more than is asked for, so that a gap at its beginning does not look like a beginning.
        return (self.days + 1) * DAY

    @property
    def caught_up(self) -> bool:
        """Whether the fleet has seen all that is stored."""
        return self._behind == 0

    def advance(self, series: Sequence[Series], now: datetime) -> None:
        """Follow `series` up to `now`: a bounded portion of what is missing. Raises TooMany."""
        if len(series) > MOST_SERIES:
            raise TooMany(
                f"{len(series):,} series are more than the {MOST_SERIES:,} that a rule follows: narrow asset_filter"
            )
        self.asked_at = now
        settled_ms = int((now - SETTLES).timestamp() * 1000)
        last = settled_ms // HOUR_MS - 1
        if [one.id for one in series] != [one.id for one in self._series]:
            self._arrange(list(series), last)
        self._read_hours(last)
        self._follow(settled_ms // STEP_MS * STEP_MS)
        if self._defined[0] != settled_ms // STEP_MS:
            assets = {one.asset_id for one in series}
            rows = defined_baselines.of_metric(self.condition.metric_name, assets) if assets else {}
            self._defined = settled_ms // STEP_MS, rows

    def band(self, sensitivity: str, now: datetime) -> tuple[Band, NDArray[np.bool_]]:
        """What is expected of each series in the hour that runs, and which are known for long enough to say so: those
        of assets with a baseline of their own are."""
        if (self.hours.last, sensitivity) not in self._bands:
            how, seconds = self.condition.aggregation, self.condition.time_window
            self._bands = {(self.hours.last, sensitivity): expected(self.hours, how, sensitivity, seconds)}
        band = self._bands[self.hours.last, sensitivity]
        ready = self.hours.days() >= self.days
        return defined_baselines.applied(self._defined[1], band, ready, self._series, sensitivity, now)

    def surprises(self, now: datetime, every: timedelta) -> Surprises:
        """What the fleet said since `now` less HOLDS, or the evaluation before."""
        since = int((now - max(HOLDS, every)).timestamp() * 1000)
        score, value = np.zeros(len(self._series)), np.full(len(self._series), np.nan)
        for at_ms, scores, values in self._lately:
            if at_ms > since:
                higher = scores > score
                score, value = np.where(higher, scores, score), np.where(higher, values, value)
        return Surprises(score, value)

    def _arrange(self, series: list[Series], last: int) -> None:
        """Series come and go: those that stay keep what is known of them."""
        before = {one.id: place for place, one in enumerate(self._series)}
        places = np.array([before.get(one.id, -1) for one in series], dtype=np.int64)
        new = np.flatnonzero(places < 0)
        hours = read_hours([series[place] for place in new.tolist()], self.hours.last or last, self._width)
        table = _arranged(self.hours.table, places, hours.table, axis=1)
        counters = np.array([one.metric_type == "counter" for one in series], dtype=bool)
        self.hours, self._bands, self._defined = Hours(hours.last, table, counters), {}, (0, {})
        self._fleet = self._fleet.arranged(places) if self._at_ms else Fleet(len(series))
        silent = np.zeros(len(new))
        self._lately = deque(
            (at, _arranged(scores, places, silent), _arranged(values, places, silent))
            for at, scores, values in self._lately
        )
        self._series = series

    def _read_hours(self, last: int) -> None:
        behind = last - self.hours.last
        if behind <= 0 or not self._series:
            return
        fresh = read_hours(self._series, last, min(behind, self._width))
        table = np.concatenate([self.hours.table, fresh.table], axis=2)[:, :, -self._width :]
        self.hours = Hours(last, table, fresh.counters)

    def _follow(self, until_ms: int) -> None:
        if not self._series:
            return
        begins = self._beginning(until_ms)
        if self._at_ms < begins:
            self._at_ms, self._fleet = begins, Fleet(len(self._series))
        steps = min((until_ms - self._at_ms) // STEP_MS, self._portion())
        if steps > 0:
            ends = self._at_ms + steps * STEP_MS
            grid = Grid(self._at_ms + STEP_MS, ends, STEP_MS, STEP_MS)
            values = readings.over_grid(condition_at(self.condition), self._series, grid)
            for at_ms, column in zip(grid.instants().tolist(), values.T, strict=True):
                scores = self._fleet.update(column)
                if scores.any():
                    self._lately.append((at_ms, scores, column))
            self._at_ms = ends
        self._behind = max((until_ms - self._at_ms) // STEP_MS, 0)
        kept_ms = until_ms - DAY * HOUR_MS
        while self._lately and self._lately[0][0] < kept_ms:
            self._lately.popleft()

    def _beginning(self, until_ms: int) -> int:
        """As far back as the fleet remembers, or where the first of the series is known to begin."""
        earliest = until_ms - KEPT * STEP_MS
        known = np.flatnonzero(~np.isnan(self.hours.mean).all(axis=0))
        if len(known) and not known[0]:
            return earliest
        width = self.hours.mean.shape[1]
        first = self.hours.last - width + 1 + (int(known[0]) if len(known) else width)
        return int(min(max(earliest, first * HOUR_MS), until_ms))

    def _portion(self) -> int:
        counts = self.hours.count[~np.isnan(self.hours.count)]
        samples_a_step = (float(counts.mean()) if len(counts) else 1.0) * len(self._series) * STEP_MS / HOUR_MS
        return max(min(MOST_POINTS // len(self._series), MOST_STEPS, int(MOST_SAMPLES / max(samples_a_step, 1))), 1)


def _arranged(old: Floats, places: NDArray[np.int64], fresh: Floats, axis: int = 0) -> Floats:
    """What `old` has at `places`, and where that is -1 what `fresh` has, in order."""
    wanted = places.copy()
    wanted[places < 0] = old.shape[axis] + np.arange(np.count_nonzero(places < 0))
    return np.asarray(np.concatenate([old, fresh], axis=axis).take(wanted, axis=axis))


class Learners:
    """The learners of a process, by rule; one that is asked something else begins anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[UUID, Learner] = {}

    def of(self, rule_id: UUID, condition: MetricCondition, days: int, now: datetime) -> Learner:
        with self._lock:
            for known, learner in list(self._of.items()):
                if abs(now - learner.asked_at) > FORGOTTEN_AFTER and known != rule_id:
                    del self._of[known]
            found = self._of.get(rule_id)
            gone_back = found is not None and now < found.asked_at - HOLDS
            if found is None or gone_back or (found.condition, found.days) != (condition, days):
                found = self._of[rule_id] = Learner(condition, days)
            return found


_LEARNERS = Learners()


def of_this_process() -> Learners:
    return _LEARNERS
