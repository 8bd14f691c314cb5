"""The columnar wire form: what one host reported at some instants, packed (docs/architecture.md of the server)."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import zstandard

# What the server takes: a series past these would cost the whole batch that it stands in.
MAX_SERIES_PER_BATCH = 10_000
MAX_NAME_LENGTH = 200
MAX_UNIT_LENGTH = 50
MAX_LABELS = 32
MAX_LABEL_LENGTH = 500


Identity = tuple[str, str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Reading:
    """One value that a collector saw."""

    name: str
    value: float
    unit: str = ""
    kind: str = "gauge"
    labels: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> Identity:
        return self.name, self.kind, self.unit, tuple(sorted(self.labels.items()))


def fits(reading: Reading) -> bool:
    """Whether the server takes this series. One that does not fit is left out and not cut short: two series cut to
    the same text would become one."""
    return (
        1 <= len(reading.name) <= MAX_NAME_LENGTH
        and reading.name.isprintable()
        and len(reading.unit) <= MAX_UNIT_LENGTH
        and len(reading.labels) <= MAX_LABELS
        and all(_label_fits(name, value) for name, value in reading.labels.items())
    )


def _label_fits(name: str, value: str) -> bool:
    if not 1 <= len(name) <= MAX_NAME_LENGTH or len(value) > MAX_LABEL_LENGTH or "\0" in name + value:
        return False
    try:  # paths and names of programs may hold bytes that are no text
        return bool((name + value).encode())
    except UnicodeEncodeError:
        return False


def encode(timestamp_ms: int, readings: Sequence[Reading]) -> list[bytes]:
    """One instant as MessagePack batches: its series in a stable order, so that the server sees few layouts.

    Every reading must fit; a value that is not finite is no sample (NaN).
    """
    unique = {reading.identity(): reading.value for reading in readings}
    identities = sorted(unique)
    return [
        _batch(timestamp_ms, {one: unique[one] for one in identities[start : start + MAX_SERIES_PER_BATCH]})
        for start in range(0, len(identities), MAX_SERIES_PER_BATCH)
    ]


def _batch(timestamp_ms: int, values: Mapping[Identity, float]) -> bytes:
    batch = {
        "series": [[name, kind, unit, dict(labels)] for name, kind, unit, labels in values],
        "timestamps": _little("q", [timestamp_ms]),
        "values": _little("d", [value if math.isfinite(value) else math.nan for value in values.values()]),
    }
    return msgspec.msgpack.encode(batch)


def _little(kind: str, values: Sequence[float]) -> bytes:
    packed = array.array(kind, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def samples_in(batch: bytes) -> int:
    """How many values a batch holds."""
    values: bytes = msgspec.msgpack.decode(batch)["values"]
    return len(values) // 8


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
