"""The metric catalogue: one row per metric name, kept while series are made, so that no page counts all series.

1. Whoever makes series notes, in the same statement, how many of which name and sender (`metric_series_change`).
2. `tally` takes those notes each minute. Names with few series and senders are counted anew from indexes; of a name
   with many only the number grows, until
3. `recount` counts everything each hour. It also notices what deleted assets took along.
4. `note_seen` moves `last_seen` on, from the newest frames of the head: those of some assets tell of most names, and
   the other names are looked for by themselves; each hour only, once they have not been sent for a day.

All is done in transactions of their own: what is killed half-way is done again. Rows of the catalogue are written
before those of senders, and in the order of names and senders: those whose series are refused do the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from assets.models import CatalogueEntry

# A name with more series is counted each hour only.
FEW_SERIES = 2_000
COUNT_SERIES, REFUSED_SERIES = "series_count", "series_refused"
# An asset's refusals are told for so long after the last one, so that the alert sees that they have ended.
TOLD_FOR = timedelta(hours=1)
# `note_seen` comes every five minutes; frames that are older than this were seen by an earlier one.
SEEN_WITHIN = timedelta(minutes=11)
SEEN_LATELY = timedelta(minutes=5)
GIVEN_UP_AFTER = timedelta(days=1)
_SAMPLED_ASSETS = 200
_LOCK = 0x7765645F_63617461

_SUMMARY = """
    INSERT INTO metric_catalogue AS kept (metric_name, metric_types, metric_units, collection_methods,
                                          series, assets, agents, labels, first_seen, last_seen)
    SELECT grouped.metric_name, types, units, methods, series, assets, agents, coalesce(counted.labels, '{}'),
           first_made, last_made
    FROM (SELECT metric_name, array_agg(DISTINCT metric_type) AS types, array_agg(DISTINCT metric_unit) AS units,
                 array_agg(DISTINCT collection_method) AS methods, sum(series)::bigint AS series,
                 count(DISTINCT asset_id) AS assets, count(DISTINCT agent_id) AS agents,
                 min(first_made) AS first_made, max(last_made) AS last_made
          FROM (SELECT metric_name, metric_type, metric_unit, collection_method, asset_id, agent_id,
                       count(*) AS series, min(created_at) AS first_made, max(created_at) AS last_made
                FROM metric_series WHERE %(all)s OR metric_name = ANY(%(names)s)
                GROUP BY 1, 2, 3, 4, 5, 6) AS alike
          GROUP BY metric_name) AS grouped
    LEFT JOIN (SELECT metric_name, jsonb_object_agg(label, number) AS labels
               FROM (SELECT metric_name, label, count(*) AS number
                     FROM (SELECT DISTINCT metric_name, label, value
                           FROM metric_series CROSS JOIN LATERAL jsonb_each_text(metric_labels) AS pair (label, value)
                           WHERE %(all)s OR metric_name = ANY(%(names)s)) AS pairs
                     GROUP BY 1, 2) AS numbers
               GROUP BY 1) AS counted USING (metric_name)
    ORDER BY metric_name COLLATE "C"
    ON CONFLICT (metric_name) DO UPDATE SET
        metric_types = excluded.metric_types, metric_units = excluded.metric_units,
        collection_methods = excluded.collection_methods, series = excluded.series, assets = excluded.assets,
        agents = excluded.agents, labels = excluded.labels,
        last_seen = greatest(kept.last_seen, excluded.last_seen)"""
_USAGE = """
    INSERT INTO metric_series_usage (asset_id, agent_id, series)
    SELECT asset_id, agent_id, count(*) FROM metric_series
    WHERE %(all)s OR agent_id = ANY(%(agents)s) OR (agent_id IS NULL AND asset_id = ANY(%(assets)s))
    GROUP BY 1, 2 ORDER BY 1, 2 NULLS FIRST
    ON CONFLICT (asset_id, agent_id) DO UPDATE SET series = excluded.series"""


def tally(now: datetime) -> int:
    """Count what was made since the last call, and tell it as series of the assets; how many series were made."""
    with transaction.atomic():
        if not _alone():
            return 0
        names, senders = _taken()
        small = _grow(names)
        _run(_SUMMARY, all=False, names=small)
        agents = [agent for _, agent in senders if agent is not None]
        _run(_USAGE, all=False, agents=agents, assets=[asset for asset, agent in senders if agent is None])
        told = _counts({asset for asset, _ in senders})
    _publish(COUNT_SERIES, told, now)
    _publish(REFUSED_SERIES, _refused_lately(now), now)
    return sum(names.values())


def recount(now: datetime) -> None:
    """Count everything anew; names that have no series left go, unless somebody wrote down what they mean."""
    with transaction.atomic():
        if not _alone():
            return
        _taken()
        _run(_SUMMARY, all=True, names=[])
        _run(_USAGE, all=True, agents=[], assets=[])
        _forget_what_is_gone()
        told = _counts(None)
    _publish(COUNT_SERIES, told, now)
    _look_for(CatalogueEntry.objects.filter(last_seen__lt=now - GIVEN_UP_AFTER, series__gt=0), now)


def note_seen(now: datetime) -> None:
    """Move `last_seen` of the names on to the newest frames of the last minutes."""
    some = "SELECT id FROM infrastructure_assets ORDER BY random() LIMIT %(number)s"
    _note_seen(some, "true", now, number=_SAMPLED_ASSETS)
    missing = CatalogueEntry.objects.filter(last_seen__lt=now - SEEN_LATELY, series__gt=0)
    _look_for(missing.filter(last_seen__gte=now - GIVEN_UP_AFTER), now)


def _look_for(entries: QuerySet[CatalogueEntry], now: datetime) -> None:
    names = list(entries.values_list("metric_name", flat=True))
    if not names:
        return
    owners = "SELECT asset_id FROM metric_series WHERE metric_name = ANY(%(names)s)"
    _note_seen(owners, "series.metric_name = ANY(%(names)s)", now, names=names)


def _note_seen(assets: str, which: str, now: datetime, **parameters: Any) -> None:
    """The same from the frames of `assets` and the series of `which`."""
    _run(
        f"""WITH newest AS MATERIALIZED (
               SELECT frame.* FROM (SELECT DISTINCT id AS asset_id FROM ({assets}) AS chosen (id)) AS asset
               CROSS JOIN LATERAL (
                   SELECT DISTINCT ON (layout_id) asset_id, layout_id, ts, "values" FROM metric_frame
                   WHERE asset_id = asset.asset_id AND ts > %(since)s AND ts <= %(until)s
                   ORDER BY layout_id, ts DESC) AS frame),
           seen AS (
               SELECT series.metric_name, max(newest.ts) AS ts
               FROM newest
               JOIN metric_layout layout ON layout.asset_id = newest.asset_id AND layout.id = newest.layout_id
               CROSS JOIN LATERAL unnest(layout.series_ids, newest."values") AS cell (series_id, value)
               JOIN metric_series series ON series.asset_id = newest.asset_id AND series.id = cell.series_id
               WHERE cell.value <> 'NaN' AND {which}
               GROUP BY 1)
           UPDATE metric_catalogue entry SET last_seen = seen.ts FROM seen
           WHERE entry.metric_name = seen.metric_name AND entry.last_seen < seen.ts""",
        since=now - SEEN_WITHIN,
        until=now,
        **parameters,
    )


def _run(statement: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def _alone() -> bool:
    """Take the lock of those who count, until the end of the transaction; False where another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


_Sender = tuple[UUID, UUID | None]


def _taken() -> tuple[dict[str, int], list[_Sender]]:
    """The notes, which are removed: new series by name, and their senders (asset, agent)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH gone AS (DELETE FROM metric_series_change RETURNING metric_name, asset_id, agent_id, series)
               SELECT metric_name, asset_id, agent_id, sum(series)::bigint FROM gone
               GROUP BY GROUPING SETS ((metric_name), (asset_id, agent_id))"""
        )
        rows = cursor.fetchall()
    names = {name: number for name, _, _, number in rows if name is not None}
    return names, [(asset, agent) for name, asset, agent, _ in rows if name is None]


def _grow(names: dict[str, int]) -> list[str]:
    """Add to the numbers of the names that are known and have many series; answers the other ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH held AS MATERIALIZED (SELECT metric_name FROM metric_catalogue WHERE metric_name = ANY(%s)
                                          ORDER BY metric_name COLLATE "C" FOR UPDATE)
               UPDATE metric_catalogue entry SET series = entry.series + grown.number
               FROM unnest(%s::text[], %s::bigint[]) AS grown (metric_name, number)
               WHERE entry.metric_name = grown.metric_name AND entry.series + grown.number > %s
                 AND entry.metric_name IN (SELECT metric_name FROM held)
               RETURNING entry.metric_name""",
            [list(names), list(names), list(names.values()), FEW_SERIES],
        )
        many = {row[0] for row in cursor.fetchall()}
    return [name for name in names if name not in many]


def _forget_what_is_gone() -> None:
    _run(
        """DELETE FROM metric_catalogue entry WHERE meaning = ''
           AND NOT EXISTS (SELECT FROM metric_series series WHERE series.metric_name = entry.metric_name)"""
    )
    _run(
        """UPDATE metric_catalogue entry SET series = 0, assets = 0, agents = 0, labels = '{}'
           WHERE NOT EXISTS (SELECT FROM metric_series series WHERE series.metric_name = entry.metric_name)"""
    )
    _run(
        """UPDATE metric_series_usage used SET series = 0 WHERE series > 0 AND NOT EXISTS (
               SELECT FROM metric_series series
               WHERE series.asset_id = used.asset_id AND series.agent_id IS NOT DISTINCT FROM used.agent_id)"""
    )


def _counts(assets: set[UUID] | None) -> dict[UUID, float]:
    """How many series each of `assets` (None: all) has."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT asset_id, sum(series)::float8 FROM metric_series_usage
               WHERE %(all)s OR asset_id = ANY(%(assets)s) GROUP BY 1""",
            {"all": assets is None, "assets": list(assets or ())},
        )
        return dict(cursor.fetchall())


def _refused_lately(now: datetime) -> dict[UUID, float]:
    """How often new series of each asset were refused since the last call, of those that had any lately."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH lately AS (SELECT id, asset_id, refused, refused - reported AS fresh FROM metric_series_usage
                               WHERE refused_at > %s ORDER BY asset_id, agent_id NULLS FIRST FOR UPDATE),
                    told AS (UPDATE metric_series_usage used SET reported = lately.refused FROM lately
                             WHERE used.id = lately.id AND lately.fresh > 0)
               SELECT asset_id, sum(fresh)::float8 FROM lately GROUP BY 1""",
            [now - TOLD_FOR],
        )
        return dict(cursor.fetchall())


def _publish(name: str, values: dict[UUID, float], now: datetime) -> None:
    """Store a gauge of each asset. What this server derives is no report of the asset."""
    key = SeriesKey(name, "gauge", "", {}, "synthetic")
    stamp = int(now.timestamp() * 1000)
    samples: Sequence[Sample] = [Sample(str(asset), key, stamp, value) for asset, value in values.items()]
    if samples:
        ingestion.store_samples(samples, now)
