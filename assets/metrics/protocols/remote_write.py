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
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assets.metrics.labelled import Labelled, Named, NotASeries
from assets.metrics.protocols import mapping, protobuf
from assets.metrics.protocols.protobuf import FIXED64, SPAN, VARINT, Field
from assets.metrics.wire import MAX_SAMPLES_PER_REQUEST, Decoded, Malformed, Refusal, TooLarge

FORM = "remote write"
_TIMESERIES, _METADATA = 0x0A, 3  # the first as it stands on the wire: tag 1 with a length
_LABELS, _SAMPLES, _HISTOGRAMS = 1, 2, 4
# A sample of our century, with the tag and length before it: 12 10  09 value×8  10 time×6.
_TAIL = 18
_SHIFTS = 7 * np.arange(6)
_VERIFIED = 500_000
_label_sets: set[bytes] = set()


def decode(body: bytes) -> Decoded:
    """The samples of a WriteRequest. Raises Malformed and TooLarge."""
    names, spans = _scan(body)
    at = spans[1] - _TAIL
    known = np.array(list(map(_label_sets.__contains__, names)), dtype=bool) & _are_samples(body, at)
    slow = _Slow(names)
    for number in np.flatnonzero(~known).tolist():
        slow.read(body, number, *spans[:, number].tolist())
    if len(names) + len(slow.values) > MAX_SAMPLES_PER_REQUEST:
        raise TooLarge(f"send at most {MAX_SAMPLES_PER_REQUEST} samples in one request")
    timestamps, values = _read_tails(body, at[known])
    origin = np.concatenate([np.flatnonzero(known), np.array(slow.origin, dtype=np.int64)])
    timestamps = np.concatenate([timestamps, np.array(slow.timestamps, dtype=np.int64)])
    values = np.concatenate([values, np.array(slow.values, dtype=np.float64)])
    return Decoded(labelled=Labelled(FORM, names, describe, origin, timestamps, values, origin), refusals=slow.refusals)


def _scan(body: bytes) -> tuple[list[bytes], NDArray[np.int64]]:
    """What stands before the last 18 bytes of each TimeSeries, and its span; metadata is passed over.

    Where that is a known label set, what follows it is a field of its own: no label goes on in there.
    """
    names: list[bytes] = []
    begins: list[int] = []
    ends: list[int] = []
    position, size = 0, len(body)
    while position < size:
        length = body[position + 1] if position + 1 < size else 0
        if not length or body[position] != _TIMESERIES:
            position = _pass_over(body, position)
            continue
        begin = position + 2
        if length > 0x7F:
            length, begin = protobuf.varint(body, position + 1, size)
        position = begin + length
        names.append(body[begin : position - _TAIL])
        begins.append(begin)
        ends.append(position)
    if position > size:
        raise Malformed("the WriteRequest is cut off")
    return names, np.array([begins, ends], dtype=np.int64)


def _pass_over(body: bytes, position: int) -> int:
    """Metadata, or a series with nothing in it."""
    other = next(protobuf.fields(body, position, len(body)))
    if other.tag not in (1, _METADATA) or other.wire_type != SPAN:
        raise Malformed("this is not a prometheus.WriteRequest")
    return other.end


def _are_samples(body: bytes, at: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the 18 bytes at each place are a sample whose time has six bytes."""
    raw = np.frombuffer(body, dtype=np.uint8)
    places = np.where(at >= 0, at, 0)
    found = at >= 0
    for offset, byte in ((0, 0x12), (1, 0x10), (2, 0x09), (11, 0x10)):
        found &= raw[places + offset] == byte if len(raw) >= _TAIL else False
    for offset in range(12, 18) if found.any() else ():
        found &= (raw[places + offset] > 0x7F) == (offset < 17)
    return found


def _read_tails(body: bytes, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    raw = np.frombuffer(body, dtype=np.uint8)
    values = raw[at[:, None] + np.arange(3, 11)].view("<f8").ravel()
    digits = raw[at[:, None] + np.arange(12, 18)].astype(np.int64) & 0x7F
    return (digits << _SHIFTS).sum(axis=1), values


@dataclass
class _Slow:
    """Series that are read field by field. What cannot be used of one is refused by itself."""

    names: list[bytes]
    origin: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def read(self, body: bytes, number: int, begin: int, end: int) -> None:
        labels: list[bytes] = []
        try:
            samples, histograms = _parts(body, begin, end, labels)
        except Malformed as error:
            self.refusals.append(Refusal(number, "timeseries", str(error)))
            return
        for timestamp, value in samples:
            self.origin.append(number)
            self.timestamps.append(timestamp)
            self.values.append(value)
        if histograms:
            reason = "native histograms are not taken; send classic buckets"
            self.refusals.append(Refusal(number, "histograms", reason))
        self.names[number] = b"".join(labels)
        if not labels:
            return
        if len(_label_sets) >= _VERIFIED:
            _label_sets.clear()
        _label_sets.add(self.names[number])


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
