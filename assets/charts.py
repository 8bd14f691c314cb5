"""Series as charts and as the specification's history: thinned so that peaks survive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from django.db import connection

from assets import availability, health
from assets.metrics import query, windows
from assets.metrics.samples import Floats, Ints, Samples, Series
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


# Metrics whose series add up to the asset's.
ADDED = frozenset({"network_io_mbps", "request_rate_per_second"})
LOW_IS_BAD = frozenset({"service_up", "check_up", "disk_free_bytes", "memory_available_bytes"})


def stamp(milliseconds: int) -> str:
    return iso(datetime.fromtimestamp(milliseconds / 1000, UTC))


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Point(msgspec.Struct, gc=False):
    """One entry of the specification's metric_history."""

    timestamp: str
    value: float


def read(series: list[Series], span: Span) -> Samples:
    """The series in their finest resolution that a chart of the span has use for; counters as rates per second."""
    return query.curves(series, span.start, span.end)


def history(samples: Samples, points: int = POINTS) -> dict[str, list[Point]]:
    """{title: points} for every series. A metric that an asset has under several label sets is there under each of them
    (`name{label=value}`), and under its plain name as one series for all of them (`together`)."""
    titles = [series.title() for series in samples.series]
    joined = _joined(samples, set(titles))
    found = _listed(samples.thinned(points)) + _listed(joined.thinned(points))
    named = dict(zip(titles + [series.metric_name for series in joined.series], found, strict=True))
    return {title: rows for title, rows in named.items() if rows}


def _joined(samples: Samples, titles: set[str]) -> Samples:
    """One series for each metric that no series is titled like."""
    places: dict[str, list[int]] = {}
    for place, series in enumerate(samples.series):
        places.setdefault(series.metric_name, []).append(place)
    names = [name for name in places if name not in titles]
    columns = windows.gather([together(samples, places[name]) for name in names])
    representatives = [samples.series[places[name][0]] for name in names]
    return Samples(representatives, columns.offsets, columns.timestamps, columns.values)


def _listed(samples: Samples) -> list[list[Point]]:
    """The points of each series. What reports together shares its instants: each is written once."""
    instants, place = np.unique(samples.timestamps, return_inverse=True)
    # NumPy's text of a moment in UTC has no zone.
    moments = np.datetime_as_string(instants.astype("datetime64[ms]"), unit="ms").tolist()
    texts = np.array([f"{moment}Z" for moment in moments], dtype=object)
    points = list(map(Point, texts[place].tolist(), samples.values.tolist()))
    return [points[at:until] for at, until in pairwise(samples.offsets.tolist())]


def together(samples: Samples, places: Sequence[int]) -> tuple[Ints, Floats]:
    """Several series of one metric as one: at each instant the sum of what adds up (counters, ADDED), the smallest of
    what is bad when it is low (LOW_IS_BAD), else the largest."""
    timestamps = np.concatenate([samples.of(place)[0] for place in places])
    values = np.concatenate([samples.of(place)[1] for place in places])
    if not len(timestamps):
        return timestamps, values
    order = np.argsort(timestamps, kind="stable")
    instants, starts = np.unique(timestamps[order], return_index=True)
    return instants, _joined_by(samples.series[places[0]]).reduceat(values[order], starts)


def _joined_by(series: Series) -> np.ufunc:
    if series.metric_type == "counter" or series.metric_name in ADDED:
        return np.add
    return np.minimum if series.metric_name in LOW_IS_BAD else np.maximum


def thresholds(samples: Samples) -> list[dict[str, Any]]:
    """[{label, value}] of the health factors that are drawn."""
    drawn = {series.metric_name for series in samples.series}
    return [
        {"label": f"{factor.title} {level}", "value": value}
        for factor in health.FACTORS
        if factor.metric_name in drawn
        for level, value in (("warning", factor.warning), ("critical", factor.critical))
    ]


def chart(samples: Samples, points: int = POINTS) -> list[dict[str, Any]]:
    """[{label, unit, points: [[ms, value]]}] for the console's charts."""
    drawn = []
    thinned = samples.thinned(points)
    for place, series in enumerate(samples.series[:MAX_SERIES]):
        timestamps, values = thinned.of(place)
        pairs = list(zip(timestamps.tolist(), values.tolist(), strict=True))
        unit = series.metric_unit + ("/s" if series.metric_type == "counter" else "")
        drawn.append({"label": series.title(), "unit": unit, "points": pairs})
    return drawn


def current(known: Sequence[Series], now: datetime, since: datetime) -> dict[str, Any]:
    """The newest value of each standard metric of `known`; what has none is left out. `last_updated` is null without
    any."""
    samples = query.read_series([series for series in known if series.metric_name in STANDARD], since, now).rates()
    found: dict[str, list[float]] = {}
    last_ms = 0
    for place, series in enumerate(samples.series):
        timestamps, values = samples.of(place)
        if len(values):
            found.setdefault(series.metric_name, []).append(float(values[-1]))
            last_ms = max(last_ms, int(timestamps[-1]))
    newest: dict[str, Any] = {name: sum(last) if name in ADDED else max(last) for name, last in found.items()}
    return newest | {"last_updated": stamp(last_ms) if last_ms else None}


def indicators(
    asset: InfrastructureAsset, known: Sequence[Series], span: Span, now: datetime, score: float | None
) -> dict[str, Any]:
    """Availability, mean response time, error budget and performance score; null where there are no data.

    `known` are the asset's series. All of its reports count, whatever metrics are asked for. The performance score is
    the asset's health score.
    """
    end = min(span.end, now)
    slots = query.reported_slots(asset.pk, span.start, end, availability.SLOT_MS)
    counted_from = int(span.start.timestamp() * 1000) if _had_reported(asset.pk, span.start) else None
    available = availability.availability(slots, int(end.timestamp() * 1000), counted_from)
    target = asset.monitoring_config.get("slo_target_percent") or availability.DEFAULT_TARGET_PERCENT
    values = read([series for series in known if series.metric_name == "response_time_ms"], span).values
    return {
        "availability_percentage": None if available is None else round(available, 4),
        "mean_response_time": float(values.mean()) if len(values) else None,
        "error_budget_remaining": availability.budget_remaining(available, target),
        "performance_score": score,
    }


def _had_reported(asset_id: UUID, moment: datetime) -> bool:
    """Whether the asset had reported anything by then; what this server derives itself is no report."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT FROM metric_frame WHERE asset_id = %(asset)s AND ts <= %(moment)s
                AND layout_id NOT IN ({query.DERIVED}))""",
            {"asset": asset_id, "ids": [asset_id], "moment": moment},
        )
        return bool(cursor.fetchone()[0])
