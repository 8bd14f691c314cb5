"""Which assets a maintenance window covers now: derived from timestamps, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from alerts.models import MaintenanceWindow, WindowStatus


@dataclass(frozen=True)
class Coverage:
    """The assets under maintenance; `everything` where a window names none, and so means all."""

    asset_ids: frozenset[str]
    everything: bool

    def __contains__(self, asset_id: object) -> bool:
        return self.everything or str(asset_id) in self.asset_ids


def covered(now: datetime) -> Coverage:
    """What the windows that run at `now` cover: one query. A window that was started early or ended early is judged
    by its actual times."""
    running = MaintenanceWindow.objects.filter(
        Q(actual_start_time__lte=now) | Q(actual_start_time=None, start_time__lte=now),
        Q(actual_end_time__gt=now) | Q(actual_end_time=None, end_time__gt=now),
        alert_suppression=True,
        status__in=[WindowStatus.SCHEDULED, WindowStatus.ACTIVE],
    )
    named = list(running.values_list("affected_assets", flat=True))
    return Coverage(frozenset(asset for assets in named for asset in assets), any(not assets for assets in named))
