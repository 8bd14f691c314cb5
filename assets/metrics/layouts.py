"""Series and layouts by what they are: looked up in this process, then in the database, made where missing.

Rows of both tables are committed at once and never change, so what a process remembers stays true. An asset that is
deleted takes its rows along; frames of a forgotten layout are never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from assets.metrics import limits
from assets.metrics.identity import SeriesKey, layout_fingerprint
from assets.metrics.recency import Recent

# Exact layouts that an asset may have. A sender that cuts its requests anywhere would breed them without end: past
# this number its odd selections are stored as frames of one series each.
MAX_LAYOUTS_PER_ASSET = 256


class Place(bytes):
    """The natural key of a series or layout: the asset's 16 bytes and the fingerprint's. Millions are remembered and
    looked up, which bytes do without a line of Python."""

    __slots__ = ()

    def __new__(cls, asset_id: UUID, fingerprint: bytes) -> Place:
        return super().__new__(cls, asset_id.bytes + fingerprint)

    @classmethod
    def stored(cls, key: bytes) -> Place:
        """A place as rows have it."""
        return super().__new__(cls, key)

    @property
    def asset_id(self) -> UUID:
        return UUID(bytes=self[:16])

    @property
    def fingerprint(self) -> bytes:
        return self[16:]


# About 130 bytes an entry. What senders of label sets write is remembered by the directory as well.
_series: Recent[Place, int] = Recent(250_000)
_layouts: Recent[Place, int] = Recent(250_000)
_arrangements: Recent[Place, int] = Recent(10_000)


def forget() -> None:
    """Drop what this process remembers, after the tables were emptied."""
    for memory in (_series, _layouts, _arrangements):
        memory.clear()


def remembered(arrangement: Place) -> int | None:
    """The layout of what an agent has sent before in just this form."""
    return _arrangements.find([arrangement]).get(arrangement)


def remember(arrangement: Place, layout_id: int) -> None:
    _arrangements.keep({arrangement: layout_id})


@dataclass(frozen=True)
class Known:
    """The ids of series, and why new ones were refused. Series of unknown assets are in neither."""

    ids: dict[Place, int]
    refused: Mapping[Place, str] = field(default_factory=dict)


def series_ids(
    connection: psycopg.Connection[Any],
    wanted: dict[Place, SeriesKey],
    quality: dict[Place, float] | None = None,
    limited: bool = True,
) -> Known:
    """The ids of `wanted` series; missing ones are made by one statement, as far as their senders may (`limited`).

    `connection` must be in autocommit mode.
    """
    found = _series.find(wanted)
    refused: dict[Place, str] = {}
    if strange := _missing(wanted, found):
        # A process that has just begun finds the series that others made; only new ones are inserted.
        made = _stored(connection, "metric_series", strange)
        if new := _missing(strange, made):
            with connection.transaction():
                refused = limits.refuse_excess(connection, new, wanted) if limited else {}
                made |= _insert_series(connection, _missing(new, refused), wanted, quality or {})
            if raced := _missing(new, made):
                made |= _stored(connection, "metric_series", raced)
        _series.keep(made)
        found |= made
    # One that was refused because another request was making it is there now.
    return Known(found, {place: reason for place, reason in refused.items() if place not in found})


def _missing(wanted: Iterable[Place], found: Mapping[Place, object]) -> list[Place]:
    """Sorted, so that two writers take the unique index in the same order and never wait for each other in a ring."""
    return sorted(place for place in wanted if place not in found)


def _insert_series(
    connection: psycopg.Connection[Any],
    places: Sequence[Place],
    wanted: dict[Place, SeriesKey],
    quality: dict[Place, float],
) -> dict[Place, int]:
    """The ids of those that are new and whose asset exists."""
    # One document: psycopg takes its time over the elements of arrays, and a new host brings a hundred series.
    rows = [
        {
            "key": place.hex(),
            "agent_id": key.agent_id,
            "name": key.metric_name,
            "type": key.metric_type,
            "unit": key.metric_unit,
            "labels": dict(key.labels),
            "method": key.collection_method,
            "quality": quality.get(place, 1.0),
        }
        for place, key in ((place, wanted[place]) for place in places)
    ]
    made = connection.execute(
        """WITH made AS (
               INSERT INTO metric_series (asset_id, fingerprint, agent_id, metric_name, metric_type, metric_unit,
                                          metric_labels, collection_method, data_quality_score)
               SELECT asset.id, decode(substr(key, 33), 'hex'), agent_id, name, type, unit, labels, method, quality
               FROM jsonb_to_recordset(%s::jsonb)
                    AS wanted (key text, agent_id uuid, name text, type text, unit text, labels jsonb, method text,
                               quality float8)
               JOIN infrastructure_assets asset ON asset.id = left(key, 32)::uuid
               ON CONFLICT DO NOTHING
               RETURNING *),
           noted AS (
               INSERT INTO metric_series_change (asset_id, agent_id, metric_name, series)
               SELECT asset_id, agent_id, metric_name, count(*) FROM made GROUP BY 1, 2, 3),
           named AS (
               INSERT INTO metric_label (name, value)
               SELECT DISTINCT pair.key, pair.value
               FROM (SELECT DISTINCT jsonb_build_object('job', collection_method) || metric_labels FROM made)
                    AS new (sets)
               CROSS JOIN LATERAL jsonb_each_text(new.sets) AS pair
               WHERE octet_length(pair.key) + octet_length(pair.value) < 2000
               -- In order, so that two writers never wait for each other in a ring.
               ORDER BY pair.key, pair.value
               ON CONFLICT DO NOTHING)
           SELECT uuid_send(asset_id) || fingerprint, id FROM made""",
        [msgspec.json.encode(rows).decode()],
        binary=True,
    )
    return {Place.stored(key): row_id for key, row_id in made}


def _stored(connection: psycopg.Connection[Any], table: str, places: Sequence[Place]) -> dict[Place, int]:
    keys = [bytes(place) for place in places]
    rows = connection.execute(
        f"""SELECT wanted.key, stored.id
            FROM (SELECT key, encode(substr(key, 1, 16), 'hex')::uuid AS asset_id, substr(key, 17) AS fingerprint
                  FROM unnest(%b::bytea[]) AS named (key)) AS wanted
            JOIN {table} stored USING (asset_id, fingerprint)""",
        [keys],
        binary=True,
    )
    return {Place.stored(key): row_id for key, row_id in rows}


def layout_ids(
    connection: psycopg.Connection[Any], wanted: Sequence[tuple[UUID, tuple[int, ...]]]
) -> dict[tuple[UUID, tuple[int, ...]], int]:
    """The ids of layouts (asset, ordered series ids). A layout of several series that its asset has no room for is
    left out of the answer: store its samples by layouts of one series."""
    places = {Place(asset_id, layout_fingerprint(ids)): (asset_id, ids) for asset_id, ids in wanted}
    found = _layouts.find(places)
    missing = sorted(place for place in places if place not in found)
    if missing:
        _insert_layouts(connection, missing, places)
        made = _stored(connection, "metric_layout", missing)
        _layouts.keep(made)
        found |= made
    return {places[place]: row_id for place, row_id in found.items()}


def _insert_layouts(
    connection: psycopg.Connection[Any],
    missing: Sequence[Place],
    places: dict[Place, tuple[UUID, tuple[int, ...]]],
) -> None:
    connection.execute(
        """INSERT INTO metric_layout (asset_id, fingerprint, series_ids)
           SELECT asset_id, fingerprint, ids::bigint[]
           FROM unnest(%b::uuid[], %b::bytea[], %b::text[]) AS wanted (asset_id, fingerprint, ids)
           WHERE position(',' in ids) = 0
              OR (SELECT count(*) FROM metric_layout layout
                  WHERE layout.asset_id = wanted.asset_id AND cardinality(layout.series_ids) > 1) < %b
           ON CONFLICT DO NOTHING""",
        [
            [place.asset_id for place in missing],
            [place.fingerprint for place in missing],
            ["{" + ",".join(map(str, places[place][1])) + "}" for place in missing],
            MAX_LAYOUTS_PER_ASSET,
        ],
    )
