"""Results are taken in: stored, judged, and told as series; the same for this server's runs and those of agents.

1. Results, verdicts and samples belong together. They are written in one transaction which, before it commits, hands
   the samples to the ordinary ingestion: where that is away, nothing is kept and all can be taken in again.
2. Taking the same result in twice is harmless: its id is its sender's, samples are the same samples, and a verdict
   counts only results that are later than its last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction

from assets import planned
from assets.metrics import ingestion
from synthetic import scheduling, series, verdict
from synthetic.models import CheckPlace, ResultStatus, SyntheticCheck, SyntheticCheckResult
from synthetic.series import Told
from synthetic.verdict import Seen, State, Thresholds, Verdict

# Results of checks that run as often tell of themselves often enough.
_OFTEN_SECONDS = 30
_SETTLE = """
    UPDATE synthetic_check_places AS place
    SET state = settled.state, state_since = settled.since, failures_in_a_row = settled.failures,
        successes_in_a_row = settled.successes, last_result_at = settled.at, last_status = settled.status,
        busy_until = NULL
    FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::int[], %s::int[], %s::timestamptz[], %s::text[])
        AS settled (id, state, since, failures, successes, at, status)
    WHERE place.id = settled.id"""


@dataclass(frozen=True)
class Result:
    """One run of a check: the columns that its probe knows, how many attempts it took, and whether it counts."""

    check_id: UUID
    location: str
    columns: Mapping[str, Any]
    attempts: int = 1
    is_counted: bool = True
    id: UUID = field(default_factory=uuid4)

    @property
    def at(self) -> datetime:
        moment: datetime = self.columns["check_timestamp"]
        return moment

    @property
    def seen(self) -> Seen:
        if not self.is_counted:
            return Seen.NOTHING
        return Seen.GOOD if self.columns["status"] == ResultStatus.SUCCESS else Seen.BAD


def take_in(results: Collection[Result], now: datetime) -> int:
    """Store results and what follows from them; answers how many were of checks and locations that there are.

    Raises committing.Unavailable or a DatabaseError; nothing is kept then.
    """
    with transaction.atomic():
        places = _places(results)
        ours = [one for one in sorted(results, key=lambda one: one.at) if (one.check_id, one.location) in places]
        rows = [_row(one, places[one.check_id, one.location].synthetic_check) for one in ours]
        _mark_maintenance(rows)
        SyntheticCheckResult.objects.bulk_create(rows, ignore_conflicts=True)
        told = _judge(ours, rows, places, now)
        _settle([places[key] for key in {(one.check_id, one.location) for one in ours}])
        samples = [sample for one in told for sample in series.samples_of(one)]
        if samples:
            ingestion.store_samples(samples, now)
    return len(ours)


def _places(results: Iterable[Result]) -> dict[tuple[UUID, str], CheckPlace]:
    """All locations of the checks that there are results of; nobody else judges them meanwhile."""
    found = (
        CheckPlace.objects.select_for_update(of=("self",))
        .select_related("synthetic_check")
        .filter(synthetic_check__in={one.check_id for one in results})
        .order_by("pk")
    )
    return {(place.synthetic_check_id, place.location): place for place in found}


def _row(result: Result, check: SyntheticCheck) -> SyntheticCheckResult:
    columns = dict(result.columns)
    columns["network_info"] = {**(columns.get("network_info") or {}), "attempts": result.attempts}
    return SyntheticCheckResult(
        id=result.id, synthetic_check=check, location=result.location, is_counted=result.is_counted, **columns
    )


def _mark_maintenance(rows: Sequence[SyntheticCheckResult]) -> None:
    """It is asked now, and stays so: what is planned later makes no earlier downtime undone."""
    by_minute: dict[datetime, list[SyntheticCheckResult]] = {}
    for row in rows:
        by_minute.setdefault(row.check_timestamp.replace(second=0, microsecond=0), []).append(row)
    for of_minute in by_minute.values():
        assets = {asset for row in of_minute if (asset := row.synthetic_check.asset_id) is not None}
        covered = planned.in_maintenance(assets, max(row.check_timestamp for row in of_minute))
        for row in of_minute:
            row.in_maintenance = row.synthetic_check.asset_id in covered


def _judge(
    results: Sequence[Result],
    rows: Sequence[SyntheticCheckResult],
    places: Mapping[tuple[UUID, str], CheckPlace],
    now: datetime,
) -> list[Told]:
    """Each result in its turn, and what it makes of its check. What is not later than the last one judges nothing."""
    by_check: dict[UUID, list[CheckPlace]] = {}
    for place in places.values():
        by_check.setdefault(place.synthetic_check_id, []).append(place)
    told = []
    for result, row in zip(results, rows, strict=True):
        place = places[result.check_id, result.location]
        if place.last_result_at is not None and result.at <= place.last_result_at:
            continue
        _count(place, result)
        if result.is_counted and row.synthetic_check.is_enabled and row.synthetic_check.asset_id is not None:
            overall = overall_of(row.synthetic_check, by_check[result.check_id], result.at)
            told.append(Told(row, State(place.state), overall))
    return told


def _count(place: CheckPlace, result: Result) -> None:
    check = place.synthetic_check
    before = Verdict(State(place.state), place.state_since, place.failures_in_a_row, place.successes_in_a_row)
    after = verdict.after(before, result.seen, Thresholds(check.failure_threshold, check.success_threshold), result.at)
    place.state, place.state_since = after.state, after.since
    place.failures_in_a_row, place.successes_in_a_row = after.failures_in_a_row, after.successes_in_a_row
    place.last_status = result.columns["status"]
    if result.is_counted:
        place.last_result_at = result.at


def restate(now: datetime) -> int:
    """Tell the verdicts of checks that run seldom again, for rules that look at minutes only; answers how many."""
    rare = SyntheticCheck.objects.filter(is_enabled=True, asset__isnull=False, check_frequency__gt=_OFTEN_SECONDS)
    samples = [
        sample
        for check in rare.prefetch_related("places")
        for sample in series.verdict_of(check, overall_of(check, check.places.all(), now), now)
    ]
    if samples:
        ingestion.store_samples(samples, now)
    return len(samples) // 2


def overall_of(check: SyntheticCheck, places: Iterable[CheckPlace], now: datetime) -> State:
    """The verdict over the locations of a check at `now`; one that has not been heard of for long is unknown."""
    return verdict.over(standing_at(check, place, now) for place in places)


def standing_at(check: SyntheticCheck, place: CheckPlace, now: datetime) -> State:
    longest = scheduling.longest_run(check.timeout_seconds, check.retry_attempts)
    patience = verdict.stale_after(timedelta(seconds=check.check_frequency), longest)
    if place.last_result_at is None or now - place.last_result_at > patience:
        return State.UNKNOWN
    return State(place.state)


def _settle(places: Sequence[CheckPlace]) -> None:
    if not places:
        return
    columns = zip(
        *(
            (
                place.pk, str(place.state), place.state_since, place.failures_in_a_row, place.successes_in_a_row,
                place.last_result_at, place.last_status,
            )
            for place in places
        ),
        strict=True,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, [list(column) for column in columns])
