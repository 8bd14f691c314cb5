"""From decoded samples to committed frames: whose they are, when they are, and how they are laid out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
import psycopg
from django.conf import settings

from assets.metrics import layouts
from assets.metrics.committing import Unavailable, committer, lookup_connection
from assets.metrics.frames import Frames
from assets.metrics.identity import SeriesKey
from assets.metrics.layouts import Place
from assets.metrics.wire import Columns, Decoded, Refusal, Sample

# Clocks differ by seconds; what is further ahead comes from a clock that is wrong.
AHEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class Sender:
    """Who sends, and which assets they may write: an agent its own, a person those of their roles."""

    credential: UUID | None = None
    agent_id: UUID | None = None
    own_asset: UUID | None = None


@dataclass
class Outcome:
    """How many samples are committed, and what was refused."""

    accepted: int = 0
    refusals: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class _Bounds:
    oldest_ms: int
    newest_ms: int

    def problem(self, timestamp_ms: int) -> str | None:
        if timestamp_ms > self.newest_ms:
            return f"this is more than {AHEAD.seconds // 60} minutes ahead of the server; check the clock"
        if timestamp_ms < self.oldest_ms:
            return f"this is older than the {settings.METRIC_RETENTION_DAYS} days that are kept"
        return None


def _bounds(now: datetime) -> _Bounds:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    oldest = midnight - timedelta(days=settings.METRIC_RETENTION_DAYS)
    return _Bounds(int(oldest.timestamp() * 1000), int((now + AHEAD).timestamp() * 1000))


AssetFinder = Callable[[Iterable[str]], dict[str, UUID]]


def store(decoded: Decoded, sender: Sender, now: datetime, find_assets: AssetFinder) -> Outcome:
    """Commit what can be kept of `decoded`. Raises Unavailable (nothing is stored) and committing.Revoked.

    `find_assets` answers the ids of the assets named by id or name that exist.
    """
    outcome = Outcome(refusals=list(decoded.refusals))
    bounds = _bounds(now)
    try:
        frames = _lay_out_samples(decoded.samples, sender, bounds, find_assets, outcome)
        frames += _lay_out_columns(decoded.columns, sender, bounds, outcome)
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable(str(error)) from error
    if frames:
        committer().submit(b"".join(frame.copy_rows() for frame in frames), sender.credential)
        outcome.accepted = sum(frame.sample_count() for frame in frames)
    return outcome


def store_samples(samples: Sequence[Sample], now: datetime) -> Outcome:
    """Commit samples that the system itself makes; their `asset` is an id."""
    return store(Decoded(samples=list(samples)), Sender(), now, lambda names: {name: UUID(name) for name in names})


def _lay_out_samples(
    samples: Sequence[Sample], sender: Sender, bounds: _Bounds, find_assets: AssetFinder, outcome: Outcome
) -> list[Frames]:
    named = {sample.asset for sample in samples if sample.asset is not None}
    assets = find_assets(named) if named else {}
    instants: dict[tuple[UUID, int], dict[Place, tuple[SeriesKey, Sample]]] = defaultdict(dict)
    for sample in samples:
        asset_id, refusal = _whose(sample, sender, assets)
        if asset_id is None or refusal:
            outcome.refusals.append(refusal or Refusal(sample.index, "asset_id", "name the asset"))
        elif problem := bounds.problem(sample.timestamp_ms):
            outcome.refusals.append(Refusal(sample.index, "collection_timestamp", problem))
        else:
            key = _with_agent(sample.key, sender)
            instants[asset_id, sample.timestamp_ms][Place(asset_id, key.fingerprint())] = (key, sample)
    return _frames_of_instants(instants) if instants else []


def _whose(sample: Sample, sender: Sender, assets: dict[str, UUID]) -> tuple[UUID | None, Refusal | None]:
    asset_id = sender.own_asset if sample.asset is None else assets.get(sample.asset)
    if asset_id is None:
        said = (
            "name the asset by its id or name"
            if sample.asset is None
            else f"no asset has the id or name {sample.asset!r}"
        )
        return None, Refusal(sample.index, "asset_id", said)
    if sender.own_asset is not None and asset_id != sender.own_asset:
        return None, Refusal(sample.index, "asset_id", "an agent key writes its own asset's metrics only")
    return asset_id, None


def _with_agent(key: SeriesKey, sender: Sender) -> SeriesKey:
    if sender.agent_id is None:
        return key
    return SeriesKey(
        key.metric_name, key.metric_type, key.metric_unit, key.labels, key.collection_method, sender.agent_id
    )


def _frames_of_instants(
    instants: dict[tuple[UUID, int], dict[Place, tuple[SeriesKey, Sample]]],
) -> list[Frames]:
    connection = lookup_connection()
    wanted = {place: key for row in instants.values() for place, (key, _) in row.items()}
    quality = {place: sample.quality for row in instants.values() for place, (_, sample) in row.items()}
    ids = layouts.series_ids(connection, wanted, quality)
    shapes: dict[tuple[UUID, tuple[int, ...]], list[tuple[int, list[float]]]] = defaultdict(list)
    for (asset_id, timestamp_ms), row in instants.items():
        cells = sorted((ids[place], sample.value) for place, (_, sample) in row.items() if place in ids)
        if cells:
            shape = (asset_id, tuple(series_id for series_id, _ in cells))
            shapes[shape].append((timestamp_ms, [value for _, value in cells]))
    return _stack(connection, shapes)


def _stack(
    connection: psycopg.Connection[object],
    shapes: dict[tuple[UUID, tuple[int, ...]], list[tuple[int, list[float]]]],
) -> list[Frames]:
    found = layouts.layout_ids(connection, list(shapes))
    frames = []
    for shape, rows in shapes.items():
        timestamps = np.array([timestamp for timestamp, _ in rows], dtype=np.int64)
        values = np.array([cells for _, cells in rows], dtype=np.float64)
        if shape in found:
            frames.append(Frames(shape[0], found[shape], timestamps, values))
        else:
            frames += _single_series(connection, shape[0], shape[1], timestamps, values)
    return frames


def _single_series(
    connection: psycopg.Connection[object],
    asset_id: UUID,
    series: tuple[int, ...],
    timestamps: np.ndarray,
    values: np.ndarray,
) -> list[Frames]:
    """The same samples as frames of one series each, for an asset that has all the layouts it may."""
    found = layouts.layout_ids(connection, [(asset_id, (series_id,)) for series_id in series])
    frames = []
    for position, series_id in enumerate(series):
        column = values[:, position]
        there = ~np.isnan(column)
        if there.any():
            layout_id = found[asset_id, (series_id,)]
            frames.append(Frames(asset_id, layout_id, timestamps[there], column[there][:, None]))
    return frames


def _lay_out_columns(batches: Sequence[Columns], sender: Sender, bounds: _Bounds, outcome: Outcome) -> list[Frames]:
    if batches and sender.own_asset is None:
        reason = "the columnar form is for agents: send it with an agent's key"
        outcome.refusals += [Refusal(batch.index, "batches", reason) for batch in batches]
        return []
    frames: list[Frames] = []
    for batch in batches:
        frames += _frames_of_columns(batch, sender, bounds, outcome)
    return frames


def _frames_of_columns(batch: Columns, sender: Sender, bounds: _Bounds, outcome: Outcome) -> list[Frames]:
    asset_id = sender.own_asset
    assert asset_id is not None
    kept = (batch.timestamps >= bounds.oldest_ms) & (batch.timestamps <= bounds.newest_ms)
    for timestamp in batch.timestamps[~kept]:
        outcome.refusals.append(Refusal(batch.index, "timestamps", bounds.problem(int(timestamp)) or ""))
    if not kept.any():
        return []
    keys = {Place(asset_id, key.fingerprint()): key for key in (_with_agent(key, sender) for key in batch.series)}
    connection = lookup_connection()
    ids = layouts.series_ids(connection, keys)
    if len(ids) < len(keys):
        outcome.refusals.append(Refusal(batch.index, "batches", "the asset of this agent was deleted"))
        return []
    shape = tuple(ids[place] for place in keys)
    found = layouts.layout_ids(connection, [(asset_id, shape)])
    timestamps, values = batch.timestamps[kept], batch.values[kept]
    if (asset_id, shape) in found:
        return [Frames(asset_id, found[asset_id, shape], timestamps, values)]
    return _single_series(connection, asset_id, shape, timestamps, values)
