"""Baselines that are due: claimed, calculated from the hours of their metrics, and put ahead.

A claim moves a row ahead by LEASE with SKIP LOCKED. What is calculated is written where the claim still stands: a
baseline that was changed or deleted meanwhile is left as it is. One that fails is put ahead like the others.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection

from alerts import baselines
from alerts.models import BaselineType, PerformanceBaseline, TimePeriod
from assets.metrics import query
from assets.metrics.query import SeriesSelector

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=5)
BATCH = 200
# How many days of history are looked at, unless baseline_config.days says otherwise.
DAYS = {TimePeriod.HOURLY: 2, TimePeriod.DAILY: 14, TimePeriod.WEEKLY: 56, TimePeriod.MONTHLY: 365}
LONGEST_DAYS = 730
_Hours = tuple[baselines.Ints, baselines.Floats]


def calculate_due(now: datetime) -> int:
    """Calculate a batch of the baselines that are due at `now`; answers how many were taken."""
    until = now + LEASE
    rows = list(PerformanceBaseline.objects.filter(pk__in=_take(now, until)))
    by_days: dict[int, list[PerformanceBaseline]] = defaultdict(list)
    for row in rows:
        by_days[days_of(row)].append(row)
    for days, same in by_days.items():
        hours = _hours(same, days, now)
        for row in same:
            _calculate(row, hours.get((row.asset_id, row.metric_name)), now)
            _save(row, until, now)
    return len(rows)


def _take(now: datetime, until: datetime) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH due AS MATERIALIZED (
                   SELECT id FROM performance_baselines WHERE is_active AND next_calculation <= %s
                   ORDER BY next_calculation LIMIT %s FOR UPDATE SKIP LOCKED)
               UPDATE performance_baselines AS taken SET next_calculation = %s
               FROM due WHERE taken.id = due.id RETURNING taken.id""",
            [now, BATCH, until],
        )
        return [row[0] for row in cursor.fetchall()]


def days_of(row: PerformanceBaseline) -> int:
    """How many days of history the baseline is made from."""
    asked = row.baseline_config.get("days")
    usable = isinstance(asked, int) and not isinstance(asked, bool) and 1 <= asked <= LONGEST_DAYS
    return asked if usable else DAYS[TimePeriod(row.time_period)]


def _hours(rows: Sequence[PerformanceBaseline], days: int, now: datetime) -> dict[tuple[UUID, str], _Hours]:
    """The means of the hours of each asset's metric, of all its series: start (ms) and mean, ordered by series."""
    wanted = {(row.asset_id, row.metric_name) for row in rows}
    assets, names = zip(*wanted, strict=True)
    found = query.find_series(SeriesSelector(tuple(set(names)), tuple(set(assets))))
    series = [one for one in found if (one.asset_id, one.metric_name) in wanted]
    ids, starts, table = query.statistics_of(series, now - timedelta(days=days), now, "hour")
    counters = np.array([one.id for one in series if one.metric_type == "counter"], dtype=np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        means = np.where(np.isin(ids, counters), table[:, 6] / 3600, table[:, 1] / table[:, 0])
    # The hour that still runs says less than the others, and of a counter too little.
    whole = np.isfinite(means) & (starts + baselines.HOUR_MS <= now.timestamp() * 1000)
    answer: dict[tuple[UUID, str], _Hours] = {}
    for pair in wanted:
        own = np.array([one.id for one in series if (one.asset_id, one.metric_name) == pair], dtype=np.int64)
        here = whole & np.isin(ids, own)
        answer[pair] = starts[here], means[here]
    return answer


def _calculate(row: PerformanceBaseline, hours: _Hours | None, now: datetime) -> None:
    """Write what is normal on `row`; without any whole hour it says that nothing is known."""
    row.last_calculated = now
    if hours is None or not len(hours[0]):
        row.statistical_data, row.seasonal_patterns = {"count": 0}, {}
        return
    try:
        # What overflows could not be stored.
        with np.errstate(over="raise", invalid="raise"):
            row.statistical_data, row.seasonal_patterns = _normal(row, *hours)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):
        log.exception("baseline %s could not be calculated", row.pk)


def _normal(
    row: PerformanceBaseline, starts: baselines.Ints, means: baselines.Floats
) -> tuple[dict[str, Any], dict[str, Any]]:
    statistics = baselines.statistics(means, row.confidence_interval)
    kind = BaselineType(row.baseline_type)
    if kind is BaselineType.TREND:
        return statistics | {"trend": baselines.trend(starts, means)}, {}
    if kind is BaselineType.SEASONAL:
        return statistics, {"hours_of_week": baselines.hours_of_week(starts, means)}
    if kind is BaselineType.CUSTOM:
        own = {name: row.baseline_config.get(name) for name in ("lower", "upper")}
        statistics |= {name: limit for name, limit in own.items() if isinstance(limit, int | float)}
    return statistics, {}


def _save(row: PerformanceBaseline, until: datetime, now: datetime) -> None:
    PerformanceBaseline.objects.filter(pk=row.pk, next_calculation=until).update(
        statistical_data=row.statistical_data,
        seasonal_patterns=row.seasonal_patterns,
        last_calculated=row.last_calculated,
        next_calculation=now + timedelta(seconds=row.calculation_frequency),
        updated_at=now,
    )
