"""Which assets a rule is about: masks over all active assets, so that many rules over many assets stay cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from assets.models import InfrastructureAsset


@dataclass(frozen=True)
class AssetTable:
    """The active assets as columns."""

    ids: list[UUID]
    names: NDArray[np.object_]
    types: NDArray[np.object_]
    environments: NDArray[np.object_]
    tags: list[frozenset[str]]

    def select(self, asset_filter: dict[str, Any]) -> NDArray[np.bool_]:
        """A mask of the assets that match every part of `asset_filter` (conditions.AssetFilter)."""
        mask = np.ones(len(self.ids), dtype=bool)
        columns = {"asset_types": self.types, "environments": self.environments, "asset_names": self.names}
        for part, column in columns.items():
            if wanted := asset_filter.get(part):
                mask &= np.isin(column.astype(str), np.array(wanted, dtype=str))
        if tags := asset_filter.get("tags"):
            needed = {f"{key}:{value}" for key, value in tags.items()}
            mask &= np.fromiter((needed <= own for own in self.tags), dtype=bool, count=len(self.ids))
        return mask


def active_assets() -> AssetTable:
    """All active assets, in one query."""
    columns = ("id", "asset_name", "asset_type", "environment", "tags")
    rows = list(InfrastructureAsset.objects.filter(is_active=True).order_by("asset_name").values_list(*columns))
    ids, names, types, environments, tags = zip(*rows, strict=True) if rows else ((),) * 5
    return AssetTable(
        list(ids),
        np.array(names, dtype=object),
        np.array(types, dtype=object),
        np.array(environments, dtype=object),
        [frozenset(own) for own in tags],
    )
