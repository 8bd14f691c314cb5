"""What holds at one moment: whether an alert is to be kept from people, and why."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from alerts.models import AlertInstance, AlertRule, AlertStatus, MaintenanceWindow, Silence
from alerts.selection import AssetTable
from alerts.suppression import dependencies, matching, windows
from alerts.suppression.recurrence import Unusable
from assets.models import InfrastructureAsset

log = logging.getLogger(__name__)
LIVE = (AlertStatus.OPEN, AlertStatus.ACKNOWLEDGED, AlertStatus.SUPPRESSED)


@dataclass(frozen=True)
class Standing:
    """The windows and silences that hold, and the assets that are down, over the active assets."""

    assets: AssetTable
    windows: Sequence[tuple[str, NDArray[np.bool_]]] = ()  # why, and the assets that it covers
    silences: Sequence[tuple[str, tuple[matching.Matcher, ...]]] = ()
    down: Mapping[UUID, str] = field(default_factory=dict)  # assets that are down, and the alert that says so
    upstream: Mapping[UUID, Sequence[UUID]] = field(default_factory=dict)

    def reason(self, rule: AlertRule, place: int, labels: Mapping[str, str]) -> str:
        """Why nobody is to be told of `rule` on the asset at `place` of the table; empty where they are."""
        config = rule.suppression_config
        if config.get("maintenance_windows", True):
            for why, covered in self.windows:
                if covered[place]:
                    return why
        if self.silences:
            described = labels_of(rule, self.assets, place, labels)
            for why, matchers in self.silences:
                if matching.matches(matchers, described):
                    return why
        return self._hangs_on.get(self.assets.ids[place], "") if config.get("dependencies", True) else ""

    def reason_of_all(self, rule: AlertRule, chosen: NDArray[np.bool_]) -> str:
        """Why nobody is to be told of `rule` about all the `chosen` assets together: a window that covers each of them,
        or a silence that asks for nothing of a single asset."""
        if rule.suppression_config.get("maintenance_windows", True):
            for why, covered in self.windows:
                if covered[chosen].all():
                    return why
        described = _labels_of_rule(rule)
        return next((why for why, matchers in self.silences if matching.matches(matchers, described)), "")

    @cached_property
    def _hangs_on(self) -> dict[UUID, str]:
        if not self.down:
            return {}
        names = dict(zip(self.assets.ids, self.assets.names.tolist(), strict=True))
        return {
            asset: f"Held back: {names.get(cause, 'an asset')}, on which it depends, is down ({self.down[cause]})."
            for asset, cause in dependencies.below(self.down.keys(), self.upstream).items()
        }


def labels_of(rule: AlertRule, assets: AssetTable, place: int, labels: Mapping[str, str]) -> dict[str, str]:
    """What silences compare with: the labels of the series, and over them what every alert has."""
    tags = dict(tag.partition(":")[::2] for tag in assets.tags[place])
    return (
        {f"tag_{key}": value for key, value in tags.items()}
        | dict(labels)
        | _labels_of_rule(rule)
        | {
            "asset": str(assets.names[place]),
            "asset_type": str(assets.types[place]),
            "environment": str(assets.environments[place]),
        }
    )


def _labels_of_rule(rule: AlertRule) -> dict[str, str]:
    return {"rule": rule.rule_name, "severity": rule.severity, "alert_type": rule.alert_type}


def at(now: datetime, assets: AssetTable) -> Standing:
    """What holds at `now`: three queries, and one more while an asset is down."""
    down = _down()
    return Standing(assets, _windows(now, assets), _silences(now), down, upstream() if down else {})


def _windows(now: datetime, assets: AssetTable) -> list[tuple[str, NDArray[np.bool_]]]:
    found = []
    for window in windows.possibly_running(now).filter(alert_suppression=True):
        try:
            span = windows.running(window, now)
        except Unusable as error:
            # It was checked when it was stored; one that cannot be followed any more must not stop the evaluation.
            log.error("maintenance window %s cannot be followed: %s", window.window_name, error)
            continue
        if span is not None:
            why = f"Maintenance window {window.window_name} until {span.end:%Y-%m-%d %H:%M} UTC."
            found.append((why, covered_by(window, assets)))
    return found


def covered_by(window: MaintenanceWindow, assets: AssetTable) -> NDArray[np.bool_]:
    """The assets that `window` names or selects; all of them where it does neither."""
    if not window.affected_assets and not window.asset_filter:
        return np.ones(len(assets.ids), dtype=bool)
    named = set(window.affected_assets)
    mask = np.fromiter((str(asset) in named for asset in assets.ids), dtype=bool, count=len(assets.ids))
    return mask | assets.select(window.asset_filter) if window.asset_filter else mask


def _silences(now: datetime) -> list[tuple[str, tuple[matching.Matcher, ...]]]:
    found = []
    for silence in Silence.objects.filter(starts_at__lte=now, ends_at__gt=now).select_related("created_by"):
        author = silence.created_by.get_username() if silence.created_by else "a person who has left"
        why = f"Silenced by {author} until {silence.ends_at:%Y-%m-%d %H:%M} UTC: {silence.comment}"
        found.append((why, matching.matchers_of(silence.matchers)))
    return found


def _down() -> dict[UUID, str]:
    """Assets with a live alert of a rule that means that they are down."""
    rows = AlertInstance.objects.filter(
        status__in=LIVE, alert_rule__suppression_config__means_down=True, asset__isnull=False
    )
    return {asset: title for asset, title in rows.values_list("asset_id", "alert_title") if asset is not None}


def upstream() -> dict[UUID, list[UUID]]:
    rows = InfrastructureAsset.objects.filter(is_active=True).values_list("pk", "parent_asset_id", "dependencies")
    return {
        pk: [*([parent] if parent else []), *(UUID(one) for one in depends)]
        for pk, parent, depends in rows
        if parent or depends
    }
