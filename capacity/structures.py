"""The declared structures of the JSON columns of forecasts. Pure: no Django."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ForecastPoint(msgspec.Struct, forbid_unknown_fields=True):
    timestamp: str
    value: float


class Interval(msgspec.Struct, forbid_unknown_fields=True):
    timestamp: str
    low: float
    high: float


class ConfidenceIntervals(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    level: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    points: list[Interval] = []


class CapacityThresholds(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    warning_threshold: float | None = None
    critical_threshold: float | None = None
    maximum_capacity: float | None = None
