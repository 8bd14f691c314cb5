"""Prometheus remote write 1.0: a WriteRequest read by hand, its label sets left as the bytes they are. Pure.

    WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; exemplars = 3; histograms = 4; }
    Label        { string name = 1; string value = 2; }
    Sample       { double value = 1; int64 timestamp = 2; }

Nearly every series that Prometheus sends is one whose labels are known, with one sample of today: those are found by
their bytes, and their samples are read by NumPy all at once. Everything else goes field by field.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assets.metrics.labelled import Labelled, Named, NotASeries
from assets.metrics.protocols import mapping, protobuf
from assets.metrics.protocols.protobuf import FIXED64, SPAN, VARINT, Field
from assets.metrics.wire import MAX_SAMPLES_PER_REQUEST, Decoded, Malformed, Refusal, TooLarge

FORM = "remote write"
_TIMESERIES, _METADATA = 1, 3
_LABELS, _SAMPLES, _HISTOGRAMS = 1, 2, 4
# A sample of our century, with the tag and length before it: 12 10  09 value×8  10 time×6.
_TAIL = 18
_SHIFTS = 7 * np.arange(6)
_VERIFIED = 500_000
_label_sets: set[bytes] = set()


@dataclass
class _Scan:
    """The series of a request in their order; `tails` is where each one's only sample stands, -1 where that is in
    `samples`: (series, timestamp, value)."""

    names: list[bytes] = field(default_factory=list)
    tails: list[int] = field(default_factory=list)
    samples: list[tuple[int, int, float]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def decode(body: bytes) -> Decoded:
    """The samples of a WriteRequest. Raises Malformed and TooLarge."""
    scan = _scan(body)
    if len(scan.names) + len(scan.samples) > MAX_SAMPLES_PER_REQUEST:
        raise TooLarge(f"send at most {MAX_SAMPLES_PER_REQUEST} samples in one request")
    at = np.array(scan.tails, dtype=np.int64)
    origin = np.flatnonzero(at >= 0)
    timestamps, values = _read_tails(body, at[origin])
    if scan.samples:
        slow = np.array([number for number, _, _ in scan.samples], dtype=np.int64)
        origin = np.concatenate([origin, slow])
        timestamps = np.concatenate([timestamps, np.array([one for _, one, _ in scan.samples], dtype=np.int64)])
        values = np.concatenate([values, np.array([one for _, _, one in scan.samples], dtype=np.float64)])
    labelled = Labelled(FORM, scan.names, describe, origin, timestamps, values, index=origin)
    return Decoded(labelled=labelled, refusals=scan.refusals)


def _scan(body: bytes) -> _Scan:
    """Walk over the series. A known label set that stands before 18 bytes that begin a sample is just that: what
    follows a whole label is a field of its own."""
    scan = _Scan()
    names, tails, known = scan.names, scan.tails, _label_sets
    for begin, end in _series_spans(body):
        name = body[begin : end - _TAIL]
        if end - begin > _TAIL and name in known and _is_tail(body, end - _TAIL):
            names.append(name)
            tails.append(end - _TAIL)
        else:
            _read_series(body, begin, end, scan)
    return scan


def _series_spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Where each TimeSeries stands; metadata is passed over."""
    position, size = 0, len(body)
    while position < size:
        if body[position] != 0x0A:
            position = _pass_over(body, position)
            continue
        length = body[position + 1] if position + 1 < size else 0x80
        position += 2
        if length > 0x7F:
            length, position = protobuf.varint(body, position - 1, size)
        end = position + length
        if end > size:
            raise Malformed("the WriteRequest is cut off")
        yield position, end
        position = end


def _pass_over(body: bytes, position: int) -> int:
    other = next(protobuf.fields(body, position, len(body)))
    if other.tag != _METADATA:
        raise Malformed("this is not a prometheus.WriteRequest")
    return other.end


def _is_tail(body: bytes, at: int) -> bool:
    """Whether the 18 bytes at `at` are a sample whose time has six bytes."""
    return (
        body[at] == 0x12
        and body[at + 1] == 0x10
        and body[at + 2] == 0x09
        and body[at + 11] == 0x10
        and body[at + 16] > 0x7F
        and body[at + 17] < 0x80
    )


def _read_tails(body: bytes, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if not len(at):
        return np.empty(0, dtype=np.int64), np.empty(0)
    raw = np.frombuffer(body, dtype=np.uint8)
    values = raw[at[:, None] + np.arange(3, 11)].view("<f8").ravel()
    digits = raw[at[:, None] + np.arange(12, 18)].astype(np.int64) & 0x7F
    return (digits << _SHIFTS).sum(axis=1), values


def _read_series(body: bytes, begin: int, end: int, scan: _Scan) -> None:
    """One series field by field. What cannot be used of it is refused by itself."""
    number = len(scan.names)
    scan.tails.append(-1)
    labels: list[bytes] = []
    try:
        samples, histograms = _parts(body, begin, end, labels)
    except Malformed as error:
        scan.names.append(b"")
        scan.refusals.append(Refusal(number, "timeseries", str(error)))
        return
    name = b"".join(labels)
    scan.names.append(name)
    scan.samples += [(number, timestamp, value) for timestamp, value in samples]
    if histograms:
        scan.refusals.append(Refusal(number, "histograms", "native histograms are not taken; send classic buckets"))
    if len(_label_sets) >= _VERIFIED:
        _label_sets.clear()
    _label_sets.add(name)


def _parts(body: bytes, begin: int, end: int, labels: list[bytes]) -> tuple[list[tuple[int, float]], bool]:
    """The samples of a series, and whether it has native histograms; the bytes of its labels go to `labels`."""
    samples: list[tuple[int, float]] = []
    histograms, start = False, begin
    for part in protobuf.fields(body, begin, end):
        if part.wire_type == SPAN and part.tag == _LABELS:
            labels.append(body[start : part.end])
        elif part.wire_type == SPAN and part.tag == _SAMPLES:
            samples.append(_sample(body, part))
        elif part.tag == _HISTOGRAMS:
            histograms = True
        start = part.end
    return samples, histograms


def _sample(body: bytes, part: Field) -> tuple[int, float]:
    timestamp, value = 0, 0.0
    for item in protobuf.fields(body, part.begin, part.end):
        if item.tag == 1 and item.wire_type == FIXED64:
            (value,) = struct.unpack_from("<d", body, item.begin)
        elif item.tag == 2 and item.wire_type == VARINT:
            timestamp = protobuf.signed(item.varint)
    return timestamp, value


def describe(name: bytes) -> Named:
    """What the bytes of a label set mean. Raises NotASeries."""
    labels: dict[str, str] = {}
    try:
        for part in protobuf.fields(name, 0, len(name)):
            label, value = _label(name, part)
            if label in labels:
                raise NotASeries(f"labels.{label[:50]}", "send each label once")
            labels[label] = value
    except Malformed as error:
        raise NotASeries("labels", str(error)) from error
    metric_name = labels.pop("__name__", "")
    return mapping.named(metric_name, labels, mapping.type_by_suffix(metric_name))


def _label(name: bytes, part: Field) -> tuple[str, str]:
    label = value = ""
    for item in protobuf.fields(name, part.begin, part.end):
        if item.wire_type == SPAN and item.tag == 1:
            label = protobuf.text(name, item)
        elif item.wire_type == SPAN and item.tag == 2:
            value = protobuf.text(name, item)
    return label, value
