"""Checks as lists show them: their status by the verdicts of all locations, and what their results say, by SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q, QuerySet

from synthetic import bars, results, standing, verdict
from synthetic.bars import Bars, Period
from synthetic.models import CheckPlace, SyntheticCheck, SyntheticCheckResult
from synthetic.verdict import State

STATUSES = ("down", "degraded", "up", "unknown", "disabled")
TONES = {"up": "tone-good", "degraded": "tone-warn", "down": "tone-bad"}
# Each period is read through the index on (check_id, check_timestamp).
_PERIODS = """
    SELECT asked.id, floor(extract(epoch FROM asked.ends - seen.check_timestamp) / asked.every)::int AS age,
        count(*) FILTER (WHERE NOT seen.in_maintenance),
        count(*) FILTER (WHERE NOT seen.in_maintenance AND seen.status = 'success'),
        (array_agg(seen.response_time_ms ORDER BY seen.check_timestamp DESC))[1]
    FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[]) AS asked (id, every, ends)
    CROSS JOIN LATERAL (
        SELECT result.check_timestamp, result.status, result.response_time_ms, result.in_maintenance
        FROM synthetic_check_results AS result
        WHERE result.check_id = asked.id AND result.is_counted AND result.check_timestamp <= asked.ends
            AND result.check_timestamp > asked.ends - asked.every * %s * interval '1 second'
    ) AS seen
    GROUP BY asked.id, age
    ORDER BY asked.id, age"""


@dataclass(frozen=True)
class Row:
    """A check as one line of the list. Uptime is that of the last 24 hours, in percent."""

    check: SyntheticCheck
    status: str
    target: str
    last_result_at: datetime | None
    response_time_ms: int | None
    uptime: float | None
    bars: Bars

    @property
    def tone(self) -> str:
        return TONES.get(self.status, "tone-none")


def status_of(check: Any, places: Sequence[Any], now: datetime) -> str:
    """One of STATUSES, by the same rule as synthetic.standing: degraded where it is up, and one of its locations sees
    it down or the last probe failed. Takes rows, or named tuples of their columns."""
    if not check.is_enabled:
        return "disabled"
    judged = [place for place in places if place.last_result_at is not None]
    states = [results.standing_at(check, place, now) for place in judged]
    overall = verdict.over(states)
    if overall is not State.UP:
        return str(overall)
    last = max(judged, key=lambda place: place.last_result_at)
    return "degraded" if State.DOWN in states or last.failures_in_a_row else "up"


def statuses_of(checks: QuerySet[SyntheticCheck], now: datetime) -> dict[UUID, str]:
    """The status of all these checks, in two queries; of thousands, so no row becomes an object of its model."""
    few = ("check_frequency", "timeout_seconds", "retry_attempts", "is_enabled")
    said = ("synthetic_check_id", "state", "last_result_at", "failures_in_a_row")
    rows = CheckPlace.objects.filter(synthetic_check__in=checks.order_by().values("pk")).order_by()
    places = _by_check(rows.values_list(*said, named=True))
    known = checks.order_by().values_list("pk", *few, named=True)
    return {check.pk: status_of(check, places.get(check.pk, []), now) for check in known}


def _by_check(places: Iterable[Any]) -> Mapping[UUID, list[Any]]:
    found: defaultdict[UUID, list[Any]] = defaultdict(list)
    for place in places:
        found[place.synthetic_check_id].append(place)
    return found


def counted(statuses: Iterable[str]) -> list[tuple[str, int]]:
    """How many checks have each status, the worst first."""
    listed = list(statuses)
    return [(status, listed.count(status)) for status in STATUSES]


def rows_of(checks: Sequence[SyntheticCheck], now: datetime) -> list[Row]:
    """The lines of a page, in three queries whatever their number."""
    ids = [check.pk for check in checks]
    places, uptimes = _by_check(CheckPlace.objects.filter(synthetic_check__in=ids)), _uptimes(ids, now)
    last = {pk: _last_of(places.get(pk, [])) for pk in ids}
    periods, times = _periods(checks, last, now)
    return [
        Row(
            check,
            status_of(check, places.get(check.pk, []), now),
            standing.target_of(check),
            last[check.pk],
            times.get(check.pk),
            uptimes.get(check.pk),
            bars.drawn(periods.get(check.pk, {})),
        )
        for check in checks
    ]


def _last_of(places: Iterable[CheckPlace]) -> datetime | None:
    return max((place.last_result_at for place in places if place.last_result_at is not None), default=None)


def _uptimes(ids: Sequence[UUID], now: datetime) -> dict[UUID, float | None]:
    recent = SyntheticCheckResult.objects.order_by().filter(
        standing.IS_MEASURED,
        synthetic_check__in=ids,
        is_counted=True,
        check_timestamp__gt=now - standing.DAY,
        check_timestamp__lte=now,
    )
    good = Count("pk", filter=Q(standing.IS_GOOD))
    found = recent.values_list("synthetic_check").annotate(total=Count("pk"), good=good)
    return {pk: standing.percent(good, total) for pk, total, good in found}


def _periods(
    checks: Sequence[SyntheticCheck], last: Mapping[UUID, datetime | None], now: datetime
) -> tuple[dict[UUID, dict[int, Period]], dict[UUID, int]]:
    """The last periods of each check by their age, and how many ms its newest result took."""
    ends = [bars.end_of_last(last[one.pk], timedelta(seconds=one.check_frequency), now) for one in checks]
    periods: defaultdict[UUID, dict[int, Period]] = defaultdict(dict)
    times: dict[UUID, int] = {}
    with connection.cursor() as cursor:
        keys, every = [one.pk for one in checks], [one.check_frequency for one in checks]
        cursor.execute(_PERIODS, [keys, every, ends, bars.PERIODS])
        for pk, age, total, good, took in cursor.fetchall():
            periods[pk][age] = Period(total, good, is_maintained=not total)
            if took is not None:
                times.setdefault(pk, took)
    return periods, times
