"""When to look next, and what happened between two looks. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from wedsync_agent.wire import Reading

HIGH_MARKS = {"cpu_usage_percent": 80.0, "memory_usage_percent": 85.0, "disk_usage_percent": 90.0}
# A change of this share of the scale between two looks counts as lively.
LIVELY_CHANGE = 10.0


def next_interval(
    current: float, before: Mapping[str, float], after: Mapping[str, float], shortest: float, longest: float
) -> float:
    """Seconds until the next look: short while values are high or change fast, towards `longest` while they rest."""
    high = any(after.get(name, 0.0) >= mark for name, mark in HIGH_MARKS.items())
    lively = any(
        abs(after[name] - before[name]) >= LIVELY_CHANGE for name in HIGH_MARKS if name in after and name in before
    )
    if high or lively:
        return shortest
    return min(max(current * 1.5, shortest), longest)


@dataclass
class Between:
    """Fast gauges looked at every second between two reports: sent as mean and maximum."""

    seen: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.seen.setdefault(name, []).append(value)

    def drain(self, units: Mapping[str, str]) -> list[Reading]:
        """The readings since the last drain: `name` (mean) and `name`_max."""
        readings = []
        for name, values in self.seen.items():
            unit = units.get(name, "")
            readings.append(Reading(name, math.fsum(values) / len(values), unit))
            readings.append(Reading(f"{name}_max", max(values), unit))
        self.seen = {}
        return readings
