"""`make demo`: thirty days of a wedding platform's history in season, marked as a demonstration wherever it is seen.

`platform` says what there is and how busy it is (pure), `samples` writes the metrics and probe results, `story` the
alerts and what people did about them, `furniture` what else the tabs show.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from assets.models import InfrastructureAsset
from wedsync_monitor.embedded.demonstration import furniture, samples, story
from wedsync_monitor.embedded.demonstration.platform import DAYS, HOSTS, MARK, PREFIX, incidents


def fill(now: datetime, days: int = DAYS) -> None:
    """Make the demonstration once; an installation that has it goes on with it.

    Samples go first and are harmless to send twice; everything else is one transaction, so that a fill that was
    interrupted is completed by the next.
    """
    assets = _assets(now)
    if story.is_told():
        go_on(now)
        return
    happened = incidents(_began(assets), days)
    for host in HOSTS:
        samples.write_history(assets[host.name], host, now, days, happened)
    with transaction.atomic():
        story.tell(assets, happened)
        furniture.place(assets, now, days)
        samples.write_results(now, now - timedelta(days=days), happened)


def go_on(now: datetime) -> None:
    """Bring the samples of the demonstration up to `now`: what is not reported goes stale within minutes."""
    assets = {asset.asset_name: asset for asset in demonstrated()}
    if not assets:
        return
    began = _began(assets)
    for host in HOSTS:
        if host.name in assets:
            samples.write_since_last(assets[host.name], host, now, incidents(began, DAYS))
    samples.write_results(now, now - timedelta(hours=24), incidents(began, DAYS))


def demonstrated() -> list[InfrastructureAsset]:
    """The assets of the demonstration."""
    return list(InfrastructureAsset.objects.filter(tags__contains=[MARK], asset_name__startswith=PREFIX))


def _assets(now: datetime) -> dict[str, InfrastructureAsset]:
    """The platform's assets by name; parents and what is needed stand before what needs them."""
    made: dict[str, InfrastructureAsset] = {}
    for host in HOSTS:
        made[host.name], _ = InfrastructureAsset.objects.get_or_create(
            asset_name=host.name,
            defaults={
                "asset_type": host.kind,
                "asset_category": host.category,
                "environment": host.environment,
                "provider": host.provider,
                "location": host.location,
                "tags": [MARK, f"team:{host.team}"],
                "is_critical": host.is_critical,
                "parent_asset": made.get(host.parent),
                "dependencies": [str(made[name].pk) for name in host.needs],
                "configuration": {"demonstration_began": now.isoformat()},
                "monitoring_config": {"collection_interval": 60, "slo_target_percent": 99.9},
            },
        )
    return made


def _began(assets: dict[str, InfrastructureAsset]) -> datetime:
    return min(datetime.fromisoformat(asset.configuration["demonstration_began"]) for asset in assets.values())
