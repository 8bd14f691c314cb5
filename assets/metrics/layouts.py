"""Series and layouts by what they are: looked up in this process, then in the database, made where missing.

Rows of both tables are committed at once and never change, so what a process remembers stays true. An asset that is
deleted takes its rows along; frames of a forgotten layout are never read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from assets.metrics.identity import SeriesKey, layout_fingerprint

# Exact layouts that an asset may have. A sender that cuts its requests anywhere would breed them without end: past
# this number its odd selections are stored as frames of one series each.
MAX_LAYOUTS_PER_ASSET = 256
_REMEMBERED = 500_000


@dataclass(frozen=True)
class Place:
    """The natural key of a series or layout."""

    asset_id: UUID
    fingerprint: bytes


class Memory:
    """A bounded mapping from places to row ids that threads share; the oldest entries go first."""

    def __init__(self, size: int = _REMEMBERED):
        self._entries: OrderedDict[Place, int] = OrderedDict()
        self._size, self._lock = size, Lock()

    def find(self, places: Sequence[Place]) -> dict[Place, int]:
        entries = self._entries
        return {place: row for place in places if (row := entries.get(place)) is not None}

    def keep(self, found: dict[Place, int]) -> None:
        with self._lock:
            self._entries.update(found)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


_series, _layouts, _arrangements = Memory(), Memory(), Memory(20_000)


def forget() -> None:
    """Drop what this process remembers, after the tables were emptied."""
    for memory in (_series, _layouts, _arrangements):
        memory.clear()


def remembered(arrangement: Place) -> int | None:
    """The layout of what an agent has sent before in just this form."""
    return _arrangements.find([arrangement]).get(arrangement)


def remember(arrangement: Place, layout_id: int) -> None:
    _arrangements.keep({arrangement: layout_id})


def series_ids(
    connection: psycopg.Connection[Any],
    wanted: dict[Place, SeriesKey],
    quality: dict[Place, float] | None = None,
) -> dict[Place, int]:
    """The ids of `wanted` series; missing ones are made by one statement. Unknown assets have none in the answer.

    `connection` must be in autocommit mode.
    """
    found = _series.find(list(wanted))
    if strange := _missing(wanted, found):
        # A process that has just begun finds the series that others made; only new ones are inserted.
        made = _stored(connection, "metric_series", strange)
        if new := _missing(strange, made):
            _insert_series(connection, new, wanted, quality or {})
            made |= _stored(connection, "metric_series", new)
        _series.keep(made)
        found |= made
    return found


def _missing(wanted: Iterable[Place], found: dict[Place, int]) -> list[Place]:
    """Sorted, so that two writers take the unique index in the same order and never wait for each other in a ring."""
    return sorted((place for place in wanted if place not in found), key=_order)


def _order(place: Place) -> tuple[bytes, bytes]:
    return place.asset_id.bytes, place.fingerprint


def _insert_series(
    connection: psycopg.Connection[Any],
    places: Sequence[Place],
    wanted: dict[Place, SeriesKey],
    quality: dict[Place, float],
) -> None:
    # One document: psycopg takes its time over the elements of arrays, and a new host brings a hundred series.
    rows = [
        {
            "asset_id": place.asset_id,
            "fingerprint": place.fingerprint.hex(),
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
    connection.execute(
        """WITH made AS (
               INSERT INTO metric_series (asset_id, fingerprint, agent_id, metric_name, metric_type, metric_unit,
                                          metric_labels, collection_method, data_quality_score)
               SELECT asset_id, decode(fingerprint, 'hex'), agent_id, name, type, unit, labels, method, quality
               FROM jsonb_to_recordset(%s::jsonb)
                    AS wanted (asset_id uuid, fingerprint text, agent_id uuid, name text, type text, unit text,
                               labels jsonb, method text, quality float8)
               WHERE EXISTS (SELECT FROM infrastructure_assets asset WHERE asset.id = wanted.asset_id)
               ON CONFLICT DO NOTHING
               RETURNING metric_labels, collection_method)
           INSERT INTO metric_label (name, value)
           SELECT DISTINCT pair.key, pair.value
           FROM (SELECT DISTINCT jsonb_build_object('job', collection_method) || metric_labels FROM made) AS new (sets)
           CROSS JOIN LATERAL jsonb_each_text(new.sets) AS pair
           WHERE octet_length(pair.key) + octet_length(pair.value) < 2000
           -- In order, so that two writers never wait for each other in a ring.
           ORDER BY pair.key, pair.value
           ON CONFLICT DO NOTHING""",
        [msgspec.json.encode(rows).decode()],
    )


def _stored(connection: psycopg.Connection[Any], table: str, places: Sequence[Place]) -> dict[Place, int]:
    rows = connection.execute(
        f"""SELECT asset_id, fingerprint, stored.id
            FROM (SELECT asset_id, decode(hex, 'hex') AS fingerprint
                  FROM unnest(%s::uuid[], %s::text[]) AS named (asset_id, hex)) AS wanted
            JOIN {table} stored USING (asset_id, fingerprint)""",
        [_array(place.asset_id.hex for place in places), _array(place.fingerprint.hex() for place in places)],
    )
    return {Place(asset_id, bytes(fingerprint)): row_id for asset_id, fingerprint, row_id in rows}


def _array(elements: Iterable[str]) -> str:
    """An array as PostgreSQL reads it, of elements that need no quotes."""
    return "{" + ",".join(elements) + "}"


def layout_ids(
    connection: psycopg.Connection[Any], wanted: Sequence[tuple[UUID, tuple[int, ...]]]
) -> dict[tuple[UUID, tuple[int, ...]], int]:
    """The ids of layouts (asset, ordered series ids). A layout of several series that its asset has no room for is
    left out of the answer: store its samples by layouts of one series."""
    places = {Place(asset_id, layout_fingerprint(ids)): (asset_id, ids) for asset_id, ids in wanted}
    found = _layouts.find(list(places))
    missing = sorted((place for place in places if place not in found), key=_order)
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
           FROM unnest(%s::uuid[], %s::bytea[], %s::text[]) AS wanted (asset_id, fingerprint, ids)
           WHERE cardinality(ids::bigint[]) = 1
              OR (SELECT count(*) FROM metric_layout layout
                  WHERE layout.asset_id = wanted.asset_id AND cardinality(layout.series_ids) > 1) < %s
           ON CONFLICT DO NOTHING""",
        [
            [place.asset_id for place in missing],
            [place.fingerprint for place in missing],
            ["{" + ",".join(map(str, places[place][1])) + "}" for place in missing],
            MAX_LAYOUTS_PER_ASSET,
        ],
    )
