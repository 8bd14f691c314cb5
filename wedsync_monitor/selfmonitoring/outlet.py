"""The last observation, kept for /metrics and the console: cheap to read, however much was looked at for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wedsync_monitor import counters
from wedsync_monitor.models import SystemState
from wedsync_monitor.selfmonitoring.measurements import METRICS, Measurement

STATE = "measurements"


@dataclass(frozen=True)
class Observation:
    """What was measured, and when; None where nothing was yet."""

    measured: Sequence[Measurement] = ()
    at: datetime | None = None


def keep(measured: Sequence[Measurement], now: datetime) -> None:
    """Keep the gauges; counters are read where they are."""
    said = [[one.name, one.value, dict(one.labels)] for one in measured if METRICS[one.name].kind == "gauge"]
    SystemState.objects.update_or_create(name=STATE, defaults={"said": said, "said_at": now})


def last_observation() -> Observation:
    """The gauges of the last observation and the counters of now: two queries."""
    kept = SystemState.objects.filter(name=STATE).first()
    counted = [Measurement(name, value, labels) for name, labels, value in counters.totals()]
    if kept is None:
        return Observation(counted)
    return Observation([*(Measurement(*one) for one in kept.said), *counted], kept.said_at)
