"""Alerts that may have to do with one: around the same time, of its asset, its rule, or assets next to its own."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from alerts.models import AlertInstance
from assets.models import InfrastructureAsset

AROUND = timedelta(minutes=30)
SHOWN = 20


def related_to(alert: AlertInstance, rows: QuerySet[AlertInstance]) -> list[AlertInstance]:
    """Those of `rows` that began within half an hour of `alert`, oldest first, at most SHOWN, each with `relation`: in
    words what it has in common. At most two queries."""
    near = _next_to(alert.asset) if alert.asset else set()
    same = Q(alert_rule=alert.alert_rule_id)
    if alert.asset_id:
        same |= Q(asset__in=[alert.asset_id, *near])
    began = alert.first_triggered_at
    around = rows.filter(same, first_triggered_at__range=(began - AROUND, began + AROUND)).exclude(pk=alert.pk)
    found = list(around.order_by("first_triggered_at", "pk")[:SHOWN])
    for one in found:
        one.relation = _relation(alert, one, near)  # type: ignore[attr-defined]
    return found


def _next_to(asset: InfrastructureAsset) -> set[UUID]:
    """What it hangs on, and what hangs on it."""
    above = {UUID(one) for one in asset.dependencies} | ({asset.parent_asset_id} if asset.parent_asset_id else set())
    return above | set(asset.dependants().values_list("pk", flat=True))


def _relation(alert: AlertInstance, other: AlertInstance, near: Collection[UUID]) -> str:
    if alert.asset_id and other.asset_id == alert.asset_id:
        return "same asset"
    if other.asset_id in near:
        return "asset next to it"
    return "same rule"
