"""What makes a series the same series: its fingerprint. Pure: no Django."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

import msgspec

METRIC_TYPES = ("gauge", "counter", "histogram", "summary")
COLLECTION_METHODS = ("agent", "push", "pull", "synthetic")
MAX_NAME_LENGTH = 200
MAX_LABELS = 32
MAX_LABEL_LENGTH = 500
# In queries these are the metric's name and the asset's, whatever a label says: series that differ in them alone would
# be taken for one.
RESERVED_LABELS = ("__name__", "asset")


@dataclass(frozen=True)
class SeriesKey:
    """Everything that tells one series of an asset from another."""

    metric_name: str
    metric_type: str = "gauge"
    metric_unit: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    collection_method: str = "agent"
    agent_id: UUID | None = None

    @cached_property
    def fingerprint(self) -> bytes:
        """16 bytes (BLAKE2b) of the canonical form, in which labels are sorted by name."""
        canonical = msgspec.msgpack.encode(
            [
                self.metric_name,
                self.metric_type,
                self.metric_unit,
                sorted(self.labels.items()),
                self.collection_method,
                str(self.agent_id or ""),
            ]
        )
        return hashlib.blake2b(canonical, digest_size=16).digest()

    def problem(self) -> tuple[str, str] | None:
        """(field, what to send instead) where this cannot be a series; None where it can."""
        if not 1 <= len(self.metric_name) <= MAX_NAME_LENGTH or not self.metric_name.isprintable():
            return "metric_name", f"send 1 to {MAX_NAME_LENGTH} printable characters"
        if not {".", ".."}.isdisjoint(self.metric_name.split("/")):  # its address would lead elsewhere
            return "metric_name", "send a name without . and .. between slashes"
        if self.metric_type not in METRIC_TYPES:
            return "metric_type", f"send one of: {', '.join(METRIC_TYPES)}"
        if self.collection_method not in COLLECTION_METHODS:
            return "collection_method", f"send one of: {', '.join(COLLECTION_METHODS)}"
        if len(self.metric_unit) > 50 or "\0" in self.metric_unit:
            return "metric_unit", "send at most 50 characters"
        return self._label_problem()

    def _label_problem(self) -> tuple[str, str] | None:
        if len(self.labels) > MAX_LABELS:
            return "metric_labels", f"send at most {MAX_LABELS} labels"
        for name, value in self.labels.items():
            if name in RESERVED_LABELS:
                return f"metric_labels.{name}", f"queries call something else {name}; send the label under another name"
            if not name or len(name) > MAX_NAME_LENGTH or len(value) > MAX_LABEL_LENGTH or "\0" in name + value:
                return (
                    f"metric_labels.{name[:50]}",
                    f"send a name and a text of at most {MAX_LABEL_LENGTH} characters",
                )
        return None


def layout_fingerprint(series_ids: tuple[int, ...]) -> bytes:
    """16 bytes of an ordered list of series ids."""
    return hashlib.blake2b(msgspec.msgpack.encode(series_ids), digest_size=16).digest()
