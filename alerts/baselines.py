"""What is normal for a metric, from its history: robust statistics, the week by hours, the trend. Pure: NumPy only."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
HOURS_OF_WEEK = 168
# Fewer values than this say nothing of an hour of the week, nor of a trend.
FEW = 3
# 1970-01-01 was a Thursday; the hours of a week are counted from Monday 00:00 UTC.
_THURSDAY = 3 * 24
# The spread of a normal distribution by the median of what its values are off (Hampel 1974).
MAD_TO_DEVIATION = 1.4826
# So many robust deviations from the median are an anomaly.
LIMITS = {"low": 6.0, "medium": 4.5, "high": 3.5}


def spread(values: Floats) -> float:
    """The robust standard deviation: from the median absolute deviation, or where more than half of the values are the
    same from the mean one. NaN without values."""
    if not len(values):
        return float("nan")
    off = np.abs(values - np.median(values))
    return float(np.median(off) * MAD_TO_DEVIATION or np.mean(off) * np.sqrt(np.pi / 2))


def statistics(values: Floats, confidence: float) -> dict[str, Any]:
    """Of at least one value: its count, moments, robust moments, percentiles, and the band in which the share
    `confidence` of normal values is expected."""
    median, deviation = float(np.median(values)), spread(values)
    reach = deviation * NormalDist().inv_cdf((1 + min(confidence, 0.9999)) / 2)
    percentiles = np.percentile(values, [1, 5, 25, 75, 95, 99])
    return {
        "count": len(values),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "median": median,
        "robust_std": deviation,
        "min": float(values.min()),
        "max": float(values.max()),
        **dict(zip(("p1", "p5", "p25", "p75", "p95", "p99"), percentiles.tolist(), strict=True)),
        "lower": median - reach,
        "upper": median + reach,
    }


def hours_of_week(starts_ms: Ints, values: Floats) -> list[dict[str, Any] | None]:
    """Of each of the 168 hours of a week (from Monday 00:00 UTC) the median and robust deviation; None of hours with
    fewer than three values."""
    hour = (starts_ms // HOUR_MS + _THURSDAY) % HOURS_OF_WEEK
    order = np.argsort(hour, kind="stable")
    ends = np.cumsum(np.bincount(hour, minlength=HOURS_OF_WEEK))
    parts = np.split(values[order], ends[:-1])
    return [
        {"count": len(own), "median": float(np.median(own)), "robust_std": spread(own)} if len(own) >= FEW else None
        for own in parts
    ]


def trend(starts_ms: Ints, values: Floats) -> dict[str, Any] | None:
    """The straight line through the values by least squares: its slope a day, its level at the last value, and the
    robust deviation from it. None of fewer than three moments."""
    days = (starts_ms - starts_ms.max(initial=0)) / DAY_MS
    if len(np.unique(days)) < FEW:
        return None
    slope, level = np.polyfit(days, values, 1)
    rest = spread(values - (level + slope * days))
    return {"slope_per_day": float(slope), "level": float(level), "robust_std": rest}


def anomalies(
    values: Floats,
    sensitivity: Literal["low", "medium", "high"] = "medium",
    direction: Literal["both", "up", "down"] = "both",
) -> Ints:
    """The places of the values that are further from the median than the sensitivity allows, the furthest first."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    off = (values - np.median(values)) / (spread(values) or 1.0)
    signed = {"both": np.abs(off), "up": off, "down": -off}[direction]
    far = np.flatnonzero(signed > LIMITS[sensitivity])
    return far[np.argsort(-signed[far], kind="stable")]
