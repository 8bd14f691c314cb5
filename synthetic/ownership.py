"""Whose series a check's results are: the asset that has its target's host as its name, else a service made for it."""

from __future__ import annotations

from urllib.parse import urlsplit

from assets.metrics.protocols import mapping
from assets.models import InfrastructureAsset
from synthetic.models import SyntheticCheck
from wedsync_monitor.schema import MAX_NAME_LENGTH

# Marks the assets that were made for checks.
TAG = "discovered:check"


def host_of(url: str | None, host: str | None) -> str | None:
    """The target's host in small letters; None where that is this machine, seen from itself, or cannot be read."""
    try:
        named = urlsplit(url).hostname if url else host
    except ValueError:
        return None
    return mapping.host_of((named or "").lower().rstrip("."))


def asset_of(check: SyntheticCheck) -> InfrastructureAsset:
    """The check's asset; made where there is none of that name. A check of this machine's own has one of its name."""
    name = host_of(check.target_url, check.target_host) or f"check {check.check_name}"
    asset, _ = InfrastructureAsset.objects.get_or_create(
        asset_name=name[:MAX_NAME_LENGTH],
        defaults={
            "asset_type": "service",
            "asset_category": "application",
            "environment": "production",
            "tags": [TAG],
            "created_by": check.created_by,
        },
    )
    return asset
