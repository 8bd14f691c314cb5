"""What stands beside the samples of a series in files: its asset, agent, name, type, unit, labels and method."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from assets.metrics.parquet import Described


def describe(asset_ids: Iterable[UUID], series_ids: Iterable[int]) -> dict[int, Described]:
    """These series of these assets by their ids, in the order of files: asset, name, labels."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT series.id, asset.id::text, asset_name, coalesce(agent_id::text, ''), metric_name, metric_type,
                      metric_unit, metric_labels::text, collection_method
               FROM metric_series series JOIN infrastructure_assets asset ON asset.id = series.asset_id
               WHERE series.asset_id = ANY(%s) AND series.id = ANY(%s::bigint[])
               ORDER BY asset.id, metric_name, metric_labels, series.id""",
            [list(set(asset_ids)), list(series_ids)],
        )
        return {row[0]: Described(*row[1:]) for row in cursor.fetchall()}
