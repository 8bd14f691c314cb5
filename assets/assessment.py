"""Health of stored assets: gathers the facts in a fixed number of queries, judges, and keeps the result for lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection
from django.db.models import Max

from assets import health, presence
from assets.health import Assessment, Facts
from assets.metrics import ingestion, query
from assets.metrics.identity import SeriesKey
from assets.metrics.query import SeriesSelector
from assets.metrics.wire import Sample
from assets.models import AssetHealth, InfrastructureAsset

# A metric is judged by its mean lately or, where nothing came in that time, by its newest value that is current.
LATELY, CURRENT = timedelta(minutes=5), timedelta(minutes=10)
SCORE_SERIES = "asset_health_score"
_LOCK = 0x7765645F_6865616C
_METRICS = tuple(factor.metric_name for factor in health.FACTORS)


def facts_of(assets: Sequence[InfrastructureAsset], now: datetime) -> dict[UUID, Facts]:
    """What is known of each of `assets`; the worst of several series (mounts) counts. Five queries."""
    ids = tuple(asset.pk for asset in assets)
    samples = query.read(SeriesSelector(_METRICS, ids), now - CURRENT, now)
    lately, current, until = (int(moment.timestamp() * 1000) for moment in (now - LATELY, now - CURRENT, now))
    means, newest = samples.aggregate("avg", lately, until), samples.aggregate("last", current, until)
    values: dict[UUID, dict[str, float]] = defaultdict(dict)
    for series, value in zip(samples.series, np.where(np.isnan(means), newest, means).tolist(), strict=True):
        if not np.isnan(value):
            known = values[series.asset_id]
            known[series.metric_name] = max(value, known.get(series.metric_name, value))
    reports = query.last_reports(list(ids), now - presence.SILENCE)
    severities, intervals = _open_severities(ids), presence.expected_intervals(assets)
    return {
        asset.pk: Facts(
            values[asset.pk],
            reports.get(asset.pk),
            intervals[asset.pk],
            severities[asset.pk],
            presence.is_ephemeral(asset),
        )
        for asset in assets
    }


def _open_severities(ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = defaultdict(list)
    rows = InfrastructureAsset.objects.filter(
        presence.some_of(ids, "pk"), alert_instances__status__in=("open", "acknowledged")
    ).values_list("pk", "alert_instances__severity")
    for asset_id, severity in rows:
        found[asset_id].append(severity)
    return found


def assess_one(asset: InfrastructureAsset, now: datetime) -> Assessment:
    return health.assess(facts_of([asset], now)[asset.pk], now)


def assess_all(now: datetime) -> int:
    """Assess every active asset, keep the results, and write the score as a series once a minute; answers how many.
    While another round is under way, none: rounds that take longer than their tick must not pile up."""
    with _alone() as alone:
        return _assess_all(now) if alone else 0


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other round is under way. The lock is the session's: a transaction as long as a round would keep
    evaluation from moving on (metrics.recent)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (alone,) = cursor.fetchone()
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _assess_all(now: datetime) -> int:
    assets = list(InfrastructureAsset.objects.filter(is_active=True).only("monitoring_config"))
    if not assets:
        return 0
    before = AssetHealth.objects.aggregate(last=Max("assessed_at"))["last"]
    facts = facts_of(assets, now)
    judged = {asset.pk: health.assess(facts[asset.pk], now) for asset in assets}
    rows = [
        AssetHealth(
            asset_id=pk,
            health_status=one.status,
            health_score=one.score,
            last_metric_timestamp=facts[pk].last_report,
            assessed_at=now,
        )
        for pk, one in judged.items()
    ]
    columns = ["health_status", "health_score", "last_metric_timestamp", "assessed_at"]
    AssetHealth.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["asset"], update_fields=columns, batch_size=5000
    )
    AssetHealth.objects.filter(asset__is_active=False).exclude(health_status="unknown").update(
        health_status="unknown", health_score=None, assessed_at=now
    )
    if before is None or minute_of(before) != minute_of(now):
        _keep_scores({pk: one.score for pk, one in judged.items() if one.score is not None}, now)
    return len(rows)


def minute_of(moment: datetime) -> int:
    return int(moment.timestamp() // 60)


def _keep_scores(scores: dict[UUID, float], now: datetime) -> None:
    # The same minute is the same sample, should two rounds of it keep their scores.
    minute_ms = minute_of(now) * 60_000
    key = SeriesKey(SCORE_SERIES, "gauge", "", {}, "synthetic")
    ingestion.store_samples([Sample(str(pk), key, minute_ms, score) for pk, score in scores.items()], now)


def trend(asset_id: UUID, start: datetime, end: datetime, points: int = 200) -> list[dict[str, Any]]:
    """The stored health scores of an asset: [{"timestamp_ms", "health_score"}]."""
    # Scores are this server's own: what monitors the asset must not count as the asset's report.
    samples = query.read(SeriesSelector((SCORE_SERIES,), (asset_id,)), start, end)
    if not samples.series:
        return []
    timestamps, values = samples.thinned(points).of(0)
    return [{"timestamp_ms": t, "health_score": v} for t, v in zip(timestamps.tolist(), values.tolist(), strict=True)]
