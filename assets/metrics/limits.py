"""How many series senders may make: at the limit new ones are refused one by one, and known ones keep flowing.

A sender is an agent, or all tokens together on one asset; each metric name has a limit over all senders too. Only what
makes series comes here: samples of known series cost nothing. The senders' limits are exact; a name's is that of the
last tally (assets/metrics/catalogue.py), so that all who write one metric do not wait for each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from django.conf import settings

from assets.metrics.identity import SeriesKey

if TYPE_CHECKING:
    from assets.metrics.layouts import Place

# Makers of one sender's series follow one another. Senders share some locks, for a request may name 10,000 assets.
_LOCK_SPACE = 0x7365_7269
_SLOTS = 64
MAX_EXAMPLE_LENGTH = 300


@dataclass(frozen=True, order=True)
class Scope:
    """Whose series are counted together: an agent's, or those that tokens make on an asset."""

    owner: UUID
    is_agent: bool


@dataclass
class _Room:
    limit: int
    taken: int

    def take(self) -> bool:
        self.taken += 1
        return self.taken <= self.limit


def scope_of(place: Place, key: SeriesKey) -> Scope:
    return Scope(key.agent_id, True) if key.agent_id else Scope(place.asset_id, False)


def refuse_excess(
    connection: psycopg.Connection[Any], new: Sequence[Place], wanted: Mapping[Place, SeriesKey]
) -> dict[Place, str]:
    """Those of the `new` series for which there is no room, with why; they are counted as refused.

    Call it in the transaction that makes the others.
    """
    scopes = {place: scope_of(place, wanted[place]) for place in new}
    _hold(connection, set(scopes.values()))
    rooms = _rooms(connection, set(scopes.values()))
    names = _names(connection, {wanted[place].metric_name for place in new})
    refused: dict[Place, str] = {}
    full: list[str] = []
    for place in new:
        room, name = rooms.get(scopes[place]), wanted[place].metric_name
        if room is None:  # the asset or agent was deleted: whoever makes the series finds out
            continue
        if not names[name].take():
            refused[place] = _name_is_full(name, names[name].limit)
            full.append(name)
        elif not room.take():
            refused[place] = _sender_is_full(scopes[place], room.limit)
    if refused:
        _count(connection, refused, wanted, Counter(full))
    return refused


def _hold(connection: psycopg.Connection[Any], scopes: set[Scope]) -> None:
    slots = sorted({scope.owner.int % _SLOTS for scope in scopes})
    connection.execute(
        "SELECT pg_advisory_xact_lock(%s, slot) FROM (SELECT unnest(%s::int[]) AS slot ORDER BY 1) AS ordered",
        [_LOCK_SPACE, slots],
    )


def _rooms(connection: psycopg.Connection[Any], scopes: set[Scope]) -> dict[Scope, _Room]:
    agents = [scope.owner for scope in scopes if scope.is_agent]
    assets = [scope.owner for scope in scopes if not scope.is_agent]
    rows = connection.execute(
        """SELECT agent.id, true, coalesce(agent.max_series, %s),
                  (SELECT count(*) FROM metric_series WHERE agent_id = agent.id)
           FROM monitoring_agents agent WHERE agent.id = ANY(%s)
           UNION ALL
           SELECT asset.id, false, coalesce((asset.monitoring_config ->> 'max_series')::int, %s),
                  (SELECT count(*) FROM metric_series WHERE agent_id IS NULL AND asset_id = asset.id)
           FROM infrastructure_assets asset WHERE asset.id = ANY(%s)""",
        [settings.METRIC_MAX_SERIES_PER_AGENT, agents, settings.METRIC_MAX_SERIES_PER_ASSET, assets],
    )
    return {Scope(owner, is_agent): _Room(limit, taken) for owner, is_agent, limit, taken in rows}


def _names(connection: psycopg.Connection[Any], names: set[str]) -> Mapping[str, _Room]:
    limit = settings.METRIC_MAX_SERIES_PER_NAME
    rows = connection.execute(
        "SELECT metric_name, series FROM metric_catalogue WHERE metric_name = ANY(%s)", [list(names)]
    )
    rooms: defaultdict[str, _Room] = defaultdict(lambda: _Room(limit, 0))
    rooms.update({name: _Room(limit, series) for name, series in rows})
    return rooms


def _sender_is_full(scope: Scope, limit: int) -> str:
    if scope.is_agent:
        return (
            f"a new series, and this agent has all the {limit} that it may have; send fewer different label values, "
            "or raise the agent's max_series"
        )
    return (
        f"a new series, and this asset has all the {limit} that tokens may make; send fewer different label values, "
        "or raise max_series in the asset's monitoring_config"
    )


def _name_is_full(name: str, limit: int) -> str:
    return (
        f"a new series, and {name} has all the {limit} that one metric may have; send fewer different label values, "
        "or raise WEDSYNC_METRIC_MAX_SERIES_PER_NAME"
    )


def _count(
    connection: psycopg.Connection[Any],
    refused: Mapping[Place, str],
    wanted: Mapping[Place, SeriesKey],
    full: Mapping[str, int],
) -> None:
    """Keep how many were refused, by the name that was full and by sender: first the names, and both in one order, as
    those who count do (assets/metrics/catalogue.py), so that nobody waits in a ring."""
    counts = Counter((place.asset_id, wanted[place].agent_id) for place in refused)
    examples = {(place.asset_id, wanted[place].agent_id): _title(wanted[place]) for place in refused}
    rows = [
        (asset, agent, counts[asset, agent], examples[asset, agent])
        for asset, agent in sorted(counts, key=lambda sender: (sender[0].bytes, sender[1].bytes if sender[1] else b""))
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE metric_catalogue SET refused = refused + %s, refused_at = now() WHERE metric_name = %s",
            [(full[name], name) for name in sorted(full)],
        )
        cursor.executemany(
            """INSERT INTO metric_series_usage AS kept (asset_id, agent_id, refused, refused_at, example)
               SELECT asset.id, %(agent)s::uuid, %(number)s, now(), %(example)s FROM infrastructure_assets asset
               WHERE asset.id = %(asset)s
               ON CONFLICT (asset_id, agent_id) DO UPDATE SET
                   refused = kept.refused + excluded.refused, refused_at = now(), example = excluded.example""",
            [
                {"asset": asset, "agent": agent, "number": number, "example": example}
                for asset, agent, number, example in rows
            ],
        )


def _title(key: SeriesKey) -> str:
    inside = ",".join(f"{name}={value}" for name, value in sorted(key.labels.items()))
    return f"{key.metric_name}{{{inside}}}"[:MAX_EXAMPLE_LENGTH]
