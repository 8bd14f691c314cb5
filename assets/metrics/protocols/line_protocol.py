r"""InfluxDB's line protocol, as Telegraf and the Influx clients write it. Pure: no Django.

    measurement[,tag=value…] field=value[,field=value…] [timestamp]

Commas, spaces and equals signs in names and tag values are escaped by a backslash; string fields stand in double
quotes, in which \" and \\ are escapes and a line may end. The series of a field is `measurement_field`, or
`measurement` where the field is called `value`. A line that cannot be read costs itself only.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from assets.metrics.labelled import Labelled, Named, NotASeries
from assets.metrics.protocols import mapping
from assets.metrics.wire import MAX_SAMPLES_PER_REQUEST, Decoded, Malformed, Refusal, TooLarge

FORM = "line protocol"
NANOSECONDS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
# The protocol has no types: a sender that knows that something is counted says so by this tag.
_TYPE_TAG = "metric_type"

_HEAD = re.compile(rb"(?:[^ \\]|\\.|\\$)+", re.DOTALL)
_FIELD = re.compile(rb'((?:[^,= \\]|\\.)+)=("(?:[^"\\]|\\.)*"|[^", ][^, ]*)', re.DOTALL)
_OPENED = re.compile(rb'(?:[^,= \\]|\\.)+="', re.DOTALL)
_QUOTE = re.compile(rb'(?:^|[^\\])(?:\\\\)*"')
_MEASUREMENT = re.compile(rb"(?:[^,\\]|\\.|\\$)+", re.DOTALL)
_TAG = re.compile(rb",((?:[^,=\\]|\\.)+)=((?:[^,\\]|\\.|\\$)+)", re.DOTALL)
_ESCAPED = re.compile(r"\\([,= ])")
_INTEGER = re.compile(rb"(-?\d{1,19}i|\d{1,20}u)")
_FLOAT = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_TIMESTAMP = re.compile(rb"-?\d{1,19}")
_TRUE = (b"t", b"T", b"true", b"True", b"TRUE")
_FALSE = (b"f", b"F", b"false", b"False", b"FALSE")


class _BadLine(Exception):
    """Why a line cannot be read."""


class _Unfinished(_BadLine):
    """A string does not end in its line."""


def decode(body: bytes, precision: str, now_ms: int) -> Decoded:
    """The samples of all lines; refusals have the number of their line, from 1. Raises Malformed and TooLarge."""
    nanoseconds = NANOSECONDS.get(precision)
    if nanoseconds is None:
        raise Malformed(f"precision {precision[:20]!r} is not known; use one of: {', '.join(NANOSECONDS)}")
    samples = _Samples(now_ms, nanoseconds)
    lines = _Lines(body.split(b"\n"))
    number = 0
    while number < len(lines.lines):
        number += _take(samples, lines, number)
        if len(samples.values) > MAX_SAMPLES_PER_REQUEST:
            raise TooLarge(f"send at most {MAX_SAMPLES_PER_REQUEST} samples in one request")
    return Decoded(labelled=samples.labelled(), refusals=samples.refusals)


@dataclass
class _Lines:
    lines: list[bytes]

    @cached_property
    def _quoting(self) -> list[int]:
        return [number for number, line in enumerate(self.lines) if _QUOTE.search(line)]

    def closing(self, number: int) -> int | None:
        """The first line after `number` in which a string may end."""
        place = bisect_right(self._quoting, number)
        return self._quoting[place] if place < len(self._quoting) else None


def _take(samples: _Samples, lines: _Lines, number: int) -> int:
    """Read the line `number`, with those over which its string goes on; how many they are."""
    try:
        samples.add(number + 1, lines.lines[number])
        return 1
    except _BadLine as error:
        problem = error
    last = lines.closing(number) if isinstance(problem, _Unfinished) else None
    if last is not None:
        # Where this fails the quote was a stray one, and the lines after it stand for themselves.
        with suppress(_BadLine):
            samples.add(number + 1, b"\n".join(lines.lines[number : last + 1]))
            return last + 1 - number
    samples.refusals.append(Refusal(number + 1, "line", str(problem)))
    return 1


@dataclass
class _Samples:
    now_ms: int
    nanoseconds: int
    names: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    origin: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def add(self, number: int, line: bytes) -> None:
        """The samples of one line. Raises _BadLine, and then nothing of the line is kept."""
        line = line.strip(b" \t\r")
        if not line or line.startswith(b"#"):
            return
        head, fields, timestamp = _parts(line)
        at = self._milliseconds(timestamp)
        for name, value in [(name, _value(text)) for name, text in fields]:
            if value is None:
                self.refusals.append(Refusal(number, _shown(name), "this is a string; send numbers and booleans"))
                continue
            self.origin.append(self.names.setdefault((head, name), len(self.names)))
            self.timestamps.append(at)
            self.values.append(value)
            self.index.append(number)

    def _milliseconds(self, timestamp: bytes) -> int:
        if not timestamp:
            return self.now_ms
        if not _TIMESTAMP.fullmatch(timestamp):
            raise _BadLine(f"{_shown(timestamp)!r} is not a timestamp; send an integer")
        milliseconds = int(timestamp) * self.nanoseconds // 1_000_000
        if abs(milliseconds) >= 1 << 63:
            raise _BadLine("the timestamp is too far from now; look at the precision")
        return milliseconds

    def labelled(self) -> Labelled:
        return Labelled(
            FORM,
            list(self.names),
            describe,
            np.array(self.origin, dtype=np.int64),
            np.array(self.timestamps, dtype=np.int64),
            np.array(self.values, dtype=np.float64),
            np.array(self.index, dtype=np.int64),
        )


def _parts(line: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Measurement with tags, fields, and timestamp (empty where there is none). Raises _BadLine."""
    head = _HEAD.match(line)
    if head is None or head.group().startswith(b","):
        raise _BadLine("the measurement is missing")
    position = _after_spaces(line, head.end())
    fields: list[tuple[bytes, bytes]] = []
    for key, text, end in _fields(line, position):
        fields.append((key, text))
        position = end
    return head.group(), fields, line[position:].strip()


def _fields(line: bytes, position: int) -> Iterator[tuple[bytes, bytes, int]]:
    while True:
        match = _FIELD.match(line, position)
        if match is None:
            kind = _Unfinished if _OPENED.match(line, position) else _BadLine
            raise kind("write fields as name=value, strings in double quotes")
        position = match.end()
        yield match[1], match[2], position
        if line[position : position + 1] != b",":
            break
        position += 1
    if line[position : position + 1] not in (b"", b" "):
        raise _BadLine("a field is followed by neither a comma nor a space")


def _after_spaces(line: bytes, position: int) -> int:
    while line[position : position + 1] == b" ":
        position += 1
    return position


def _value(text: bytes) -> float | None:
    """The number that a field has; None for a string. Raises _BadLine."""
    if text.startswith(b'"'):
        return None
    if _FLOAT.fullmatch(text):
        return float(text)
    if text in _TRUE or text in _FALSE:
        return float(text in _TRUE)
    if _INTEGER.fullmatch(text):
        return float(int(text[:-1]))
    raise _BadLine(f'{_shown(text)!r} is not a value; write 1.5, 15i, 15u, true or "text"')


def _shown(text: bytes) -> str:
    return text[:50].decode(errors="replace")


def describe(name: tuple[bytes, bytes]) -> Named:
    """What a line's head and the name of a field mean. Raises NotASeries."""
    head, field_name = name
    meant = _head(head)
    if isinstance(meant, NotASeries):
        raise meant
    measurement, labels = meant
    part = _text(field_name)
    metric_type = labels.get(_TYPE_TAG, "gauge")
    kept = {label: value for label, value in labels.items() if label != _TYPE_TAG}
    return mapping.named(measurement if part == "value" else f"{measurement}_{part}", kept, metric_type)


@lru_cache(maxsize=1024)
def _head(head: bytes) -> tuple[str, dict[str, str]] | NotASeries:
    """Measurement and tags, read once for all fields of a line; an error is remembered too."""
    measurement = _MEASUREMENT.match(head)
    assert measurement is not None
    try:
        return _text(measurement.group()), _tags(head, measurement.end(), len(head))
    except NotASeries as error:
        return error


def _tags(name: bytes, position: int, end: int) -> dict[str, str]:
    labels: dict[str, str] = {}
    while position < end:
        match = _TAG.match(name, position, end)
        if match is None:
            raise NotASeries("tags", "write tags as name=value, neither of them empty")
        label = _text(match[1])
        if label in labels:
            raise NotASeries(f"tags.{label[:50]}", "send each tag once")
        labels[label] = _text(match[2])
        position = match.end()
    return labels


def _text(escaped: bytes) -> str:
    try:
        return _ESCAPED.sub(r"\1", escaped.decode())
    except UnicodeDecodeError as error:
        raise NotASeries("line", "the line is not UTF-8") from error
