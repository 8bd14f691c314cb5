"""Series as charts and as the specification's history: thinned so that peaks survive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np

from assets import availability
from assets.metrics import query
from assets.metrics.query import Samples, SeriesSelector
from assets.models import InfrastructureAsset
from assets.spans import Span

POINTS = 600
MAX_SERIES = 50
# What the console draws first; the other metrics follow where they are asked for.
STANDARD = (
    "cpu_usage_percent",
    "memory_usage_percent",
    "disk_usage_percent",
    "network_io_mbps",
    "response_time_ms",
    "error_rate_percent",
    "request_rate_per_second",
)


def stamp(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(asset_id: UUID, names: Sequence[str], span: Span) -> Samples:
    """The asset's series, counters as rates per second."""
    return query.read(SeriesSelector(tuple(names), (asset_id,)), span.start, span.end).rates()


def history(samples: Samples, points: int = POINTS) -> dict[str, list[dict[str, Any]]]:
    """{title: [{timestamp, value}]} for every series. A metric that an asset has under several label sets is there
    under each of them (`name{label=value}`), and under its plain name as the worst (largest) of each instant."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in dict.fromkeys(series.metric_name for series in samples.series):
        places = [place for place, series in enumerate(samples.series) if series.metric_name == name]
        for place in places:
            found[samples.series[place].title()] = _points(*samples.of(place), points)
        if name not in found:
            found[name] = _points(*worst(samples, places), points)
    return {title: rows for title, rows in found.items() if rows}


def worst(samples: Samples, places: Sequence[int]) -> tuple[query.Ints, query.Floats]:
    """The largest value of several series at each instant that one of them has."""
    timestamps = np.concatenate([samples.of(place)[0] for place in places])
    values = np.concatenate([samples.of(place)[1] for place in places])
    if not len(timestamps):
        return timestamps, values
    order = np.argsort(timestamps, kind="stable")
    instants, starts = np.unique(timestamps[order], return_index=True)
    return instants, np.maximum.reduceat(values[order], starts)


def _points(timestamps: query.Ints, values: query.Floats, points: int) -> list[dict[str, Any]]:
    kept, shown = query.thin(timestamps, values, points)
    finite = np.isfinite(shown)
    pairs = zip(kept[finite].tolist(), shown[finite].tolist(), strict=True)
    return [{"timestamp": stamp(t), "value": v} for t, v in pairs]


def chart(samples: Samples, points: int = POINTS) -> list[dict[str, Any]]:
    """[{label, unit, points: [[ms, value]]}] for the console's charts."""
    drawn = []
    for place, series in enumerate(samples.series[:MAX_SERIES]):
        timestamps, values = query.thin(*samples.of(place), points)
        finite = np.isfinite(values)
        pairs = [list(pair) for pair in zip(timestamps[finite].tolist(), values[finite].tolist(), strict=True)]
        unit = series.metric_unit + ("/s" if series.metric_type == "counter" else "")
        drawn.append({"label": series.title(), "unit": unit, "points": pairs})
    return drawn


def current(asset_id: UUID, now: datetime, since: datetime) -> dict[str, Any]:
    """The newest value of each standard metric; what has none is left out. `last_updated` is null without any."""
    samples = read(asset_id, STANDARD, Span(since, now))
    newest: dict[str, Any] = {}
    last_ms = 0
    for place, series in enumerate(samples.series):
        timestamps, values = samples.of(place)
        if len(values):
            name, value = series.metric_name, float(values[-1])
            newest[name] = max(value, newest.get(name, value))
            last_ms = max(last_ms, int(timestamps[-1]))
    return newest | {"last_updated": stamp(last_ms) if last_ms else None}


def indicators(asset: InfrastructureAsset, samples: Samples, span: Span, score: float | None) -> dict[str, Any]:
    """Availability, mean response time, error budget and performance score; null where there are no data.

    The performance score is the asset's health score.
    """
    reported = [place for place, series in enumerate(samples.series) if series.metric_name != "asset_health_score"]
    stamps = [samples.of(place)[0] for place in reported]
    available = availability.availability(
        np.concatenate(stamps) if stamps else np.empty(0, np.int64), int(span.end.timestamp() * 1000)
    )
    target = asset.monitoring_config.get("slo_target_percent") or availability.DEFAULT_TARGET_PERCENT
    response = [samples.of(place)[1] for place in reported if samples.series[place].metric_name == "response_time_ms"]
    values = np.concatenate(response) if response else np.empty(0)
    return {
        "availability_percentage": None if available is None else round(available, 4),
        "mean_response_time": float(values.mean()) if len(values) else None,
        "error_budget_remaining": availability.budget_remaining(available, target),
        "performance_score": score,
    }
