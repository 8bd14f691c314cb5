"""What rules ask besides samples: alerts of other rules, what depends on what, who is new and who has left.

Each is asked once for all rules of a round, and only where one asks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alerts.models import AlertInstance, AlertRule
from alerts.selection import AssetTable
from alerts.suppression import standing
from assets import presence
from assets.models import InfrastructureAsset

Mask = NDArray[np.bool_]


class Unknown(Exception):
    """A rule asks about another that does not exist; the text says what to change."""


@dataclass
class Surroundings:
    """Of the active `assets` at `now`; the alerts are those of the rules that are `named`."""

    assets: AssetTable
    now: datetime
    named: Collection[str] = ()
    _new: dict[int, Mask] = field(default_factory=dict)

    @cached_property
    def _places(self) -> dict[object, int]:
        return {asset_id: place for place, asset_id in enumerate(self.assets.ids)}

    def _mask(self, asset_ids: Collection[object]) -> Mask:
        found = np.zeros(len(self.assets.ids), dtype=bool)
        found[[self._places[one] for one in asset_ids if one in self._places]] = True
        return found

    @cached_property
    def departed(self) -> Mask:
        """The ephemeral assets that have left."""
        return self._mask(presence.departed(None, self.now))

    def new(self, grace_seconds: int) -> Mask:
        """The assets that are younger than that."""
        if grace_seconds not in self._new:
            since = self.now - timedelta(seconds=grace_seconds)
            rows = InfrastructureAsset.objects.filter(is_active=True, created_at__gt=since)
            self._new[grace_seconds] = self._mask(list(rows.values_list("pk", flat=True)))
        return self._new[grace_seconds]

    def firing(self, rule_name: str) -> Mask:
        """The assets on which the rule has an open alert. Raises Unknown."""
        if rule_name not in self._firing:
            raise Unknown(f"no rule is called {rule_name!r}: correct composite_config")
        return self._firing[rule_name]

    @cached_property
    def _firing(self) -> Mapping[str, Mask]:
        names = AlertRule.objects.filter(rule_name__in=self.named).values_list("rule_name", flat=True)
        found = {name: self._mask(()) for name in names}
        live = AlertInstance.objects.filter(alert_rule__rule_name__in=self.named, status__in=standing.LIVE)
        for name, asset_id in live.values_list("alert_rule__rule_name", "asset_id"):
            if asset_id is None:
                found[name][:] = True
            elif asset_id in self._places:
                found[name][self._places[asset_id]] = True
        return found

    def any_upstream(self, mask: Mask) -> Mask:
        """The assets that depend on one of `mask`, directly or through others."""
        below, above = self._edges
        found = np.zeros(len(mask), dtype=bool)
        while True:
            reached = found.copy()
            reached[below[(mask | found)[above]]] = True
            if (reached == found).all():
                return found
            found = reached

    @cached_property
    def _edges(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of assets, and of what each depends on. What is not active is left out."""
        pairs = [
            (self._places[low], self._places[high])
            for low, ups in standing.upstream().items()
            for high in ups
            if low in self._places and high in self._places
        ]
        edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return edges[:, 0], edges[:, 1]
