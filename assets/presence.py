"""How often assets are expected to report, and which ephemeral ones have left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Min, Q

from assets import health
from assets.agents import reporting_interval
from assets.metrics import query
from assets.models import InfrastructureAsset, MonitoringAgent

DEFAULT_INTERVAL_SECONDS = 60.0
# How far back the last report of an asset that is silent is searched for.
SILENCE = timedelta(days=7)
FEW = 500


def some_of(ids: Sequence[UUID], column: str) -> Q:
    """A condition that `column` is one of `ids`; of many, reading all rows is cheaper than naming them."""
    return Q(**{f"{column}__in": ids}) if len(ids) <= FEW else Q()


def expected_intervals(assets: Sequence[InfrastructureAsset]) -> dict[UUID, float]:
    """Seconds between reports of each of `assets`: its own setting, or that of its quickest active agent."""
    ids = [asset.pk for asset in assets]
    active = MonitoringAgent.objects.filter(some_of(ids, "asset_id"), is_active=True).order_by()
    agents = dict(active.values_list("asset_id").annotate(Min("collection_interval")))
    return {
        asset.pk: float(reporting_interval(asset) or agents.get(asset.pk) or DEFAULT_INTERVAL_SECONDS)
        for asset in assets
    }


def is_ephemeral(asset: InfrastructureAsset) -> bool:
    return bool(asset.monitoring_config.get("ephemeral"))


def departed(asset_ids: Collection[UUID] | None, now: datetime) -> set[UUID]:
    """Those of `asset_ids` (None: of all assets) that are ephemeral and have left (health.has_departed). Nobody is to
    be woken because one of these is silent. Three queries; one where no asset is ephemeral."""
    rows = InfrastructureAsset.objects.filter(monitoring_config__ephemeral=True).only("monitoring_config")
    assets = [asset for asset in rows if asset_ids is None or asset.pk in asset_ids]
    if not assets:
        return set()
    intervals = expected_intervals(assets)
    reports = query.last_reports([asset.pk for asset in assets], now - SILENCE)
    return {asset.pk for asset in assets if health.has_departed(True, reports.get(asset.pk), intervals[asset.pk], now)}
