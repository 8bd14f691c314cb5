"""Prometheus remote write 2.0: an io.prometheus.write.v2.Request read by hand. Pure.

    Request    { repeated string symbols = 4; repeated TimeSeries timeseries = 5; }
    TimeSeries { repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated Histogram histograms = 3;
                 exemplars = 4; metadata = 5; int64 created_timestamp = 6; }

(https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/.) A series' references are written out as the label set
that 1.0 would have sent, so that a sender that changes its protocol goes on with the same series. For the same reason
types are told from names, as in 1.0: metadata and created timestamps are passed over, and so are exemplars, of which
the answer says that none was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from assets.metrics.labelled import Labelled
from assets.metrics.protocols import protobuf
from assets.metrics.protocols.label_sets import describe, write_label
from assets.metrics.protocols.protobuf import SPAN, VARINT, Field
from assets.metrics.protocols.remote_write import FORM, NO_HISTOGRAMS, read_sample
from assets.metrics.wire import MAX_SAMPLES_PER_REQUEST, Decoded, Malformed, Refusal, TooLarge

_SYMBOLS, _TIMESERIES = 4, 5
_LABELS_REFS, _SAMPLES, _HISTOGRAMS = 1, 2, 3


class _Unusable(Exception):
    """A series that cannot be used: the field at fault, and what to send instead."""


def decode(body: bytes) -> Decoded:
    """The samples of a Request. Raises Malformed and TooLarge."""
    reader = _Reader(body, [])
    series: list[Field] = []
    for part in protobuf.fields(body, 0, len(body)):
        if part.wire_type == SPAN and part.tag == _SYMBOLS:
            reader.symbols.append(body[part.begin : part.end])
        elif part.wire_type == SPAN and part.tag == _TIMESERIES:
            series.append(part)
        elif part.tag < _SYMBOLS:
            raise Malformed("this is not an io.prometheus.write.v2.Request; name the message in Content-Type")
    if (series or reader.symbols) and (not reader.symbols or reader.symbols[0]):
        raise Malformed("symbols: send a table whose first string is empty")
    for one in series:
        reader.read(one)
    return reader.decoded()


@dataclass
class _Reader:
    """The series of a request. What cannot be used of one is refused by itself."""

    body: bytes
    symbols: list[bytes]
    names: list[bytes] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    labels: dict[tuple[int, int], bytes] = field(default_factory=dict)  # as written, by their two references

    def read(self, series: Field) -> None:
        number = len(self.names)
        self.names.append(b"")
        try:
            self._read(number, series)
        except _Unusable as error:
            self.refusals.append(Refusal(number, *error.args))
        except Malformed as error:
            self.refusals.append(Refusal(number, "timeseries", str(error)))

    def _read(self, number: int, series: Field) -> None:
        refs: list[int] = []
        samples: list[tuple[int, float]] = []
        histograms = 0
        for part in protobuf.fields(self.body, series.begin, series.end):
            if part.tag == _LABELS_REFS:
                refs += _references(self.body, part)
            elif part.tag == _SAMPLES and part.wire_type == SPAN:
                samples.append(read_sample(self.body, part))
            elif part.tag == _HISTOGRAMS:
                histograms += 1
        self.refusals += [Refusal(number, "histograms", NO_HISTOGRAMS)] * histograms
        if not samples and not histograms:
            raise _Unusable("samples", "send at least one sample of each series")
        self.names[number] = self._name(refs)
        if len(self.values) + len(samples) + number > MAX_SAMPLES_PER_REQUEST:
            raise TooLarge(f"send at most {MAX_SAMPLES_PER_REQUEST} samples in one request")
        for timestamp, value in samples:
            self.origin.append(number)
            self.timestamps.append(timestamp)
            self.values.append(value)

    def _name(self, refs: list[int]) -> bytes:
        """The label set as 1.0 writes it."""
        if not refs or len(refs) % 2:
            raise _Unusable("labels_refs", "send the references of labels in pairs of name and value")
        pairs = list(zip(refs[::2], refs[1::2], strict=True))
        for pair in pairs:
            if pair not in self.labels:
                self.labels[pair] = self._label(*pair)
        return b"".join([self.labels[pair] for pair in pairs])

    def _label(self, label: int, value: int) -> bytes:
        if max(label, value) >= len(self.symbols):
            raise _Unusable("labels_refs", "send references to strings that are in the table of symbols")
        return write_label(self.symbols[label], self.symbols[value])

    def decoded(self) -> Decoded:
        origin = np.array(self.origin, dtype=np.int64)
        timestamps, values = np.array(self.timestamps, dtype=np.int64), np.array(self.values, dtype=np.float64)
        labelled = Labelled(FORM, self.names, describe, origin, timestamps, values, origin)
        return Decoded(labelled=labelled, refusals=self.refusals)


def _references(body: bytes, part: Field) -> Iterator[int]:
    """Packed, as protobuf writes them, or one by one, as it reads them too. Raises Malformed."""
    if part.wire_type == VARINT:
        yield part.varint
    elif part.wire_type == SPAN:
        position = part.begin
        while position < part.end:
            value, position = protobuf.varint(body, position, part.end)
            yield value
    else:
        raise Malformed("labels_refs are of another type than uint32")
