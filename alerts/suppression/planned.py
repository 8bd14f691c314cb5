"""Which assets are in maintenance, for the other apps (assets.planned)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from alerts.models import MaintenanceWindow
from alerts.selection import active_assets
from alerts.suppression import standing, windows
from alerts.suppression.recurrence import Unusable

log = logging.getLogger(__name__)


def in_maintenance(asset_ids: Collection[UUID], at: datetime) -> set[UUID]:
    """Those of the assets that a window covers which runs at that moment; one query while none does."""
    running = [window for window in windows.possibly_running(at) if _runs(window, at)]
    if not running:
        return set()
    assets, found = active_assets(), set()
    for window in running:
        covered = standing.covered_by(window, assets)
        found |= {asset for asset, is_covered in zip(assets.ids, covered.tolist(), strict=True) if is_covered}
    return found & set(asset_ids)


def _runs(window: MaintenanceWindow, at: datetime) -> bool:
    try:
        return windows.running(window, at) is not None
    except Unusable as error:
        log.error("maintenance window %s cannot be followed: %s", window.window_name, error)
        return False
