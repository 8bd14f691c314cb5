"""Which labels a series has in PromQL: those it was sent with, and what is known of its asset. Pure: no Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assets.metrics.promql.syntax import NAME

# What every series has, stored or not. A stored label stands before what is derived, so that a series is found by the
# labels it was sent with; `asset` alone is always the asset's name.
DERIVED = ("asset", "asset_type", "environment", "host", "instance", "job")


@dataclass(frozen=True)
class Origin:
    """What a series' labels are derived from, beside its own."""

    asset_name: str
    asset_type: str
    environment: str
    collection_method: str


def labels_of(metric_name: str, stored: Mapping[str, str], origin: Origin) -> dict[str, str]:
    """The label set of a series. Empty labels are none."""
    labels = {
        "asset_type": origin.asset_type,
        "environment": origin.environment,
        "host": origin.asset_name,
        "instance": origin.asset_name,
        "job": origin.collection_method,
    }
    labels.update(stored if all(stored.values()) else {name: value for name, value in stored.items() if value})
    labels["asset"] = origin.asset_name
    labels[NAME] = metric_name
    return labels
