"""What is expected of a series at an hour, from the hours before it: a middle, and how far from it is usual.

An hour is compared with the same hour of earlier days: of the same day of the week where at least three are known, else
of days of the same kind (working days, weekends), else of all days, else with all hours there are; in UTC.
The spread is robust, so that yesterday's outage is not normal today. It is never smaller than what the series' hours
usually are off by, so that a few days that happened to be alike do not make a narrow band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.anomaly.detector import THRESHOLDS
from alerts.baselines import FEW, HOUR_MS, LIMITS, MAD_TO_DEVIATION, Floats

DAY = 24
_THURSDAY = 3  # 1970-01-01; days of the week are counted from Monday
# How far apart the highest and the lowest of n normal values are expected to be, in deviations (Tippett 1925, d2).
_VALUES = np.log([2, 5, 10, 20, 50, 100, 360, 1000, 3600])
_RANGES = [1.128, 2.326, 3.078, 3.735, 4.498, 5.015, 5.9, 6.483, 7.1]
# No series is known more finely than to this share of its middle.
FINEST = 0.01


@dataclass(frozen=True)
class Hours:
    """What n series did in W whole hours, the last of which is hour `last` since 1970: `table` is (4, n, W), NaN where
    nothing is known: mean, lowest, highest, and number of samples. `counters` (n,) have rates as means, and nothing is
    known of their lowest and highest."""

    last: int
    table: Floats
    counters: NDArray[np.bool_]

    @property
    def mean(self) -> Floats:
        return np.asarray(self.table[0])

    @property
    def lowest(self) -> Floats:
        return np.asarray(self.table[1])

    @property
    def highest(self) -> Floats:
        return np.asarray(self.table[2])

    @property
    def count(self) -> Floats:
        return np.asarray(self.table[3])

    def until(self, hour: int, width: int) -> Hours:
        """The `width` hours up to and with `hour`, which is not after the last."""
        end = self.table.shape[2] - (self.last - hour)
        return Hours(hour, self.table[:, :, max(end - width, 0) : max(end, 0)], self.counters)

    def days(self) -> Floats:
        """(n,) How many days each series is known for: since its first hour, at most twice as many as it has hours."""
        known = ~np.isnan(self.mean)
        first = np.where(known.any(axis=1), known.argmax(axis=1), known.shape[1])
        return np.asarray(np.minimum(known.shape[1] - first, 2 * known.sum(axis=1)) / DAY)


@dataclass(frozen=True)
class Band:
    """(n,) each: what is expected, and outside of what a value is unusual; NaN where nothing is known. `within` is what
    values of a window vary by within an hour."""

    lower: Floats
    expected: Floats
    upper: Floats
    within: Floats

    def unusual(self, values: Floats, surprises: Surprises, sensitivity: str, direction: str) -> NDArray[np.bool_]:
        """Which `values` are outside of the band, or were a surprise; in the `direction` up, down or both."""
        with np.errstate(invalid="ignore"):
            loud = surprises.score >= THRESHOLDS[sensitivity]
            above = (values > self.upper) | (loud & (surprises.value > self.expected))
            below = (values < self.lower) | (loud & (surprises.value < self.expected))
        return np.asarray({"up": above, "down": below}.get(direction, above | below))


@dataclass(frozen=True)
class Surprises:
    """(n,) What the fleet said lately: the highest score of each series, and the value that it was given for."""

    score: Floats
    value: Floats


def expected(hours: Hours, how: str, sensitivity: str, window_seconds: int) -> Band:
    """The band of the hour that follows `hours`, for the aggregate `how` (avg, max, min, last) over a window."""
    shown, within = _middles(hours), _within(hours, window_seconds)
    lower, middle, upper = (
        _usual(shown[name])
        for name in ("lowest" if how == "min" else "mean", "mean", "highest" if how == "max" else "mean")
    )
    reach = LIMITS[sensitivity] * np.maximum(np.hypot(middle[1], within), FINEST * np.abs(middle[0]))
    low = lower[0] - np.maximum(reach, LIMITS[sensitivity] * lower[1])
    high = upper[0] + np.maximum(reach, LIMITS[sensitivity] * upper[1])
    # What was never negative is not expected to be.
    with np.errstate(invalid="ignore"):
        never = ~(hours.mean < 0).any(axis=1) & ~(hours.lowest < 0).any(axis=1)
    return Band(np.where(never, np.maximum(low, 0.0), low), middle[0], high, within)


def _middles(hours: Hours) -> dict[str, tuple[int, Floats]]:
    """Of counters the rate stands for the lowest and the highest too."""
    counted = hours.counters[:, None]
    return {
        "mean": (hours.last, hours.mean),
        "lowest": (hours.last, np.where(counted, hours.mean, hours.lowest)),
        "highest": (hours.last, np.where(counted, hours.mean, hours.highest)),
    }


def _within(hours: Hours, window_seconds: int) -> Floats:
    """(n,) How much values of a window vary within an hour: of gauges by the range of their samples, of counters as
    much more than hours do as windows are shorter."""
    known = np.log(np.clip(hours.count, 2, None))
    with np.errstate(invalid="ignore"):
        ranged = (hours.highest - hours.lowest) / np.interp(known, _VALUES, _RANGES)
    shorter = np.sqrt(max(3600 / window_seconds, 1.0))
    return np.where(hours.counters, _usual((hours.last, hours.mean))[1] * shorter, _median(ranged))


def _usual(told: tuple[int, Floats]) -> tuple[Floats, Floats]:
    """(n,) The middle and the spread of the hour that follows."""
    last, table = told
    days = np.arange(table.shape[1] // DAY, 0, -1)
    today = ((last + 1) // DAY + _THURSDAY) % 7
    weekday = (today - days) % 7
    same = table[:, table.shape[1] - days * DAY]
    middle, spread = _robust(table)
    for chosen in (np.ones(len(days), bool), (weekday >= 5) == (today >= 5), weekday == today):
        enough = (~np.isnan(same[:, chosen])).sum(axis=1) >= FEW
        own_middle, own_spread = _robust(same[:, chosen])
        middle, spread = np.where(enough, own_middle, middle), np.where(enough, own_spread, spread)
    return middle, np.fmax(spread, _off(table))


def _off(table: Floats) -> Floats:
    """(n,) What the hours of each series usually are off by from the middle of their hour of the day."""
    days = table.shape[1] // DAY
    if not days:
        return np.full(len(table), np.nan)
    whole = table[:, table.shape[1] % DAY :].reshape(len(table), days, DAY)
    off = np.abs(whole - _median(whole.transpose(0, 2, 1))[:, None, :])
    # The middle of so few days is drawn towards each of them.
    few = 1 + 1 / days
    return np.asarray(_median(off.reshape(len(table), days * DAY)) * MAD_TO_DEVIATION * few)


def _robust(table: Floats) -> tuple[Floats, Floats]:
    middle = _median(table)
    return middle, _median(np.abs(table - middle[:, None])) * MAD_TO_DEVIATION


def _median(table: Floats) -> Floats:
    """Along the last axis, of what is not NaN; NaN of nothing."""
    if not table.shape[-1]:
        return np.full(table.shape[:-1], np.nan)
    ordered = np.sort(table, axis=-1)
    count = (~np.isnan(ordered)).sum(axis=-1)
    low, high = (np.maximum(count - 1, 0) // 2)[..., None], (count // 2)[..., None]
    high = np.minimum(high, ordered.shape[-1] - 1)
    with np.errstate(invalid="ignore", over="ignore"):
        both = np.take_along_axis(ordered, low, -1) / 2 + np.take_along_axis(ordered, high, -1) / 2
    return np.asarray(np.where(count > 0, both[..., 0], np.nan))


__all__ = ["DAY", "HOUR_MS", "Band", "Hours", "Surprises", "expected"]
