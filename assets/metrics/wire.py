"""JSON samples as senders put them on the wire, and what every way in decodes to. Pure: no Django.

A bad sample is refused by itself, with its index and what to send instead; the rest of the request is kept.
"""

from __future__ import annotations

import io
import json
import math
import re
import zlib
from collections.abc import Callable, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import cramjam
import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from assets.metrics.identity import COLLECTION_METHODS, METRIC_TYPES, SeriesKey
from assets.metrics.labelled import Labelled

MAX_SAMPLES_PER_REQUEST = 1_000_000
# One body may hold several gzip members or zstd frames, each of which costs a copy of those behind it.
_MOST_MEMBERS = 100
_MAX_WINDOW = 1 << 27


class Malformed(Exception):
    """Nothing of the request can be used; the text says what to send instead."""


class UnknownMediaType(Malformed):
    """The body is of a kind, or packed in a way, that is not understood."""


class TooLarge(Exception):
    """The request is larger than is taken at once, as sent or once unpacked."""


@dataclass(frozen=True)
class Refusal:
    """One part of a request that was not taken: its index, the field at fault, and what to send instead."""

    index: int
    field: str
    reason: str


class JsonSample(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One sample with the specification's field names. `asset_id` may also be an asset's name."""

    metric_name: str
    metric_value: float
    asset_id: str | None = None
    asset_name: str | None = None
    metric_type: str = "gauge"
    metric_unit: str | None = None
    metric_labels: dict[str, str] = {}
    collection_timestamp: datetime | float | None = None
    collection_method: str = "push"
    data_quality_score: float = 1.0


# What each field of a sample takes, in words.
FIELDS = {
    "metric_name": "a text of 1 to 200 printable characters",
    "metric_value": "a finite number",
    "asset_id": "an asset's id or name as text",
    "asset_name": "an asset's name as text",
    "metric_type": f"one of: {', '.join(METRIC_TYPES)}",
    "metric_unit": "a text of at most 50 characters",
    "metric_labels": "an object whose values are texts",
    "collection_timestamp": "ISO 8601 with a time zone, or Unix seconds",
    "collection_method": f"one of: {', '.join(COLLECTION_METHODS)}",
    "data_quality_score": "a number from 0 to 1",
}
# What senders write who know the field by another name.
_MEANT = {
    **dict.fromkeys(("timestamp", "time", "ts"), "collection_timestamp"),
    **dict.fromkeys(("labels", "tags"), "metric_labels"),
    **dict.fromkeys(("asset", "host", "hostname"), "asset_name"),
    **{name: f"metric_{name}" for name in ("name", "value", "type", "unit")},
}
_NAMED = re.compile(r"Object (?P<fault>missing required|contains unknown) field `(?P<field>.*)`", re.DOTALL)


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    metrics: list[JsonSample]


class _Mixed(msgspec.Struct, forbid_unknown_fields=True):
    metrics: list[msgspec.Raw]


@dataclass(frozen=True)
class Columns:
    """m instants of n series of one asset (the sender's own where `asset` is None)."""

    series: tuple[SeriesKey, ...]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]
    index: int
    identity: bytes = b""  # the series as an agent sent them


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One sample; `asset` is an id or name, None for the sender's own. `also` is another name that was sent for it."""

    asset: str | None
    key: SeriesKey
    timestamp_ms: int
    value: float
    quality: float = 1.0
    index: int = 0
    also: str | None = None


@dataclass
class Decoded:
    """What was understood of a request, and what was refused already."""

    samples: list[Sample] = field(default_factory=list)
    columns: list[Columns] = field(default_factory=list)
    labelled: Labelled | None = None
    refusals: list[Refusal] = field(default_factory=list)


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` without its Content-Encoding, of at most `limit` bytes. Raises TooLarge, UnknownMediaType or Malformed."""
    readers: dict[str, Callable[[bytes, int], bytes]] = {
        "": _plain,
        "identity": _plain,
        "gzip": _gunzip,
        "zstd": _unzstd,
        "snappy": _unsnappy,
    }
    reader = readers.get(encoding.strip().lower())
    if reader is None:
        raise UnknownMediaType(f"Content-Encoding {encoding!r} is not understood; send gzip, zstd, snappy or none")
    unpacked = reader(body, limit)
    if len(unpacked) > limit:
        raise TooLarge(f"the request unpacks to more than {limit} bytes; send it in parts")
    return unpacked


def _plain(body: bytes, limit: int) -> bytes:
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    parts, left = [], limit + 1
    for _ in range(_MOST_MEMBERS):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(body, left))
        except zlib.error as error:
            raise Malformed(f"the body is not gzip: {error}") from error
        left -= len(parts[-1])
        if left <= 0:
            break
        if not unpacker.eof:
            raise Malformed("the gzip body is cut off")
        # Zeros may fill the end of the last member.
        body = unpacker.unused_data.lstrip(b"\0")
        if not body:
            break
    else:
        raise Malformed(f"the body has more than {_MOST_MEMBERS} gzip members; send it as one")
    return b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    try:
        size = zstandard.get_frame_parameters(body).content_size
        if 0 < size <= limit:
            # A frame that says its size is unpacked at once, several times faster than by a stream.
            with suppress(zstandard.ZstdError):  # unless there are more frames
                return zstandard.ZstdDecompressor().decompress(body, max_output_size=limit, allow_extra_data=False)
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        with unpacker.stream_reader(io.BytesIO(body), read_across_frames=True) as stream:
            unpacked = bytes(stream.read(limit + 1))
        if len(unpacked) <= limit:
            _refuse_cut_off(body)
        return unpacked
    except zstandard.ZstdError as error:
        raise Malformed(f"the body is not zstd: {error}") from error


def _refuse_cut_off(body: bytes) -> None:
    """Raises Malformed where a zstd frame has no end. A reader does not tell, and what tells it does not stop at a
    limit: ask once it is known that the frames unpack to less."""
    for _ in range(_MOST_MEMBERS):
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        unpacker.decompress(body)
        if not unpacker.eof:
            raise Malformed("the zstd body is cut off")
        body = unpacker.unused_data
        if not body:
            return
    raise Malformed(f"the body has more than {_MOST_MEMBERS} zstd frames; send it as one")


def _unsnappy(body: bytes, limit: int) -> bytes:
    """Snappy's block format, which says at its start how much it will become."""
    try:
        if cramjam.snappy.decompress_raw_len(body) > limit:
            raise TooLarge(f"the request unpacks to more than {limit} bytes; send it in parts")
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Malformed(f"the body is not snappy's block format: {error}") from error


_one = msgspec.json.Decoder(JsonSample)
_many = msgspec.json.Decoder(_Many)
_mixed = msgspec.json.Decoder(_Mixed)


def decode_json(body: bytes, now_ms: int) -> Decoded:
    """One sample, or {"metrics": [samples]}. Raises Malformed where the body is neither."""
    try:
        given = _many.decode(body).metrics if b'"metrics"' in body else [_one.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_one_by_one(body, now_ms)
    _check_number(given)
    decoded = Decoded()
    for index, sample in enumerate(given):
        _add(decoded, sample, index, now_ms)
    return decoded


def _decode_one_by_one(body: bytes, now_ms: int) -> Decoded:
    """The same for a body with a fault somewhere, so that the fault costs one sample and not all."""
    try:
        whole = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        raise Malformed('send one sample as an object, or {"metrics": [samples]}') from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _decode_lenient(body, now_ms, error)
    if "metrics" not in whole:
        return _collect([partial(_one.decode, body)], now_ms)
    try:
        mixed = _mixed.decode(body)
    except msgspec.ValidationError as error:
        raise Malformed(f'{error}; send {{"metrics": [samples]}} and nothing beside it') from error
    return _collect([partial(_one.decode, raw) for raw in mixed.metrics], now_ms)


def _decode_lenient(body: bytes, now_ms: int, error: Exception) -> Decoded:
    """Senders write bare NaN, which is no JSON: read it as they mean it, so that only their bad samples are lost."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(whole, dict):
        raise Malformed('send one sample as an object, or {"metrics": [samples]}')
    items = whole.get("metrics", [whole])
    if not isinstance(items, list):
        raise Malformed('"metrics" must be a list of samples')
    return _collect([partial(_converted, item) for item in items], now_ms)


def _converted(item: Any) -> JsonSample:
    # Half of a surrogate pair can be written in JSON and stored nowhere.
    json.dumps(item, ensure_ascii=False).encode()
    return msgspec.convert(item, JsonSample)


def _check_number(samples: Sized) -> None:
    if not len(samples):
        raise Malformed("send at least one sample")
    if len(samples) > MAX_SAMPLES_PER_REQUEST:
        raise TooLarge(f"send at most {MAX_SAMPLES_PER_REQUEST} samples in one request")


def _collect(readers: list[Callable[[], JsonSample]], now_ms: int) -> Decoded:
    _check_number(readers)
    decoded = Decoded()
    for index, read in enumerate(readers):
        try:
            _add(decoded, read(), index, now_ms)
        except msgspec.ValidationError as error:
            decoded.refusals.append(Refusal(index, *_advice(str(error))))
        except UnicodeError:
            decoded.refusals.append(Refusal(index, "metrics", "send text that is valid Unicode, as UTF-8"))
        except RecursionError:
            decoded.refusals.append(Refusal(index, "metrics", "this is nested too deeply"))
    return decoded


def _advice(complaint: str) -> tuple[str, str]:
    """The field at fault and what to send instead, from what msgspec says of a sample."""
    reason, _, path = complaint.partition(" - at `$")
    if named := _NAMED.fullmatch(reason):
        field, known = named["field"][:50], ", ".join(FIELDS)
        if named["fault"] == "missing required":
            return field, f"this is missing; send {FIELDS[field]}"
        meant = f"send {_MEANT[field]} instead; " if field in _MEANT else ""
        return field, f"not known here; {meant}the fields of a sample are: {known}"
    field = path.strip("`.").partition("[")[0]
    if field not in FIELDS:
        return "metrics", f"send a sample as an object with the fields: {', '.join(FIELDS)}"
    return field, f"send {FIELDS[field]}"


def _add(decoded: Decoded, given: JsonSample, index: int, now_ms: int) -> None:
    sample = _as_sample(given, index, now_ms)
    (decoded.samples if isinstance(sample, Sample) else decoded.refusals).append(sample)  # type: ignore[arg-type]


_keys: dict[tuple[str, str, str | None, str, tuple[tuple[str, str], ...]], SeriesKey] = {}


def _key_of(given: JsonSample) -> SeriesKey | tuple[str, str]:
    """The series that a sample names, checked and hashed once; (field, what to send instead) where it cannot be one."""
    labels = tuple(given.metric_labels.items())
    named = (given.metric_name, given.metric_type, given.metric_unit, given.collection_method, labels)
    key = _keys.get(named)
    if key is None:
        key = SeriesKey(
            given.metric_name,
            given.metric_type,
            given.metric_unit or "",
            {name: value for name, value in labels if value},  # in queries an empty label is none
            given.collection_method,
        )
        if problem := key.problem():
            return problem
        if len(_keys) >= 100_000:
            _keys.clear()
        _keys[named] = key
    return key


def _as_sample(given: JsonSample, index: int, now_ms: int) -> Sample | Refusal:
    key = _key_of(given)
    if isinstance(key, tuple):
        return Refusal(index, *key)
    if not math.isfinite(given.metric_value):
        return Refusal(index, "metric_value", "send a finite number, and no sample where there is no value")
    if not 0 <= given.data_quality_score <= 1:
        return Refusal(index, "data_quality_score", "send a number from 0 to 1")
    timestamp_ms = _milliseconds(given.collection_timestamp, now_ms)
    if timestamp_ms is None:
        return Refusal(index, "collection_timestamp", "send ISO 8601 with a time zone, or Unix seconds")
    asset, also = given.asset_id or given.asset_name, None
    if given.asset_id and given.asset_name and given.asset_id != given.asset_name:
        also = given.asset_name
    return Sample(asset, key, timestamp_ms, given.metric_value, given.data_quality_score, index, also)


def _milliseconds(moment: datetime | float | None, now_ms: int) -> int | None:
    if moment is None:
        return now_ms
    if isinstance(moment, datetime):
        return None if moment.tzinfo is None else round(moment.timestamp() * 1000)
    return round(moment * 1000) if math.isfinite(moment) and abs(moment) < 1e11 else None
