"""What a stored forecast says: its peak, when it reaches a threshold, how it grows. Pure: no Django, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Trend = Literal["increasing", "stable", "decreasing"]
# A forecast that ends within this share of where it begins is stable.
STABLE_SHARE = 0.05
# Nearest the limit first: the one that is told as a forecast's threshold is the first that it has.
THRESHOLDS = ("critical_threshold", "maximum_capacity", "warning_threshold")
_SECONDS_PER_DAY = 86400


@dataclass(frozen=True)
class Point:
    at: datetime
    value: float


@dataclass(frozen=True)
class Outlook:
    """A forecast's points in order of time, and its thresholds."""

    points: tuple[Point, ...]
    thresholds: Mapping[str, float]

    @property
    def peak(self) -> float | None:
        return max((point.value for point in self.points), default=None)

    @property
    def threshold(self) -> float | None:
        return next((self.thresholds[name] for name in THRESHOLDS if name in self.thresholds), None)

    @property
    def growth_percent(self) -> float | None:
        """From the first point to the last; None where that is no share of anything."""
        if len(self.points) < 2 or self.points[0].value <= 0:
            return None
        first, last = self.points[0].value, self.points[-1].value
        return round(100 * (last - first) / first, 2)

    @property
    def trend(self) -> Trend | None:
        if len(self.points) < 2:
            return None
        first, last = self.points[0].value, self.points[-1].value
        if abs(last - first) <= STABLE_SHARE * max(abs(first), abs(last)):
            return "stable"
        return "increasing" if last > first else "decreasing"

    def reaches(self, threshold: float | None) -> datetime | None:
        """When the forecast is first at or above `threshold`."""
        if threshold is None:
            return None
        return next((point.at for point in self.points if point.value >= threshold), None)

    def days_until_threshold(self, since: datetime) -> float | None:
        reached = self.reaches(self.threshold)
        return None if reached is None else round(max((reached - since).total_seconds(), 0) / _SECONDS_PER_DAY, 1)

    def warning(self) -> tuple[Literal["warning", "critical"], datetime] | None:
        """How serious it gets and when: critical where the critical threshold or the capacity itself is reached."""
        for severity, names in (("critical", THRESHOLDS[:2]), ("warning", THRESHOLDS[2:])):
            moments = [moment for name in names if (moment := self.reaches(self.thresholds.get(name)))]
            if moments:
                return severity, min(moments)  # type: ignore[return-value]
        return None


def outlook_of(values: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float | None]) -> Outlook:
    """The outlook of a stored forecast; points whose time cannot be read are left out."""
    read = ((_moment(one["timestamp"]), float(one["value"])) for one in values)
    points = sorted((Point(at, value) for at, value in read if at), key=lambda point: point.at)
    return Outlook(tuple(points), {name: value for name, value in thresholds.items() if value is not None})


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
