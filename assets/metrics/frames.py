"""Frames: what one asset reported at one instant, as NumPy arrays and as rows of PostgreSQL's binary COPY. Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

# PostgreSQL counts microseconds from 2000-01-01; we count milliseconds from 1970-01-01.
POSTGRES_EPOCH_MS = 946_684_800_000
_FLOAT8_OID = 701
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"
COPY_INTO = 'COPY {table} (asset_id, layout_id, ts, "values") FROM STDIN (FORMAT binary)'


@dataclass(frozen=True)
class Frames:
    """Frames of one asset that share a layout: m instants of n series."""

    asset_id: UUID
    layout_id: int
    timestamps: NDArray[np.int64]  # (m,) milliseconds since 1970
    values: NDArray[np.float64]  # (m, n); NaN where a series has no sample

    def sample_count(self) -> int:
        return int(np.count_nonzero(~np.isnan(self.values)))


def copy_rows(frames: Sequence[Frames]) -> bytes:
    """The rows of `frames` in the binary COPY format (PostgreSQL documentation, COPY, Binary Format)."""
    alike: dict[int, list[Frames]] = {}
    for one in frames:
        alike.setdefault(one.values.shape[1], []).append(one)
    return b"".join(_rows_of_width(width, some) for width, some in alike.items())


def _rows_of_width(columns: int, frames: Sequence[Frames]) -> bytes:
    """Each field is preceded by its length in bytes; a one-dimensional float8[] is the header (dimensions, has nulls,
    element type, length, lower bound) and then each element with its own length. All is big-endian."""
    instants = [len(one.timestamps) for one in frames]
    assets = np.array([one.asset_id.bytes for one in frames], dtype="V16")
    table = np.zeros(sum(instants), dtype=_row_type(columns))
    table["fields"] = 4
    table["asset_length"], table["asset"] = 16, np.repeat(assets, instants)
    table["layout_length"], table["layout"] = 8, np.repeat([one.layout_id for one in frames], instants)
    table["ts_length"] = 8
    table["ts"] = (np.concatenate([one.timestamps for one in frames]) - POSTGRES_EPOCH_MS) * 1000
    table["values_length"] = 20 + 12 * columns
    table["dimensions"], table["element_type"] = 1, _FLOAT8_OID
    table["length"], table["lower_bound"] = columns, 1
    table["elements"]["length"] = 8
    table["elements"]["value"] = np.concatenate([one.values for one in frames])
    return table.tobytes()


@lru_cache(maxsize=1024)
def _row_type(columns: int) -> np.dtype[Any]:
    element = np.dtype([("length", ">i4"), ("value", ">f8")])
    return np.dtype(
        [
            ("fields", ">i2"),
            ("asset_length", ">i4"),
            ("asset", "V16"),
            ("layout_length", ">i4"),
            ("layout", ">i8"),
            ("ts_length", ">i4"),
            ("ts", ">i8"),
            ("values_length", ">i4"),
            ("dimensions", ">i4"),
            ("has_nulls", ">i4"),
            ("element_type", ">i4"),
            ("length", ">i4"),
            ("lower_bound", ">i4"),
            ("elements", element, (columns,)),
        ]
    )


# In a row of frames the array's length stands behind the fields before it; the next row behind the array.
_BEFORE_VALUES = 2 + 20 + 12 + 12
_LENGTHS = struct.Struct(">i")
_PLACE = struct.Struct(">16x4xq")


def parse_frames(copied: bytes) -> list[Frames]:
    """The frames of a binary COPY of (asset_id, layout_id, ts, values), gathered by asset and layout."""
    rows: dict[bytes, list[bytes]] = {}
    at, end = len(COPY_HEADER), len(copied) - len(COPY_TRAILER)
    while at < end:
        size = _BEFORE_VALUES + 4 + _LENGTHS.unpack_from(copied, at + _BEFORE_VALUES)[0]
        # The asset's 16 bytes, the layout's length and its 8.
        rows.setdefault(copied[at + 6 : at + 34], []).append(copied[at : at + size])
        at += size
    return [_gathered(place, found) for place, found in rows.items()]


def _gathered(place: bytes, rows: list[bytes]) -> Frames:
    columns = (len(rows[0]) - _BEFORE_VALUES - 4 - 20) // 12
    table = np.frombuffer(b"".join(rows), dtype=_row_type(columns))
    timestamps = table["ts"].astype(np.int64) // 1000 + POSTGRES_EPOCH_MS
    values = table["elements"]["value"].astype(np.float64)
    return Frames(UUID(bytes=place[:16]), _PLACE.unpack(place)[0], timestamps, values)


@dataclass(frozen=True)
class Rows:
    """Frames of any assets whose layouts have n series."""

    assets: NDArray[np.void]  # (m,) 16 bytes each
    layout_ids: NDArray[np.int64]  # (m,)
    timestamps: NDArray[np.int64]  # (m,) milliseconds since 1970
    values: NDArray[np.float64]  # (m, n), big-endian; NaN where a series has no sample


def parse_rows(copied: bytes) -> list[Rows]:
    """The same as parse_frames, gathered by the number of series alone: few large arrays where assets are many."""
    rows: dict[int, list[bytes]] = {}
    at, end = len(COPY_HEADER), len(copied) - len(COPY_TRAILER)
    while at < end:
        size = _BEFORE_VALUES + 4 + _LENGTHS.unpack_from(copied, at + _BEFORE_VALUES)[0]
        rows.setdefault(size, []).append(copied[at : at + size])
        at += size
    return [_rows_of(size, found) for size, found in rows.items()]


def _rows_of(size: int, rows: list[bytes]) -> Rows:
    table = np.frombuffer(b"".join(rows), dtype=_row_type((size - _BEFORE_VALUES - 4 - 20) // 12))
    timestamps = table["ts"].astype(np.int64) // 1000 + POSTGRES_EPOCH_MS
    return Rows(table["asset"], table["layout"].astype(np.int64), timestamps, table["elements"]["value"])


# Rows of a COPY … TO STDOUT (FORMAT binary) of (bigint, timestamptz, float8), none of them null: fixed width, so that
# NumPy reads them without a loop.
_SAMPLE_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("series_length", ">i4"),
        ("series", ">i8"),
        ("ts_length", ">i4"),
        ("ts", ">i8"),
        ("value_length", ">i4"),
        ("value", ">f8"),
    ]
)


def parse_samples(copied: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Series ids, timestamps (ms since 1970) and values of a binary COPY of sample rows."""
    body = memoryview(copied)[len(COPY_HEADER) : -len(COPY_TRAILER)]
    rows = np.frombuffer(body, dtype=_SAMPLE_ROW)
    timestamps = rows["ts"].astype(np.int64) // 1000 + POSTGRES_EPOCH_MS
    return rows["series"].astype(np.int64), timestamps, rows["value"].astype(np.float64)
