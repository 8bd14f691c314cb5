"""The agent's form on the wire, decoded into columns (docs/architecture.md, "The agent's wire form"). Pure: no Django.

A series that cannot be stored is refused by itself, as is a value that is no finite number; the rest is kept.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

import msgspec
import numpy as np

from assets.metrics.identity import SeriesKey
from assets.metrics.wire import MAX_SAMPLES_PER_REQUEST, Columns, Decoded, Malformed, Refusal, TooLarge

MAX_SERIES_PER_BATCH = 10_000


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    series: msgspec.Raw
    timestamps: bytes
    values: bytes


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    batches: list[_Batch]


_body = msgspec.msgpack.Decoder(_Body)
_series_list = msgspec.msgpack.Decoder(list[tuple[str, str, str, dict[str, str]]])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(body: bytes) -> Decoded:
    """The batches of a request. Raises Malformed and TooLarge."""
    try:
        whole = _body.decode(body)
    except _UNREADABLE as error:
        raise Malformed(f"this is not the columnar form: {error}") from error
    if whole.v != 1:
        raise Malformed(f"version {whole.v} of the columnar form is not understood; send version 1")
    if sum(len(batch.values) for batch in whole.batches) > 8 * MAX_SAMPLES_PER_REQUEST:
        raise TooLarge(f"send at most {MAX_SAMPLES_PER_REQUEST} samples in one request")
    decoded = Decoded()
    for index, batch in enumerate(whole.batches):
        try:
            _add(decoded, batch, index)
        except Malformed as error:
            decoded.refusals.append(Refusal(index, "batches", str(error)))
    return decoded


def _add(decoded: Decoded, batch: _Batch, index: int) -> None:
    listed = _remembered(bytes(batch.series))
    if not listed.size or len(batch.timestamps) % 8 or len(batch.values) != len(batch.timestamps) * listed.size:
        raise Malformed("timestamps must be m int64 and values m × n float64 for n series, little-endian")
    decoded.refusals += [Refusal(index, field, reason) for field, reason in listed.problems]
    timestamps = np.frombuffer(batch.timestamps, dtype="<i8")
    values = np.frombuffer(batch.values, dtype="<f8").reshape(len(timestamps), listed.size)
    if listed.problems:
        values = values[:, listed.kept]
    if (infinite := np.isinf(values)).any():
        number = int(np.count_nonzero(infinite))
        decoded.refusals.append(Refusal(index, "values", f"{number} values are infinite; send NaN where there is none"))
        values = np.where(infinite, np.nan, values)
    if listed.series:
        decoded.columns.append(Columns(listed.series, timestamps, values, index, listed.identity))


@dataclass(frozen=True)
class _Listed:
    """The series of a batch as they were sent: those that can be stored, with their places, and what is wrong with the
    others."""

    size: int
    series: tuple[SeriesKey, ...]
    kept: list[int]
    problems: list[tuple[str, str]]
    identity: bytes


# An agent sends the same list each time: it is decoded once. Bounded by the series in it, not by the number of lists.
_SERIES_REMEMBERED = 1_000_000
_known: OrderedDict[bytes, _Listed] = OrderedDict()
_known_series = 0
_lock = Lock()


def _remembered(raw: bytes) -> _Listed:
    global _known_series
    identity = hashlib.blake2b(raw, digest_size=16).digest()
    listed = _known.get(identity)
    if listed is None:
        listed = _decode_series(raw, identity)
        with _lock:
            if identity not in _known:
                _known[identity] = listed
                _known_series += listed.size
            while _known_series > _SERIES_REMEMBERED:
                _known_series -= _known.popitem(last=False)[1].size
    return listed


def _decode_series(raw: bytes, identity: bytes) -> _Listed:
    try:
        rows: list[Any] = _series_list.decode(raw)
    except _UNREADABLE as error:
        raise Malformed(f"series must be a list of [name, type, unit, labels]: {error}") from error
    if len(rows) > MAX_SERIES_PER_BATCH:
        raise Malformed(f"a batch has at most {MAX_SERIES_PER_BATCH} series")
    kept: dict[bytes, tuple[int, SeriesKey]] = {}
    problems: list[tuple[str, str]] = []
    for place, (name, kind, unit, labels) in enumerate(rows):
        key = SeriesKey(name, kind, unit, labels)
        problem = key.problem()
        if problem is None and key.fingerprint in kept:
            problem = "series", f"this is series[{kept[key.fingerprint][0]}] again; send it once"
        if problem is None:
            kept[key.fingerprint] = place, key
        else:
            problems.append((f"series[{place}].{problem[0]}", problem[1]))
    series = tuple(key for _, key in kept.values())
    return _Listed(len(rows), series, [place for place, _ in kept.values()], problems, identity)
