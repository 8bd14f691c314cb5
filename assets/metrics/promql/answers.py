"""Results as Prometheus's JSON. Pure: no Django.

A value is [seconds, "text"]. Numbers are written by msgspec, all of an answer in one call: one by one in Python they
would cost more than everything else.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from assets.metrics.promql.evaluation import without_stale
from assets.metrics.promql.syntax import number_text
from assets.metrics.promql.vectors import Labels, Vector, Window, key_of
from assets.metrics.samples import Floats, Ints

_encode = msgspec.json.encode


def success(data: bytes) -> bytes:
    return b'{"status":"success","data":' + data + b"}"


def failure(kind: str, reason: str) -> bytes:
    return _encode({"status": "error", "errorType": kind, "error": reason})


def _result(kind: bytes, body: bytes) -> bytes:
    return b'{"resultType":"' + kind + b'","result":' + body + b"}"


def _stamps(moments: Ints) -> list[bytes]:
    """Seconds with as many of three decimals as there are."""
    return [b"%d.%03d" % divmod(one, 1000) if one % 1000 else b"%d" % (one // 1000) for one in moments.tolist()]


def _numbers(values: Floats) -> list[bytes]:
    if not len(values):
        return []
    finite = np.isfinite(values)
    shown = values if finite.all() else np.where(finite, values, 0.0)
    written = _encode(shown.tolist())[1:-1]
    if (shown == np.rint(shown)).any():
        written = (written + b",").replace(b".0,", b",")[:-1]
    numbers = written.split(b",")
    for at in np.flatnonzero(~finite).tolist():
        numbers[at] = number_text(float(values[at])).encode()
    return numbers


def _pairs(separators: Sequence[bytes], numbers: Sequence[bytes]) -> bytes:
    """[[seconds, "value"], …], where separators[i] is what stands before value i."""
    parts = [b""] * (2 * len(numbers))
    parts[0::2] = separators
    parts[1::2] = numbers
    # The first separator has the end of a value before it that is not there.
    return b"[" + b"".join(parts)[len(_CLOSING) :] + b'"]]'


_CLOSING = b'"],'


def _separators(moments: Ints) -> list[bytes]:
    return [_CLOSING + b"[" + stamp + b',"' for stamp in _stamps(moments)]


def matrix(vector: Vector, moments: Ints) -> bytes:
    """The answer of a range query: rows by their labels."""
    separators = _separators(moments)
    numbers = _numbers(vector.values[vector.there])
    ends = np.cumsum(vector.there.sum(axis=1)).tolist()
    begins, rows = [0, *ends], []
    for row in sorted(range(len(vector.labels)), key=lambda row: key_of(vector.labels[row])):
        own = numbers[begins[row] : ends[row]]
        if len(own) == len(separators):
            rows.append(_series(vector.labels[row], _pairs(separators, own)))
        elif own:
            held = np.flatnonzero(vector.there[row]).tolist()
            rows.append(_series(vector.labels[row], _pairs([separators[at] for at in held], own)))
    return _result(b"matrix", b"[" + b",".join(rows) + b"]")


def _series(labels: Labels, values: bytes) -> bytes:
    return b'{"metric":' + _encode(labels) + b',"values":' + values + b"}"


def scalar_matrix(values: Floats, moments: Ints) -> bytes:
    """A scalar over time is one row without labels."""
    return matrix(Vector([{}], values[None, :], np.ones((1, len(values)), dtype=bool)), moments)


def instant(vector: Vector, moment: int) -> bytes:
    """The answer at one instant: rows as they stand."""
    kept = np.flatnonzero(vector.there[:, 0])
    (stamp,) = _stamps(np.array([moment]))
    head, tail = b',"value":[' + stamp + b',"', b'"]}'
    numbers = _numbers(vector.values[kept, 0])
    rows = [
        b'{"metric":' + _encode(vector.labels[row]) + head + number + tail
        for row, number in zip(kept.tolist(), numbers, strict=True)
    ]
    return _result(b"vector", b"[" + b",".join(rows) + b"]")


def samples(window: Window) -> bytes:
    """The samples of a range vector at one instant, as they were stored."""
    kept = without_stale(window)
    rows = []
    for row, labels in enumerate(kept.labels):
        part = slice(kept.offsets[row], kept.offsets[row + 1])
        if part.stop > part.start:
            rows.append(_series(labels, _pairs(_separators(kept.timestamps[part]), _numbers(kept.values[part]))))
    return _result(b"matrix", b"[" + b",".join(rows) + b"]")


def scalar(value: float, moment: int) -> bytes:
    (stamp,) = _stamps(np.array([moment]))
    return _result(b"scalar", b"[" + stamp + b',"' + number_text(value).encode() + b'"]')


def text(value: str, moment: int) -> bytes:
    (stamp,) = _stamps(np.array([moment]))
    return _result(b"string", b"[" + stamp + b"," + _encode(value) + b"]")
