"""Samples as Parquet tables: the schema of archived days and of exports, and there and back. Pure: no Django.

One row is one sample with the specification's column names, sorted by asset, metric, labels and time. What describes a
series is dictionary-encoded text; `metric_labels` is a JSON object. Compressed with zstd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Described:
    """A series in the words of the file; `agent_id` is empty where it has none."""

    asset_id: str
    asset_name: str
    agent_id: str
    metric_name: str
    metric_type: str
    metric_unit: str
    metric_labels: str
    collection_method: str


TEXTS = tuple(field.name for field in fields(Described))
_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [(name, _TEXT) for name in TEXTS]
    + [("collection_timestamp", pa.timestamp("ms", tz="UTC")), ("metric_value", pa.float64())]
)
WRITING = {"compression": "zstd", "use_dictionary": list(TEXTS), "write_statistics": True}


def table_of(series: Sequence[Described], owner: Ints, timestamps: Ints, values: Floats) -> pa.Table:
    """k samples, the i-th of which is of `series[owner[i]]`; timestamps are milliseconds since 1970."""
    columns = [_texts(texts, owner) for texts in zip(*map(astuple, series), strict=True)]
    columns += [pa.array(timestamps, pa.timestamp("ms", tz="UTC")), pa.array(values, pa.float64())]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _texts(texts: Sequence[str], owner: Ints) -> pa.DictionaryArray:
    distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    places = np.array([distinct[text] for text in texts], dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(places[owner], pa.int32()), pa.array(list(distinct), pa.string()))


def samples_of(table: pa.Table) -> tuple[list[Described], Ints, Ints, Floats]:
    """The same back from a table of this schema: series, and owner, timestamp and value of each sample."""
    table = table.combine_chunks()
    if not table.num_rows:
        return [], np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    columns = [table.column(name).combine_chunks() for name in TEXTS]
    encoded = [one if pa.types.is_dictionary(one.type) else one.dictionary_encode() for one in columns]
    codes = np.column_stack([one.indices.to_numpy(zero_copy_only=False) for one in encoded])
    begins = np.append(True, (codes[1:] != codes[:-1]).any(axis=1))
    rows, owner = np.unique(codes[begins], axis=0, return_inverse=True)
    words = [one.dictionary.to_pylist() for one in encoded]
    series = [Described(*(words[at][code] for at, code in enumerate(row))) for row in rows.tolist()]
    stamps = table.column("collection_timestamp").cast(pa.int64()).to_numpy()
    return series, owner.reshape(-1)[np.cumsum(begins) - 1], stamps, table.column("metric_value").to_numpy()
