"""The objectives of checks over their stored results, and the series from which rules alert on a burning budget.

`check_burn_rate_fast` and `check_burn_rate_slow`, label `check`: the burn rate of both windows of that pace together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from assets.metrics import ingestion
from assets.metrics.wire import Sample
from synthetic import series, slo
from synthetic.models import SyntheticCheck
from synthetic.slo import Counts

# A budget that burned and does no more is told so for a while.
_TOLD_AFTER = timedelta(minutes=10)
_FAILING = """
    SELECT DISTINCT check_id FROM synthetic_check_results
    WHERE status <> 'success' AND is_counted AND NOT in_maintenance
        AND check_timestamp > %s AND check_timestamp <= %s"""
_COUNTS = """
    SELECT result.check_id, count(*), count(*) FILTER (WHERE result.status <> 'success')
    FROM synthetic_check_results AS result
    WHERE result.check_id = ANY(%s) AND result.is_counted AND NOT result.in_maintenance
        AND result.check_timestamp > %s AND result.check_timestamp <= %s
    GROUP BY result.check_id"""
_LEFT_OUT = """
    SELECT count(*) FROM synthetic_check_results
    WHERE check_id = %s AND in_maintenance AND check_timestamp > %s AND check_timestamp <= %s"""


def tell_burning(now: datetime) -> int:
    """Write the burn rates of all checks that failed lately; answers how many."""
    failing = _failing(now)
    checks = list(SyntheticCheck.objects.filter(pk__in=failing, is_enabled=True, asset__isnull=False))
    counted = _counted([check.pk for check in checks], slo.WINDOWS, now)
    samples = [sample for check in checks for sample in _burning(check, counted[check.pk], now)]
    if samples:
        ingestion.store_samples(samples, now)
    return len(checks)


def _failing(now: datetime) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_FAILING, [now - max(slo.WINDOWS) - _TOLD_AFTER, now])
        return [row[0] for row in cursor.fetchall()]


def _burning(check: SyntheticCheck, counted: Mapping[timedelta, Counts], now: datetime) -> list[Sample]:
    return [
        series.sample(
            check.asset_id,
            f"check_burn_rate_{pace.name}",
            slo.pace_rate(pace, counted, check.slo_target_percent),
            now,
            {"check": check.check_name},
        )
        for pace in slo.PACES
    ]


def _counted(
    check_ids: Collection[UUID], windows: Collection[timedelta], now: datetime
) -> dict[UUID, dict[timedelta, Counts]]:
    found: dict[UUID, dict[timedelta, Counts]] = defaultdict(dict)
    with connection.cursor() as cursor:
        for window in windows if check_ids else ():
            cursor.execute(_COUNTS, [list(check_ids), now - window, now])
            for check_id, total, bad in cursor.fetchall():
                found[check_id][window] = Counts(total, bad)
    return found


def objective_of(check: SyntheticCheck, now: datetime) -> dict[str, Any]:
    """How the check's objective stands at `now`: in six queries, whatever it has seen."""
    counted = _counted([check.pk], (*slo.WINDOWS, slo.PERIOD), now)[check.pk]
    month, target = counted.get(slo.PERIOD, Counts()), check.slo_target_percent
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_OUT, [check.pk, now - slo.PERIOD, now])
        left_out = cursor.fetchone()[0]
    return {
        "objective_percent": target,
        "period_days": slo.PERIOD.days,
        "availability_percent": _rounded(slo.availability(month)),
        "error_budget_remaining_percent": _rounded(slo.budget_remaining(month, target)),
        "total_checks": month.total,
        "failed_checks": month.bad,
        "maintenance": "excluded",
        "excluded_in_maintenance": left_out,
        "burn_rates": [
            {
                "name": pace.name,
                "long_window_seconds": int(pace.long.total_seconds()),
                "short_window_seconds": int(pace.short.total_seconds()),
                "long": _rounded(slo.burn_rate(counted.get(pace.long, Counts()), target)),
                "short": _rounded(slo.burn_rate(counted.get(pace.short, Counts()), target)),
                "threshold": pace.threshold,
                "is_burning": slo.is_burning(pace, counted, target),
            }
            for pace in slo.PACES
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
