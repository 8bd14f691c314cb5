"""The demonstration's metrics and probe results, written by the code that stores everybody's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import Max

from assets import assessment, health
from assets.health import Facts
from assets.metrics import ingestion, query
from assets.metrics.identity import SeriesKey
from assets.metrics.ingestion import Sender
from assets.metrics.wire import Columns, Decoded
from assets.models import InfrastructureAsset
from synthetic.models import SyntheticCheck, SyntheticCheckResult
from wedsync_monitor.embedded.demonstration import platform
from wedsync_monitor.embedded.demonstration.platform import Floats, Host, Incident

MINUTE = timedelta(minutes=1)
PROBED_EVERY = timedelta(minutes=15)
CHECK_PREFIX = "demo: "


def write_history(
    asset: InfrastructureAsset, host: Host, now: datetime, days: int, happened: Sequence[Incident]
) -> None:
    """The samples and health scores of the last `days`. What is there already is not written twice."""
    moments = platform.grid(now - timedelta(days=days), now)
    columns = _write(asset, host, moments, now, happened)
    scores = [_score(columns, place, moments[place]) for place in range(0, len(moments), 12)]
    key = SeriesKey(assessment.SCORE_SERIES, "gauge", "", {}, "synthetic")
    _store(asset, [key], moments[::12], np.array(scores)[:, None], now)


def write_since_last(asset: InfrastructureAsset, host: Host, now: datetime, happened: Sequence[Incident]) -> None:
    """What the host reported since its last sample: every five minutes, and this minute."""
    oldest = now - timedelta(days=platform.DAYS)
    last = query.last_reports([asset.pk], oldest).get(asset.pk, oldest)
    this_minute = now.replace(second=0, microsecond=0)
    moments = sorted({*platform.grid(last, now), this_minute} if this_minute > last else platform.grid(last, now))
    if moments:
        _write(asset, host, moments, now, happened)


def _write(
    asset: InfrastructureAsset, host: Host, moments: list[datetime], now: datetime, happened: Sequence[Incident]
) -> dict[tuple[str, str], Floats]:
    began = datetime.fromisoformat(asset.configuration["demonstration_began"])
    columns = platform.values_of(host, moments, began, happened, np.random.default_rng())
    keys = [SeriesKey(name, "gauge", unit, {}, "push") for name, unit in columns]
    _store(asset, keys, moments, np.column_stack(list(columns.values())), now)
    return columns


def _store(
    asset: InfrastructureAsset, keys: list[SeriesKey], moments: Sequence[datetime], values: Floats, now: datetime
) -> None:
    stamps = np.array([int(moment.timestamp() * 1000) for moment in moments], dtype=np.int64)
    batch = Columns(tuple(keys), stamps, values, 0)
    ingestion.store(Decoded(columns=[batch]), Sender(own_asset=asset.pk), now, lambda names: {})


def _score(columns: dict[tuple[str, str], Floats], place: int, moment: datetime) -> float:
    values = {name: float(column[place]) for (name, _), column in columns.items()}
    return health.assess(Facts(values, moment, 300), moment).score or 0.0


def write_results(now: datetime, since: datetime, happened: Sequence[Incident]) -> None:
    """Results of the demonstration's checks after the last one, or since `since` where there is none."""
    checks = SyntheticCheck.objects.filter(check_name__startswith=CHECK_PREFIX).order_by("check_name")
    newest = dict(checks.order_by().values_list("pk").annotate(Max("results__check_timestamp")))
    dice, rows = np.random.default_rng(), []
    slow = [one for one in happened if one.metric == "response_time_ms"]
    for check in checks:
        moments = platform.grid(newest[check.pk] or since, now, PROBED_EVERY)
        times = 120 + 260 * platform.load(moments) + dice.gamma(2, 12, len(moments))
        for moment, milliseconds in zip(moments, times.tolist(), strict=True):
            is_slow = "RSVP" in check.check_name and any(
                one.began <= moment and (one.ended is None or moment < one.ended) for one in slow
            )
            for location in check.locations:
                seen = _seen(check, milliseconds * (5 if is_slow else 1), dice)
                rows.append(
                    SyntheticCheckResult(synthetic_check=check, check_timestamp=moment, location=location, **seen)
                )
    SyntheticCheckResult.objects.bulk_create(rows, batch_size=2000)


def _seen(check: SyntheticCheck, milliseconds: float, dice: np.random.Generator) -> dict[str, Any]:
    """What one probe saw; about one in three hundred fails."""
    luck = dice.random()
    if luck > 0.999:
        late = check.timeout_seconds * 1000
        return {"status": "timeout", "response_time_ms": late, "error_message": f"no answer within {late} ms"}
    is_web = check.check_type in ("http", "api")
    if luck > 0.997:
        text = "HTTP 503 Service Unavailable" if is_web else "connection refused"
        return {"status": "failure", "status_code": 503 if is_web else None, "error_message": text}
    seen: dict[str, Any] = {"status": "success", "response_time_ms": round(milliseconds)}
    if is_web:
        seen |= {"status_code": 200, "response_size_bytes": int(18_000 + 400 * dice.random())}
    if check.check_type == "dns":
        seen["dns_info"] = {"answers": ["192.0.2.10", "192.0.2.11"]}
    if check.check_type == "ssl":
        seen["certificate_info"] = {"subject": check.target_host, "days_left": 41}
    return seen
