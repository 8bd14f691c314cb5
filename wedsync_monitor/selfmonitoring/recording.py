"""One observation of the whole system: series of an asset of its own, and the last values for whoever asks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import DatabaseError, transaction

from alerts import vitals as alerts_vitals
from assets import vitals as assets_vitals
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from assets.models import InfrastructureAsset
from synthetic import vitals as synthetic_vitals
from wedsync_monitor.schema import free_name
from wedsync_monitor.selfmonitoring import infrastructure, outlet
from wedsync_monitor.selfmonitoring.measurements import METRICS, Measurement

log = logging.getLogger(__name__)

# The asset is found by this key, whatever people call it.
ASSET = UUID("77656473-796e-4d6f-8e69-746f72000001")
ASSET_NAME = "wedsync-monitor"

Observer = Callable[[datetime], Iterator[Measurement]]
OBSERVERS: Mapping[str, Observer] = {
    "database": infrastructure.database,
    "storage": infrastructure.storage,
    "broker": infrastructure.broker,
    "processes": infrastructure.processes,
    "disk": infrastructure.disk,
    "dead man's switches": infrastructure.switches,
    "evaluation": alerts_vitals.evaluation,
    "delivery": alerts_vitals.delivery,
    "agents": assets_vitals.agents,
    "compaction": assets_vitals.compaction_backlog,
    "checks": synthetic_vitals.checks,
    "counters": infrastructure.counted,
}


def create_asset() -> bool:
    """Make the system's own asset where it is missing; answers whether it was.

    A name that a person has given to another asset stays theirs.
    """
    if InfrastructureAsset.objects.filter(pk=ASSET).exists():
        return False
    InfrastructureAsset.objects.create(
        pk=ASSET,
        asset_name=free_name(InfrastructureAsset, "asset_name", ASSET_NAME),
        asset_type="service",
        asset_category="application",
        environment="production",
        tags=["role:monitoring"],
    )
    return True


def observe(now: datetime, observers: Mapping[str, Observer] = OBSERVERS) -> list[Measurement]:
    """Observe every part, keep the values for /metrics and the console, and store them as samples of the asset.

    Raises Unavailable where the samples cannot be stored; the values are kept then all the same.
    """
    began = time.perf_counter()
    measured = [Measurement("wedsync_heartbeat", alerts_vitals.heartbeat_value(now))]
    for part, observer in observers.items():
        measured += _observed(part, observer, now)
    measured.append(Measurement("wedsync_observation_seconds", time.perf_counter() - began))
    outlet.keep(measured, now)
    if InfrastructureAsset.objects.filter(pk=ASSET).exists():
        ingestion.store_samples(_samples(measured, now), now)
    return measured


def _observed(part: str, observer: Observer, now: datetime) -> list[Measurement]:
    """A part that cannot be observed does not hide the others."""
    try:
        with transaction.atomic():
            return [*observer(now), Measurement("wedsync_unobserved", 0, {"part": part})]
    except DatabaseError:
        log.exception("%s could not be observed", part)
    except Exception as error:  # the broker, the disk: whatever it is, it is told
        log.warning("%s could not be observed: %s", part, error)
    return [Measurement("wedsync_unobserved", 1, {"part": part})]


def _samples(measured: Sequence[Measurement], now: datetime) -> list[Sample]:
    at_ms = int(now.timestamp() * 1000)
    return [
        Sample(str(ASSET), SeriesKey(one.name, metric.kind, metric.unit, one.labels, "push"), at_ms, float(one.value))
        for one in measured
        if (metric := METRICS.get(one.name))
    ]
