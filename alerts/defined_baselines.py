"""What `performance_baselines` say is normal, as bands: what somebody defined comes before what a rule learns itself.

Of several for one metric of an asset the first of custom, seasonal, trend and statistical counts. Their spreads are
those of hours: of a window it is at least what the series itself varies by within an hour.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from alerts.anomaly.bands import Band
from alerts.baselines import HOUR_MS, HOURS_OF_WEEK, LIMITS
from alerts.models import BaselineType, PerformanceBaseline
from assets.metrics.samples import Series

_RANK = (BaselineType.CUSTOM, BaselineType.SEASONAL, BaselineType.TREND, BaselineType.STATISTICAL)
_THURSDAY = 3 * 24  # 1970-01-01; the hours of a week are counted from Monday 00:00 UTC
Limits = tuple[float, float, float]


def of_metric(metric_name: str, asset_ids: Collection[UUID]) -> dict[UUID, PerformanceBaseline]:
    """The baseline that counts of each asset that has one; one query."""
    found: dict[UUID, PerformanceBaseline] = {}
    rows = PerformanceBaseline.objects.filter(metric_name=metric_name, is_active=True)
    known = [row for row in rows if row.asset_id in asset_ids and row.statistical_data]
    for row in sorted(known, key=lambda row: (_RANK.index(BaselineType(row.baseline_type)), row.time_period)):
        found.setdefault(row.asset_id, row)
    return found


def applied(
    rows: Mapping[UUID, PerformanceBaseline],
    band: Band,
    ready: NDArray[np.bool_],
    series: Sequence[Series],
    sensitivity: str,
    now: datetime,
) -> tuple[Band, NDArray[np.bool_]]:
    """`band`, and which of its series are ready, with what `rows` say at `now` of the series of their assets."""
    if not rows:
        return band, ready
    lower, middle, upper, ready = band.lower.copy(), band.expected.copy(), band.upper.copy(), ready.copy()
    for place, one in enumerate(series):
        row = rows.get(one.asset_id)
        if row and (found := limits(row, now, sensitivity, float(band.within[place]))):
            lower[place], middle[place], upper[place] = found
            ready[place] = True
    return Band(lower, middle, upper, band.within), ready


def limits(row: PerformanceBaseline, now: datetime, sensitivity: str, within: float) -> Limits | None:
    """Lower end, middle and upper end of the band of `row` at `now`; None where it says nothing. A custom baseline's
    band is what was written, whatever the sensitivity."""
    said = row.statistical_data
    if row.baseline_type == BaselineType.CUSTOM:
        return _written(said, row.baseline_config)
    middle, spread = said.get("median"), said.get("robust_std")
    if row.baseline_type == BaselineType.SEASONAL:
        hour = (int(now.timestamp() * 1000) // HOUR_MS + _THURSDAY) % HOURS_OF_WEEK
        if own := (row.seasonal_patterns.get("hours_of_week") or {hour: None})[hour]:
            middle, spread = own["median"], max(own["robust_std"], 0.0)
    elif row.baseline_type == BaselineType.TREND and (line := said.get("trend")):
        days = (now - row.last_calculated) / timedelta(days=1)
        middle, spread = line["level"] + line["slope_per_day"] * days, line["robust_std"]
    if middle is None or spread is None:
        return None
    reach = LIMITS[sensitivity] * float(np.hypot(spread, within if np.isfinite(within) else 0.0))
    return middle - reach, middle, middle + reach


def _written(said: Mapping[str, float], config: Mapping[str, float]) -> Limits | None:
    ends = [config.get(name) for name in ("lower", "upper")]
    lower, upper = (float(one) if isinstance(one, int | float) else None for one in ends)
    if lower is None and upper is None:
        return None
    low, high = -np.inf if lower is None else lower, np.inf if upper is None else upper
    middle = said.get("median", low if upper is None else high if lower is None else (low + high) / 2)
    return low, float(middle), high
