"""When an alert flaps: it changed between trouble and none in too large a share of the recent evaluations. Pure.

It begins at a high mark and ends at a low one, so that the verdict itself does not flap (Nagios, "Detection and
Handling of State Flapping").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

EVALUATIONS = 20
Flips = tuple[datetime, ...]


@dataclass(frozen=True)
class Marks:
    """Per cent of changes over the last EVALUATIONS, `every` so often, at which flapping begins and ends."""

    every: timedelta
    high: float = 30
    low: float = 15

    @property
    def reach(self) -> timedelta:
        return self.every * EVALUATIONS

    def recent(self, flips: Sequence[datetime], now: datetime) -> Flips:
        """The changes that still count."""
        return tuple(at for at in flips if at > now - self.reach)

    def percent(self, flips: Sequence[datetime], now: datetime) -> float:
        return 100 * len(self.recent(flips, now)) / EVALUATIONS

    def begins(self, flips: Sequence[datetime], now: datetime) -> bool:
        return self.percent(flips, now) >= self.high

    def is_over(self, flips: Sequence[datetime], now: datetime) -> bool:
        return self.percent(flips, now) <= self.low

    def reason(self, flips: Sequence[datetime], now: datetime) -> str:
        number = len(self.recent(flips, now))
        return f"Flapping: {number} changes in the last {EVALUATIONS} evaluations; people are told when it settles."
