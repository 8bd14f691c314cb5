"""What stored results say of checks: status, uptime, response times; unknown and null where there are none.

A check is `down` or `up` by its verdict (synthetic.verdict), and `degraded` where it is up and one of its locations
sees it down or the last probe failed. Without a verdict its results say it: `down` once the last `failure_threshold`
probes failed in a row. Uptime is the share of probes that succeeded, in percent; those that say nothing of the target,
because their prober was at fault, and those in planned maintenance do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Aggregate, Avg, Count, F, FloatField, Max, OuterRef, Q, QuerySet, Subquery

from assets.spans import Span
from synthetic import results, verdict
from synthetic.models import CheckPlace, ResultStatus, SyntheticCheck, SyntheticCheckResult
from synthetic.verdict import State

DAY = timedelta(hours=24)
STATUSES = ("up", "down", "degraded", "unknown")
HISTORY = 1000
# Planned maintenance is no downtime.
IS_MEASURED = Q(in_maintenance=False)
IS_GOOD = Q(status=ResultStatus.SUCCESS)


@dataclass(frozen=True)
class Standing:
    """What the last 24 hours say of one check."""

    total: int = 0
    good: int = 0
    mean_ms: float | None = None
    last_check: datetime | None = None
    failures_in_a_row: int = 0
    verdict: State | None = None
    is_down_somewhere: bool = False

    def status(self, failure_threshold: int) -> str:
        if self.verdict is State.UP:
            return "degraded" if self.is_down_somewhere or self.failures_in_a_row else "up"
        if self.verdict is not None:
            return str(self.verdict)
        if self.last_check is None:
            return "unknown"
        if not self.failures_in_a_row:
            return "up"
        return "down" if self.failures_in_a_row >= failure_threshold else "degraded"

    def shown(self, failure_threshold: int) -> dict[str, Any]:
        return {
            "current_status": self.status(failure_threshold),
            "uptime_percentage": percent(self.good, self.total),
            "avg_response_time_ms": rounded(self.mean_ms),
            "last_check": self.last_check,
            "failure_count_24h": self.total - self.good,
        }


UNKNOWN = Standing()


def percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 3) if whole else None


def rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 1)


def stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def of_checks(check_ids: list[UUID] | QuerySet[SyntheticCheck], now: datetime) -> dict[UUID, Standing]:
    """What the last 24 hours say of each of these checks, in three queries; those without results are left out."""
    recent = SyntheticCheckResult.objects.order_by().filter(
        synthetic_check__in=check_ids, is_counted=True, check_timestamp__gt=now - DAY, check_timestamp__lte=now
    )
    counted = recent.values("synthetic_check").annotate(
        total=Count("pk", filter=IS_MEASURED),
        good=Count("pk", filter=IS_GOOD & IS_MEASURED),
        mean=Avg("response_time_ms", filter=IS_MEASURED),
        last=Max("check_timestamp"),
    )
    own = recent.filter(synthetic_check=OuterRef("synthetic_check"))
    last_good = own.filter(IS_GOOD).order_by("-check_timestamp").values("check_timestamp")[:1]
    # A check that never succeeded has no last success to be later than.
    failing = recent.annotate(last_good=Subquery(last_good)).filter(
        Q(last_good=None) | Q(check_timestamp__gt=F("last_good"))
    )
    in_a_row = dict(failing.values_list("synthetic_check").annotate(number=Count("pk")))
    verdicts = _verdicts_of(check_ids, now)
    return {
        row["synthetic_check"]: Standing(
            row["total"],
            row["good"],
            row["mean"],
            row["last"],
            in_a_row.get(row["synthetic_check"], 0),
            *verdicts.get(row["synthetic_check"], (None, False)),
        )
        for row in counted
    }


def _verdicts_of(check_ids: list[UUID] | QuerySet[SyntheticCheck], now: datetime) -> dict[UUID, tuple[State, bool]]:
    """The verdict on each check that was judged, and whether one of its locations sees it down."""
    judged: dict[UUID, list[CheckPlace]] = {}
    rows = CheckPlace.objects.select_related("synthetic_check").order_by()
    for place in rows.filter(synthetic_check__in=check_ids, last_result_at__isnull=False):
        judged.setdefault(place.synthetic_check_id, []).append(place)
    found = {}
    for check_id, places in judged.items():
        states = [results.standing_at(place.synthetic_check, place, now) for place in places]
        found[check_id] = verdict.over(states), State.DOWN in states
    return found


def summary_of(rows: QuerySet[SyntheticCheck], now: datetime) -> dict[str, Any]:
    """The specification's check_summary over all of `rows`; each check weighs the same."""
    thresholds = dict(rows.order_by().values_list("pk", "failure_threshold"))
    known = of_checks(list(thresholds), now)
    statuses = [one.status(thresholds[pk]) for pk, one in known.items()]
    uptimes = [100 * one.good / one.total for one in known.values() if one.total]
    times = [one.mean_ms for one in known.values() if one.mean_ms is not None]
    return {
        "total_checks": len(thresholds),
        "healthy_checks": statuses.count("up"),
        "failing_checks": statuses.count("down"),
        "overall_uptime": round(sum(uptimes) / len(uptimes), 3) if uptimes else None,
        "avg_response_time": round(sum(times) / len(times), 1) if times else None,
    }


def target_of(check: SyntheticCheck) -> str:
    if check.target_url:
        return check.target_url
    return f"{check.target_host}:{check.target_port}" if check.target_port else check.target_host or ""


def results_of(check: SyntheticCheck) -> QuerySet[SyntheticCheckResult]:
    return SyntheticCheckResult.objects.filter(synthetic_check=check).order_by("-check_timestamp")


def current_of(check: SyntheticCheck, now: datetime) -> dict[str, Any]:
    """The specification's current_status: the last result, and since when it is so."""
    rows = results_of(check).filter(check_timestamp__lte=now, is_counted=True)
    last, good = rows.first(), rows.filter(IS_GOOD).first()
    bad = rows.exclude(IS_GOOD)
    failures = bad.filter(check_timestamp__gt=good.check_timestamp).count() if good else bad.count()
    last_bad = bad.first()
    judged = _verdicts_of([check.pk], now).get(check.pk, (None, False))
    standing = Standing(0, 0, None, last.check_timestamp if last else None, failures, *judged)
    return {
        "status": standing.status(check.failure_threshold),
        "response_time_ms": last.response_time_ms if last else None,
        "status_code": last.status_code if last else None,
        "last_success": stamp(good.check_timestamp if good else None),
        "last_failure": stamp(last_bad.check_timestamp if last_bad else None),
        "consecutive_failures": failures,
    }


def within(check: SyntheticCheck, span: Span) -> QuerySet[SyntheticCheckResult]:
    return results_of(check).filter(check_timestamp__gt=span.start, check_timestamp__lte=span.end)


def counted(check: SyntheticCheck, span: Span) -> QuerySet[SyntheticCheckResult]:
    """The results that say something of the target, and were not in maintenance."""
    return within(check, span).filter(IS_MEASURED, is_counted=True)


class _Percentile95(Aggregate):
    """Interpolated, as numpy.percentile is; results without a value are left out."""

    template = "percentile_cont(0.95) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def performance_of(check: SyntheticCheck, span: Span) -> dict[str, Any]:
    """The specification's performance_metrics, in one query: the rows of a year stay in the database."""
    found = (
        counted(check, span)
        .order_by()
        .aggregate(
            total=Count("pk"),
            good=Count("pk", filter=IS_GOOD),
            timeouts=Count("pk", filter=Q(status=ResultStatus.TIMEOUT)),
            mean=Avg("response_time_ms"),
            p95=_Percentile95("response_time_ms"),
        )
    )
    return {
        "uptime_percentage": percent(found["good"], found["total"]),
        "avg_response_time_ms": rounded(found["mean"]),
        "p95_response_time_ms": rounded(found["p95"]),
        "total_checks": found["total"],
        "failed_checks": found["total"] - found["good"],
        "timeout_rate": percent(found["timeouts"], found["total"]),
    }


def history_of(check: SyntheticCheck, span: Span) -> list[dict[str, Any]]:
    """The last results of the span, oldest first."""
    columns = ("check_timestamp", "status", "response_time_ms", "status_code", "location", "error_message")
    rows = list(within(check, span).values(*columns)[:HISTORY])
    return [{"timestamp": stamp(row.pop("check_timestamp")), **row} for row in reversed(rows)]


def availability_of(check: SyntheticCheck, span: Span) -> list[dict[str, Any]]:
    by_location = (
        counted(check, span)
        .order_by("location")
        .values("location")
        .annotate(total=Count("pk"), good=Count("pk", filter=IS_GOOD), mean=Avg("response_time_ms"))
    )
    return [
        {
            "location": row["location"] or "unknown",
            "uptime_percentage": percent(row["good"], row["total"]),
            "avg_response_time_ms": rounded(row["mean"]),
        }
        for row in by_location
    ]
