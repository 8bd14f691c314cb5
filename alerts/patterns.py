"""When alerts begin, and with which others: hours of the day, days of the week, rules that go together, storms.

- An hour of the day or a day of the week (UTC) is a pattern with at least FACTOR times its even share of openings.
- Two of the busiest rules go together where both began in the same TOGETHER, at least LEAST times, in at least half of
  the times of the rarer one, and FACTOR times as often as chance would have it.
- A storm is a run of STORM_ALERTS or more openings with no gap of more than STORM_GAP. Where so much begins that this
  is usual, the gap is a quarter of the mean distance of two openings.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import QuerySet
from numpy.typing import NDArray

from alerts.models import AlertInstance, AlertRule
from assets.spans import Span

FACTOR = 2.0
LEAST = 10
STORM_ALERTS = 10
STORM_GAP = timedelta(minutes=2)
TOGETHER = timedelta(minutes=5)
BUSIEST = 12
MOST = 10
_DAYS = ("Thursdays", "Fridays", "Saturdays", "Sundays", "Mondays", "Tuesdays", "Wednesdays")


def of(recent: QuerySet[AlertInstance]) -> list[dict[str, Any]]:
    """The patterns of `recent` as the specification has them, the most frequent first.

    `frequency` is the number of alerts then (of rules that go together: of times), `impact_score` their share of all
    (of the times of the rarer rule), from 0 to 1.
    """
    found = _times(_hourly(recent)) + _companions(recent)
    return sorted(found, key=lambda one: -one["frequency"])


def _read(recent: QuerySet[AlertInstance], columns: tuple[str, ...], sql: str, *more: Any) -> list[Any]:
    """What `sql` says of the relation `opened`, which has these columns of `recent`."""
    own, given = recent.order_by().values_list(*columns).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"WITH opened AS ({own}) {sql}", [*given, *more])
        found: list[Any] = cursor.fetchall()
        return found


def _hourly(recent: QuerySet[AlertInstance]) -> NDArray[np.int64]:
    """(n, 2) hours since the epoch and how many alerts began in each."""
    rows = _read(
        recent,
        ("first_triggered_at",),
        """, hours AS (
               SELECT date_bin('1 hour', first_triggered_at, 'epoch') AS hour, count(*) AS number
               FROM opened GROUP BY hour)
           SELECT (extract(epoch FROM hour) / 3600)::bigint, number FROM hours""",
    )
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def _times(hourly: NDArray[np.int64]) -> list[dict[str, Any]]:
    hours = np.bincount(hourly[:, 0] % 24, weights=hourly[:, 1], minlength=24).astype(np.int64)
    # The epoch began on a Thursday.
    days = np.bincount(hourly[:, 0] // 24 % 7, weights=hourly[:, 1], minlength=7).astype(np.int64)
    found = [_time("time_of_day", f"from {hour:02}:00 to {hour:02}:59 UTC", hours, hour) for hour in range(24)]
    found += [_time("day_of_week", f"on {name} (UTC)", days, day) for day, name in enumerate(_DAYS)]
    return [one for one in found if one]


def _time(kind: str, when: str, counts: NDArray[np.int64], place: int) -> dict[str, Any] | None:
    number, total = int(counts[place]), int(counts.sum())
    if number < LEAST or number < FACTOR * total / len(counts):
        return None
    return {
        "pattern_type": kind,
        "description": f"{number} of {total} alerts began {when}.",
        "frequency": number,
        "impact_score": round(number / total, 4),
        "suggested_action": "Look for jobs, deployments or load that recur then.",
    }


def _companions(recent: QuerySet[AlertInstance]) -> list[dict[str, Any]]:
    rows = _read(
        recent,
        ("alert_rule_id", "first_triggered_at"),
        """, busiest AS (SELECT alert_rule_id AS rule FROM opened GROUP BY rule ORDER BY count(*) DESC, rule LIMIT %s),
           times AS MATERIALIZED (
               SELECT DISTINCT alert_rule_id AS rule, date_bin(%s, first_triggered_at, 'epoch') AS slot
               FROM opened WHERE alert_rule_id IN (SELECT rule FROM busiest)),
           own AS (SELECT rule, count(*) AS number FROM times GROUP BY rule),
           pairs AS (
               SELECT a.rule AS one, b.rule AS other, count(*) AS number
               FROM times a JOIN times b ON a.slot = b.slot AND a.rule < b.rule GROUP BY one, other)
           SELECT one, other, pairs.number, least(a.number, b.number), a.number * b.number,
                  (SELECT extract(epoch FROM max(slot) - min(slot)) / extract(epoch FROM %s::interval) + 1 FROM times)
           FROM pairs JOIN own a ON a.rule = one JOIN own b ON b.rule = other WHERE pairs.number >= %s""",
        BUSIEST,
        TOGETHER,
        TOGETHER,
        LEAST,
    )
    kept = [row for row in rows if row[2] * 2 >= row[3] and row[2] * row[5] >= FACTOR * row[4]]
    rules = {rule for row in kept for rule in row[:2]}
    names = dict(AlertRule.objects.filter(pk__in=rules).values_list("pk", "rule_name")) if rules else {}
    return [_companion(names[one], names[other], number, rarer) for one, other, number, rarer, *_ in kept]


def _companion(one: str, other: str, number: int, rarer: int) -> dict[str, Any]:
    minutes = TOGETHER // timedelta(minutes=1)
    share = f"{100 * number / rarer:.0f} % of the times of the rarer one"
    return {
        "pattern_type": "co_occurrence",
        "description": f"{one} and {other} began in the same {minutes} minutes {number} times, {share}.",
        "frequency": number,
        "impact_score": round(number / rarer, 4),
        "suggested_action": "Look for one cause behind both; a composite rule or a dependency tells of it once.",
    }


def storms(recent: QuerySet[AlertInstance], span: Span, total: int) -> list[dict[str, Any]]:
    """The largest storms among the `total` openings of `span`, newest first."""
    gap = min(STORM_GAP, (span.end - span.start) / (4 * max(total, 1)))
    rows = _read(
        recent,
        ("first_triggered_at", "asset_id"),
        """, marked AS (
               SELECT first_triggered_at AS at, asset_id,
                      (first_triggered_at - lag(first_triggered_at) OVER by_time > %s)::int AS begins
               FROM opened WINDOW by_time AS (ORDER BY first_triggered_at)),
           runs AS (SELECT at, asset_id, sum(begins) OVER (ORDER BY at ROWS UNBOUNDED PRECEDING) AS run FROM marked)
           SELECT min(at) AS began, max(at), count(*) AS number, count(DISTINCT asset_id)
           FROM runs GROUP BY coalesce(run, 0) HAVING count(*) >= %s ORDER BY number DESC, began DESC LIMIT %s""",
        gap,
        STORM_ALERTS,
        MOST,
    )
    return [_storm(*row) for row in sorted(rows, reverse=True)]


def _storm(began: datetime, ended: datetime, number: int, assets: int) -> dict[str, Any]:
    return {
        "timestamp": f"{began:%Y-%m-%dT%H:%M:%SZ}",
        "duration_minutes": round((ended - began).total_seconds() / 60, 2),
        "alert_count": number,
        "affected_assets": assets,
    }
