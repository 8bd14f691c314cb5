"""Prometheus remote write 1.0: a WriteRequest read by hand, its label sets left as the bytes they are. Pure.

    WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; exemplars = 3; histograms = 4; }
    Sample       { double value = 1; int64 timestamp = 2; }

Nearly every series that Prometheus sends is labels and then one sample of today, whose 18 bytes look alike: NumPy finds
and reads those all at once. Everything else goes field by field.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assets.metrics.labelled import Labelled
from assets.metrics.protocols import protobuf
from assets.metrics.protocols.label_sets import LABEL, describe
from assets.metrics.protocols.protobuf import FIXED64, SPAN, VARINT, Field
from assets.metrics.wire import MAX_SAMPLES_PER_REQUEST, Decoded, Malformed, Refusal, TooLarge

FORM = "remote write"
NO_HISTOGRAMS = "native histograms are not taken; send classic buckets"
_TIMESERIES, _METADATA = 0x0A, 3  # the first as it stands on the wire: tag 1 with a length
_LABELS, _SAMPLES, _HISTOGRAMS = 1, 2, 4
# A sample of our century, with the tag and length before it: 12 10  09 value×8  10 time×6.
TAIL = 18
_SHIFTS = 7 * np.arange(6)
# A series with more labels than are taken is read field by field, and refused.
_MOST_LABELS = 40

_Raw = NDArray[np.uint8]
_Places = NDArray[np.int64]
_Flags = NDArray[np.bool_]


def decode(body: bytes) -> Decoded:
    """The samples of a WriteRequest. Raises Malformed and TooLarge."""
    raw = np.frombuffer(body, dtype=np.uint8)
    begins, ends = _tailed(raw) or _scanned(body)
    tails = ends - TAIL
    plain = are_samples(raw, tails)
    plain &= _are_labels(raw, begins, tails, plain)
    names = [body[begin:tail] for begin, tail in zip(begins.tolist(), tails.tolist(), strict=True)]
    slow = _Slow(names)
    for number in np.flatnonzero(~plain).tolist():
        slow.read(body, number, int(begins[number]), int(ends[number]))
    if len(names) + len(slow.values) > MAX_SAMPLES_PER_REQUEST:
        raise TooLarge(f"send at most {MAX_SAMPLES_PER_REQUEST} samples in one request")
    timestamps, values = read_samples(raw, tails[plain])
    origin = np.concatenate([np.flatnonzero(plain), np.array(slow.origin, dtype=np.int64)])
    timestamps = np.concatenate([timestamps, np.array(slow.timestamps, dtype=np.int64)])
    values = np.concatenate([values, np.array(slow.values, dtype=np.float64)])
    return Decoded(labelled=Labelled(FORM, names, describe, origin, timestamps, values, origin), refusals=slow.refusals)


def _tailed(raw: _Raw) -> tuple[_Places, _Places] | None:
    """The spans of all TimeSeries where each ends with a sample and nothing else is there; None where not.

    What looks like the end of a series is one only if the length before it says so: the first begins where the request
    does and each other one where the one before it ends, so that the chain holds only if it is the request's.
    """
    if len(raw) < TAIL:
        return None
    at = np.flatnonzero(raw[: 1 - TAIL] == 0x12)
    at = at[(raw[at + 1] == 0x10) & (raw[at + 2] == 0x09) & (raw[at + 11] == 0x10)]
    ends = at + TAIL
    ends = ends[(ends == len(raw)) | (raw[np.minimum(ends, len(raw) - 1)] == _TIMESERIES)]
    starts = np.append(0, ends[:-1])
    lengths, begins = _lengths(raw, starts)
    chained = (raw[np.minimum(starts, len(raw) - 1)] == _TIMESERIES) & (lengths >= 0) & (begins + lengths == ends)
    if not len(ends) or ends[-1] != len(raw) or not chained.all():
        return None
    return begins, ends


def _lengths(raw: _Raw, starts: _Places) -> tuple[_Places, _Places]:
    """Of the fields at `starts` their length (-1 where it takes more than two bytes), and where the content begins."""
    last = len(raw) - 1
    low = raw[np.minimum(starts + 1, last)].astype(np.int64)
    high = raw[np.minimum(starts + 2, last)].astype(np.int64)
    long = low > 0x7F
    lengths = np.where(long, (low & 0x7F) | (high << 7), low)
    lengths[long & (high > 0x7F)] = -1
    return lengths, starts + 2 + long


def _scanned(body: bytes) -> tuple[_Places, _Places]:
    """The spans of all TimeSeries, one by one; metadata is passed over."""
    begins: list[int] = []
    ends: list[int] = []
    position, size = 0, len(body)
    while position < size:
        if body[position] != _TIMESERIES:
            position = _pass_over(body, position)
            continue
        length, begin = protobuf.varint(body, position + 1, size)
        position = begin + length
        begins.append(begin)
        ends.append(position)
    if position > size:
        raise Malformed("the WriteRequest is cut off")
    filled = [number for number, begin in enumerate(begins) if begin < ends[number]]
    return np.array(begins, dtype=np.int64)[filled], np.array(ends, dtype=np.int64)[filled]


def _pass_over(body: bytes, position: int) -> int:
    other = next(protobuf.fields(body, position, len(body)))
    if other.tag != _METADATA or other.wire_type != SPAN:
        raise Malformed("this is not a prometheus.WriteRequest")
    return other.end


def are_samples(raw: _Raw, at: _Places) -> _Flags:
    """Whether the 18 bytes at each place are a sample whose time has six bytes."""
    found: _Flags = (at >= 0) & (at + TAIL <= len(raw))
    places = np.where(found, at, 0)
    if not found.any():
        return found
    for offset, byte in ((0, 0x12), (1, 0x10), (2, 0x09), (11, 0x10)):
        found &= raw[places + offset] == byte
    for offset in range(12, 18):
        found &= (raw[places + offset] > 0x7F) == (offset < 17)
    return found


def _are_labels(raw: _Raw, begins: _Places, ends: _Places, wanted: _Flags) -> _Flags:
    """Whether from each of `begins` label follows label until its end, of those `wanted`."""
    place = begins.copy()
    whole: _Flags = wanted & (begins < ends)
    for _ in range(_MOST_LABELS):
        going = np.flatnonzero(whole & (place < ends))
        if not len(going):
            break
        lengths, contents = _lengths(raw, place[going])
        whole[going] = (raw[place[going]] == LABEL) & (lengths >= 0)
        place[going] = contents + lengths
    whole &= place == ends
    return whole


def read_samples(raw: _Raw, at: _Places) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Timestamps and values of what `are_samples`."""
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
            self.refusals.append(Refusal(number, "histograms", NO_HISTOGRAMS))
        self.names[number] = b"".join(labels)


def _parts(body: bytes, begin: int, end: int, labels: list[bytes]) -> tuple[list[tuple[int, float]], bool]:
    """The samples of a series, and whether it has native histograms; the bytes of its labels go to `labels`."""
    samples: list[tuple[int, float]] = []
    histograms, start = False, begin
    for part in protobuf.fields(body, begin, end):
        if part.wire_type == SPAN and part.tag == _LABELS:
            labels.append(body[start : part.end])
        elif part.wire_type == SPAN and part.tag == _SAMPLES:
            samples.append(read_sample(body, part))
        elif part.tag == _HISTOGRAMS:
            histograms = True
        start = part.end
    return samples, histograms


def read_sample(body: bytes, part: Field) -> tuple[int, float]:
    """Timestamp and value of one Sample. Raises Malformed."""
    timestamp, value = 0, 0.0
    for item in protobuf.fields(body, part.begin, part.end):
        if item.tag == 1 and item.wire_type == FIXED64:
            (value,) = struct.unpack_from("<d", body, item.begin)
        elif item.tag == 2 and item.wire_type == VARINT:
            timestamp = protobuf.signed(item.varint)
    return timestamp, value
