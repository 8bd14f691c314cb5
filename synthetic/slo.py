"""Service level objectives of checks: error budget, and how fast it burns. Pure: no Django, no clock.

With an objective of T percent of results that succeed, 1 - T/100 of them may fail. The budget is what of that is left
over 30 days; the burn rate is how many times faster than evenly it is spent. Rates over a long and a short window
together tell a burn that matters and still goes on; windows and thresholds are those of Google's Site Reliability
Workbook, chapter 5: 14.4 spends 2 % of a month's budget in an hour, 6 spends 5 % of it in six hours.
Results in planned maintenance, and those that say nothing of the target, are left out before they are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

PERIOD = timedelta(days=30)


@dataclass(frozen=True)
class Counts:
    """Results in a window, and how many of them failed."""

    total: int = 0
    bad: int = 0


@dataclass(frozen=True)
class Pace:
    """A speed of burning: it burns while both windows are at or above the threshold."""

    name: str
    long: timedelta
    short: timedelta
    threshold: float


FAST = Pace("fast", timedelta(hours=1), timedelta(minutes=5), 14.4)
SLOW = Pace("slow", timedelta(hours=6), timedelta(minutes=30), 6.0)
PACES = (FAST, SLOW)
WINDOWS = tuple(sorted({window for pace in PACES for window in (pace.long, pace.short)}))


def availability(counts: Counts) -> float | None:
    """Percent of results that succeeded; None without any."""
    return 100 * (counts.total - counts.bad) / counts.total if counts.total else None


def budget_remaining(counts: Counts, target_percent: float) -> float | None:
    """Percent of the error budget that is left; below zero where it is overspent, None without results."""
    rate = burn_rate(counts, target_percent)
    return None if rate is None else 100 * (1 - rate)


def burn_rate(counts: Counts, target_percent: float) -> float | None:
    """The share that failed over the share that may fail; None without results."""
    return (counts.bad / counts.total) / (1 - target_percent / 100) if counts.total else None


def pace_rate(pace: Pace, counted: Mapping[timedelta, Counts], target_percent: float) -> float:
    """The rate of both windows together, which is that of the one that burns less; 0 without results."""
    rates = (burn_rate(counted.get(window, Counts()), target_percent) for window in (pace.long, pace.short))
    return min((rate or 0.0) for rate in rates)


def is_burning(pace: Pace, counted: Mapping[timedelta, Counts], target_percent: float) -> bool:
    # Rates are quotients of small numbers: an equal one must not be missed by the last bit.
    return pace_rate(pace, counted, target_percent) >= pace.threshold - 1e-9
