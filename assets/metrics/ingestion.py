"""From decoded samples to committed frames: whose they are, when they are, and how they are laid out."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import compress
from uuid import UUID

import numpy as np
import psycopg
from django.conf import settings
from numpy.typing import NDArray

from assets import discovered
from assets.metrics import directory, grouping, layouts
from assets.metrics.committing import Unavailable, committer, look_up, lookup_connection
from assets.metrics.frames import Frames, copy_rows
from assets.metrics.identity import SeriesKey
from assets.metrics.labelled import Labelled, Named, NotASeries
from assets.metrics.layouts import Known, Place
from assets.metrics.wire import Columns, Decoded, Refusal, Sample

# Clocks differ by seconds; what is further ahead comes from a clock that is wrong.
AHEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class Sender:
    """Who sends, and which assets they may write: an agent its own, a person those of their roles."""

    credential: UUID | None = None
    agent_id: UUID | None = None
    own_asset: UUID | None = None
    may_discover: bool = False  # unknown hosts become assets

    @property
    def is_limited(self) -> bool:
        """Whether it may make only so many series; the system itself may make what it needs."""
        return self.credential is not None or self.agent_id is not None


@dataclass
class Outcome:
    """How many samples are committed, and what was refused.

    `written` counts those of label sets as their protocols do: whatever was not refused, so also stale markers and what
    came twice.
    """

    accepted: int = 0
    written: int = 0
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
    bounds = _bounds(now)
    try:
        frames, outcome = look_up(lambda: _lay_out(decoded, sender, bounds, find_assets))
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable(str(error)) from error
    if frames:
        committer().submit(copy_rows(frames), sender.credential)
        outcome.accepted = sum(frame.sample_count() for frame in frames)
    return outcome


def store_samples(samples: Sequence[Sample], now: datetime) -> Outcome:
    """Commit samples that the system itself makes; their `asset` is an id."""
    return store(Decoded(samples=list(samples)), Sender(), now, lambda names: {name: UUID(name) for name in names})


def _lay_out(
    decoded: Decoded, sender: Sender, bounds: _Bounds, find_assets: AssetFinder
) -> tuple[list[Frames], Outcome]:
    outcome = Outcome(refusals=list(decoded.refusals))
    frames = _lay_out_samples(decoded.samples, sender, bounds, find_assets, outcome)
    frames += _lay_out_columns(decoded.columns, sender, bounds, outcome)
    if decoded.labelled is not None:
        frames += _lay_out_labelled(decoded.labelled, sender, bounds, find_assets, outcome)
    return frames, outcome


def _lay_out_samples(
    samples: Sequence[Sample], sender: Sender, bounds: _Bounds, find_assets: AssetFinder, outcome: Outcome
) -> list[Frames]:
    timely: list[Sample] = []
    for sample in samples:
        if problem := bounds.problem(sample.timestamp_ms):
            outcome.refusals.append(Refusal(sample.index, "collection_timestamp", problem))
        else:
            timely.append(sample)
    if not timely:
        return []
    if len(timely) == 1:
        return _lay_out_one(timely[0], sender, find_assets, outcome)
    # Most samples of a request share few series: whatever depends on the series alone is done once for each.
    numbers: dict[tuple[str | None, str | None, bytes], int] = {}
    origin = [numbers.setdefault((one.asset, one.also, one.key.fingerprint), len(numbers)) for one in timely]
    named = {name for asset, also, _ in numbers for name in (asset, also) if name is not None}
    assets = find_assets(named) if named else {}
    distinct = dict(zip(origin, timely, strict=True))
    found = [_series_of(distinct[number], sender, assets) for number in range(len(numbers))]
    return _frames_of_samples(timely, origin, found, sender, outcome)


def _lay_out_one(sample: Sample, sender: Sender, find_assets: AssetFinder, outcome: Outcome) -> list[Frames]:
    """The same for a request of one sample, for which gathering arrays would cost more than all else."""
    found = _series_of(sample, sender, find_assets([name for name in (sample.asset, sample.also) if name is not None]))
    if isinstance(found, str):
        outcome.refusals.append(Refusal(sample.index, "asset_id", found))
        return []
    place, key, quality = found
    layout_id = layouts.remembered(place)
    if layout_id is None:
        connection = lookup_connection()
        known = layouts.series_ids(connection, {place: key}, {place: quality}, sender.is_limited)
        if place not in known.ids:
            outcome.refusals.append(Refusal(sample.index, *_why_not(found, known)))
            return []
        shape = (place.asset_id, (known.ids[place],))
        layout_id = layouts.layout_ids(connection, [shape])[shape]
        layouts.remember(place, layout_id)
    return [Frames(place.asset_id, layout_id, np.array([sample.timestamp_ms]), np.array([[sample.value]]))]


_DELETED = "the asset was deleted"
_Series = tuple[Place, SeriesKey, float]


def _series_of(sample: Sample, sender: Sender, assets: dict[str, UUID]) -> _Series | str:
    """The series that a sample belongs to, with its quality; or why the sender may not write it."""
    asset_id = _owner_of(sample.asset, sender, assets)
    if isinstance(asset_id, str):
        return asset_id
    if sample.also is not None and assets.get(sample.also) != asset_id:
        return "asset_id and asset_name do not name the same asset; send one of them"
    key = _with_agent(sample.key, sender)
    return Place(asset_id, key.fingerprint), key, sample.quality


def _owner_of(name: str | None, sender: Sender, assets: dict[str, UUID]) -> UUID | str:
    """The asset that a sender means by `name`; or why the sender may not write it."""
    asset_id = sender.own_asset if name is None else assets.get(name)
    if asset_id is None:
        return "name the asset by its id or name" if name is None else _unknown(name, sender)
    if sender.own_asset is not None and asset_id != sender.own_asset:
        return "an agent key writes its own asset's metrics only"
    return asset_id


def _unknown(name: str, sender: Sender) -> str:
    advice = discovered.REFUSED if sender.may_discover else "register it, or send with a token that may discover assets"
    return f"no asset has the id or name {name!r}; {advice}"


def _with_agent(key: SeriesKey, sender: Sender) -> SeriesKey:
    if sender.agent_id is None:
        return key
    return SeriesKey(
        key.metric_name, key.metric_type, key.metric_unit, key.labels, key.collection_method, sender.agent_id
    )


def _frames_of_samples(
    samples: list[Sample], origin: list[int], found: list[_Series | str], sender: Sender, outcome: Outcome
) -> list[Frames]:
    """The frames of `samples`, each of which is of the series `found[origin]`; those without one are refused."""
    connection = lookup_connection()
    series = {number: one for number, one in enumerate(found) if not isinstance(one, str)}
    wanted = {place: key for place, key, _ in series.values()}
    quality = {place: quality for place, _, quality in series.values()}
    known = layouts.series_ids(connection, wanted, quality, sender.is_limited)
    ids = known.ids
    owners: dict[UUID, int] = {}
    table = np.full((len(found), 2), -1, dtype=np.int64)
    for number, (place, _, _) in series.items():
        if place in ids:
            table[number] = owners.setdefault(place.asset_id, len(owners)), ids[place]
    kept = (table[origin, 0] >= 0).tolist()
    for sample, number in compress(zip(samples, origin, strict=True), map(operator.not_, kept)):
        outcome.refusals.append(Refusal(sample.index, *_why_not(found[number], known)))
    rows = table[list(compress(origin, kept))]
    timestamps = np.array([sample.timestamp_ms for sample in compress(samples, kept)], dtype=np.int64)
    values = np.array([sample.value for sample in compress(samples, kept)], dtype=np.float64)
    return stack(connection, list(owners), grouping.group(rows[:, 0], rows[:, 1], timestamps, values))


def _why_not(found: _Series | str, known: Known) -> tuple[str, str]:
    """(field, reason) of a sample that has no series."""
    if isinstance(found, str):
        return "asset_id", found
    return _why_no_series(found[0], known, "asset_id")


def _why_no_series(place: Place, known: Known, field_of_asset: str) -> tuple[str, str]:
    if reason := known.refused.get(place):
        return "metric_labels", reason
    return field_of_asset, _DELETED


def stack(connection: psycopg.Connection[object], assets: list[UUID], grouped: list[grouping.Instants]) -> list[Frames]:
    """The frames of grouped samples, whose `asset` is a place in `assets`."""
    found = layouts.layout_ids(connection, [(assets[one.asset], one.series) for one in grouped])
    frames = []
    for one in grouped:
        asset_id = assets[one.asset]
        if (asset_id, one.series) in found:
            frames.append(Frames(asset_id, found[asset_id, one.series], one.timestamps, one.values))
        else:
            frames += _single_series(connection, asset_id, one.series, one.timestamps, one.values)
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


def _lay_out_labelled(
    labelled: Labelled, sender: Sender, bounds: _Bounds, find_assets: AssetFinder, outcome: Outcome
) -> list[Frames]:
    sent, refused = len(labelled.origin), len(outcome.refusals)
    frames = _lay_out_written(_usable(labelled, bounds, outcome), sender, find_assets, outcome)
    outcome.written = sent - (len(outcome.refusals) - refused)
    return frames


def _lay_out_written(labelled: Labelled, sender: Sender, find_assets: AssetFinder, outcome: Outcome) -> list[Frames]:
    if not len(labelled.origin):
        return []

    def still_there(owners: Sequence[directory.Owner]) -> list[bool]:
        assets = find_assets({owner.name for owner in owners if owner.name is not None})
        return [_owner_of(owner.name, sender, assets) == owner.asset_id for owner in owners]

    scope = (labelled.form, sender.agent_id)
    found = directory.look_up(scope, labelled.names, still_there)
    unknown = (found.table[:, 0] < 0) & (np.bincount(labelled.origin, minlength=len(labelled.names)) > 0)
    if unknown.any():
        learnt, reasons = _learn(labelled, np.flatnonzero(unknown), sender, find_assets)
        directory.keep(scope, {labelled.names[number]: entry for number, entry in learnt.items()})
        found = found.add(learnt)
        labelled = _refuse_nameless(labelled, reasons, outcome)
    rows = found.table[labelled.origin]
    assets = [owner.asset_id for owner in found.owners]
    grouped = grouping.group(rows[:, 0], rows[:, 1], labelled.timestamps, labelled.values)
    return stack(lookup_connection(), assets, grouped)


def _usable(labelled: Labelled, bounds: _Bounds, outcome: Outcome) -> Labelled:
    """Samples with a finite value and a time that is kept."""
    timely = (labelled.timestamps >= bounds.oldest_ms) & (labelled.timestamps <= bounds.newest_ms)
    infinite, missing = np.isinf(labelled.values), np.isnan(labelled.values)
    for index, timestamp in zip(labelled.index[~timely].tolist(), labelled.timestamps[~timely].tolist(), strict=True):
        outcome.refusals.append(Refusal(index, "timestamp", bounds.problem(timestamp) or ""))
    for index in labelled.index[timely & infinite].tolist():
        outcome.refusals.append(Refusal(index, "value", "send a finite number"))
    return labelled.take(timely & ~infinite & ~missing)


def _learn(
    labelled: Labelled, unknown: NDArray[np.int64], sender: Sender, find_assets: AssetFinder
) -> tuple[dict[int, directory.Entry], dict[int, tuple[str, str]]]:
    """The entries of names that are unknown so far; (field, reason) of those that cannot have one."""
    reasons: dict[int, tuple[str, str]] = {}
    described: dict[int, Named] = {}
    for number in unknown.tolist():
        try:
            described[number] = labelled.describe(labelled.names[number])
        except NotASeries as error:
            reasons[number] = error.field, error.reason
    assets = find_assets({named.asset for named in described.values() if named.asset is not None})
    places: dict[int, tuple[Place, SeriesKey]] = {}
    for number, named in described.items():
        asset_id = _owner_of(named.asset, sender, assets)
        if isinstance(asset_id, str):
            reasons[number] = "asset", asset_id
        else:
            key = _with_agent(named.key, sender)
            places[number] = Place(asset_id, key.fingerprint), key
    known = layouts.series_ids(lookup_connection(), dict(places.values()), limited=sender.is_limited)
    entries: dict[int, directory.Entry] = {}
    for number, (place, _) in places.items():
        if place in known.ids:
            owner = directory.Owner(described[number].asset, place.asset_id)
            entries[number] = directory.Entry(owner, known.ids[place])
        else:
            reasons[number] = _why_no_series(place, known, "asset")
    return entries, reasons


def _refuse_nameless(labelled: Labelled, reasons: dict[int, tuple[str, str]], outcome: Outcome) -> Labelled:
    if not reasons:
        return labelled
    bad = np.isin(labelled.origin, list(reasons))
    for index, number in zip(labelled.index[bad].tolist(), labelled.origin[bad].tolist(), strict=True):
        outcome.refusals.append(Refusal(index, *reasons[number]))
    return labelled.take(~bad)


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
    reasons = Counter(bounds.problem(int(timestamp)) or "" for timestamp in batch.timestamps[~kept])
    outcome.refusals += [Refusal(batch.index, "timestamps", f"{n} of them: {why}") for why, n in reasons.items()]
    if not kept.any():
        return []
    timestamps, values = batch.timestamps[kept], batch.values[kept]
    arrangement = Place(asset_id, (sender.agent_id.bytes if sender.agent_id else b"") + batch.identity)
    if batch.identity and (layout_id := layouts.remembered(arrangement)):
        return [Frames(asset_id, layout_id, timestamps, values)]
    columns = {Place(asset_id, _with_agent(key, sender).fingerprint): at for at, key in enumerate(batch.series)}
    keys = {place: _with_agent(batch.series[at], sender) for place, at in columns.items()}
    connection = lookup_connection()
    known = layouts.series_ids(connection, keys, limited=sender.is_limited)
    missing = [place for place in keys if place not in known.ids]
    outcome.refusals += _refused_columns(missing, known, keys, batch.index)
    if len(missing) == len(keys):
        return []
    kept_places = [place for place in keys if place in known.ids]
    values = values[:, [columns[place] for place in kept_places]]
    shape = tuple(known.ids[place] for place in kept_places)
    found = layouts.layout_ids(connection, [(asset_id, shape)])
    if (asset_id, shape) not in found:
        return _single_series(connection, asset_id, shape, timestamps, values)
    if batch.identity and not missing:
        layouts.remember(arrangement, found[asset_id, shape])
    return [Frames(asset_id, found[asset_id, shape], timestamps, values)]


def _refused_columns(missing: Sequence[Place], known: Known, keys: dict[Place, SeriesKey], index: int) -> list[Refusal]:
    """One refusal for all series of a batch that were refused for the same reason, with the name of the first."""
    firsts: dict[tuple[str, str], str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for place in missing:
        why = _why_no_series(place, known, "batches")
        firsts.setdefault(why, keys[place].metric_name)
        counts[why] += 1
    return [
        Refusal(
            index, field, reason if field == "batches" else f"{n} series, as one of {firsts[field, reason]}: {reason}"
        )
        for (field, reason), n in counts.items()
    ]
