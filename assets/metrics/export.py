"""Samples as CSV or Parquet, in parts: a slice of time is read, written and forgotten before the next one.

Rows have the columns of archived days (assets/metrics/parquet.py), ordered by slice of time, and within it by series
and time. A slice is so short that a sample a second fills some tens of megabytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from assets.metrics import parquet, query
from assets.metrics.described import describe
from assets.metrics.parquet import Described
from assets.metrics.query import SeriesSelector

MAX_SERIES = 1000
LONGEST = timedelta(days=31)
_SAMPLES_AT_ONCE = 1_000_000
# What a spreadsheet takes for the beginning of a formula (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def tables(selector: SeriesSelector, series: int, start: datetime, end: datetime) -> Iterator[pa.Table]:
    """The samples of `selector`, which names some number of `series`, in (start, end]."""
    length = timedelta(seconds=max(_SAMPLES_AT_ONCE // max(series, 1), 60))
    known: dict[int, Described] = {}
    while start < end:
        until = min(start + length, end)
        samples = query.read(selector, start, until)
        new = [one for one in samples.series if one.id not in known]
        if new:
            known |= describe((one.asset_id for one in new), [one.id for one in new])
        owner = np.repeat(np.arange(len(samples.series)), np.diff(samples.offsets))
        # An asset that was deleted meanwhile has no description.
        there = np.array([one.id in known for one in samples.series], dtype=bool)[owner]
        if there.any():
            described = [known.get(one.id, _GONE) for one in samples.series]
            yield parquet.table_of(described, owner[there], samples.timestamps[there], samples.values[there])
        start = until


_GONE = Described(*[""] * len(parquet.TEXTS))


def as_csv(parts: Iterator[pa.Table]) -> Iterator[bytes]:
    """CSV with a header line; times in ISO 8601, texts that a spreadsheet would take for formulas after a quote."""
    yield (",".join(f'"{name}"' for name in parquet.SCHEMA.names) + "\n").encode()
    options = pyarrow.csv.WriteOptions(include_header=False)
    for table in parts:
        buffer = io.BytesIO()
        pyarrow.csv.write_csv(_safe(table), buffer, options)
        yield buffer.getvalue()


def _safe(table: pa.Table) -> pa.Table:
    columns = [_without_formulas(table.column(name).combine_chunks()) for name in parquet.TEXTS]
    # Without its zone, for which Arrow would look in the machine's own database.
    stamps = table.column("collection_timestamp").cast(pa.timestamp("ms"))
    columns += [pc.strftime(stamps, "%Y-%m-%dT%H:%M:%SZ"), table.column("metric_value")]
    return pa.Table.from_arrays(columns, names=parquet.SCHEMA.names)


def _without_formulas(column: pa.DictionaryArray) -> pa.DictionaryArray:
    texts = [f"'{text}" if text.startswith(_FORMULA) else text for text in column.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(column.indices, pa.array(texts, pa.string()))


class _Sink(io.RawIOBase):
    """A file that is taken away as it grows."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.parts.append(bytes(data))  # type: ignore[call-overload]
        return len(self.parts[-1])

    def taken(self) -> bytes:
        parts, self.parts = self.parts, []
        return b"".join(parts)


def as_parquet(parts: Iterator[pa.Table]) -> Iterator[bytes]:
    """One Parquet file with a row group for each slice."""
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), parquet.SCHEMA, **parquet.WRITING) as writer:
        for table in parts:
            writer.write_table(table, row_group_size=table.num_rows)
            yield sink.taken()
    yield sink.taken()
