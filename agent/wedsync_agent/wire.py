"""The columnar wire form: what one host reported at some instants, packed (docs/architecture.md of the server)."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import zstandard


@dataclass(frozen=True)
class Reading:
    """One value that a collector saw."""

    name: str
    value: float
    unit: str = ""
    kind: str = "gauge"
    labels: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
        return self.name, self.kind, self.unit, tuple(sorted(self.labels.items()))


def encode(timestamp_ms: int, readings: Sequence[Reading]) -> bytes:
    """One instant as a MessagePack batch: its series in a stable order, so that the server sees few layouts."""
    unique = {reading.identity(): reading.value for reading in readings}
    identities = sorted(unique)
    batch = {
        "series": [[name, kind, unit, dict(labels)] for name, kind, unit, labels in identities],
        "timestamps": _little("q", [timestamp_ms]),
        "values": _little("d", [unique[one] if math.isfinite(unique[one]) else math.nan for one in identities]),
    }
    return msgspec.msgpack.encode(batch)


def _little(kind: str, values: Sequence[float]) -> bytes:
    packed = array.array(kind, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def join(batches: Sequence[bytes]) -> bytes:
    """A request body of several batches; instants that follow each other with the same series become one batch."""
    merged: list[dict[str, bytes]] = []
    for raw in batches:
        batch: dict[str, msgspec.Raw | bytes] = msgspec.msgpack.decode(raw, type=dict[str, msgspec.Raw])
        series = bytes(batch["series"])
        timestamps = msgspec.msgpack.decode(batch["timestamps"], type=bytes)
        values = msgspec.msgpack.decode(batch["values"], type=bytes)
        if merged and merged[-1]["series"] == series:
            merged[-1]["timestamps"] += timestamps
            merged[-1]["values"] += values
        else:
            merged.append({"series": series, "timestamps": timestamps, "values": values})
    body = {"v": 1, "batches": [one | {"series": msgspec.Raw(one["series"])} for one in merged]}
    return msgspec.msgpack.encode(body)


def compress(body: bytes) -> bytes:
    return zstandard.compress(body, 3)
