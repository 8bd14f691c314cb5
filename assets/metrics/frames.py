"""Frames: what one asset reported at one instant, as NumPy arrays and as rows of PostgreSQL's binary COPY. Pure."""

from __future__ import annotations

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

    def copy_rows(self) -> bytes:
        """The rows of these frames in the binary COPY format (PostgreSQL documentation, COPY, Binary Format).

        Each field is preceded by its length in bytes; a one-dimensional float8[] is the header (dimensions, has
        nulls, element type, length, lower bound) and then each element with its own length. All is big-endian.
        """
        rows, columns = self.values.shape
        table = np.zeros(rows, dtype=_row_type(columns))
        table["fields"] = 4
        table["asset_length"], table["asset"] = 16, np.void(self.asset_id.bytes)
        table["layout_length"], table["layout"] = 8, self.layout_id
        table["ts_length"], table["ts"] = 8, (self.timestamps - POSTGRES_EPOCH_MS) * 1000
        table["values_length"] = 20 + 12 * columns
        table["dimensions"], table["element_type"] = 1, _FLOAT8_OID
        table["length"], table["lower_bound"] = columns, 1
        table["elements"]["length"], table["elements"]["value"] = 8, self.values
        return table.tobytes()

    def sample_count(self) -> int:
        return int(np.count_nonzero(~np.isnan(self.values)))


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
