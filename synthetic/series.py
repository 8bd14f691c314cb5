"""The series of checks, on their assets.

| series | labels | value |
|---|---|---|
| `check_up` | check | the verdict over all locations: 1 or 0; nothing while it is unknown |
| `check_failing` | check | the business impact (1 to 10) of a check that is down and alerts on failure; else 0 |
| `check_location_up` | check, location | the verdict at one location |
| `check_duration_ms` | check, location | how long the target took to answer |
| `certificate_days` | check, location | days until the first certificate of the chain ends |
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from assets.metrics import ingestion
from assets.metrics.committing import Unavailable
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from synthetic.models import ResultStatus, SyntheticCheck, SyntheticCheckResult
from synthetic.verdict import State

log = logging.getLogger(__name__)
UP_VALUES: Mapping[State, float] = {State.UP: 1.0, State.DOWN: 0.0}
_UNITS = {"check_duration_ms": "ms", "certificate_days": "days"}


@dataclass(frozen=True)
class Told:
    """A result, and how its check stands with it: at its location, and over all."""

    result: SyntheticCheckResult
    here: State
    overall: State


def samples_of(told: Told) -> Iterator[Sample]:
    """The samples of a result, at its own time."""
    result, check = told.result, told.result.synthetic_check
    at, by_location = result.check_timestamp, {"check": check.check_name, "location": result.location or ""}
    yield from verdict_of(check, told.overall, at)
    if told.here in UP_VALUES:
        yield sample(check.asset_id, "check_location_up", UP_VALUES[told.here], at, by_location)
    if result.status in (ResultStatus.SUCCESS, ResultStatus.FAILURE) and result.response_time_ms is not None:
        # A timeout or a refused connection says nothing of how fast the target answers.
        yield sample(check.asset_id, "check_duration_ms", result.response_time_ms, at, by_location)
    days = _days_left(result.certificate_info)
    if days is not None:
        yield sample(check.asset_id, "certificate_days", days, at, by_location)


def verdict_of(check: SyntheticCheck, overall: State, at: datetime) -> Iterator[Sample]:
    """The samples of the verdict over all locations, none where it is unknown."""
    if overall in UP_VALUES:
        by_check = {"check": check.check_name}
        yield sample(check.asset_id, "check_up", UP_VALUES[overall], at, by_check)
        yield sample(check.asset_id, "check_failing", _failing(check, overall), at, by_check)


def _failing(check: SyntheticCheck, overall: State) -> float:
    return float(check.business_impact_score) if overall is State.DOWN and check.alert_on_failure else 0.0


def _days_left(certificate: Any) -> float | None:
    days = certificate.get("earliest_days_left") if isinstance(certificate, dict) else None
    return float(days) if isinstance(days, (int, float)) else None


def withdraw(asset_id: UUID, check_name: str) -> None:
    """Say that nothing alarms under this name any more: the check was renamed, disabled, deleted, or told not to."""
    now = datetime.now(UTC)
    try:
        ingestion.store_samples([sample(asset_id, "check_failing", 0.0, now, {"check": check_name})], now)
    except (Unavailable, psycopg.Error) as error:
        log.warning("the alarm of the check %s stays until a person resolves it: %s", check_name, error)


def sample(asset_id: UUID | None, name: str, value: float, at: datetime, labels: Mapping[str, str]) -> Sample:
    """One sample of a series of checks."""
    key = SeriesKey(name, "gauge", _UNITS.get(name, ""), labels, "synthetic")
    return Sample(str(asset_id), key, int(at.timestamp() * 1000), value)
