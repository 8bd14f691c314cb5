"""Prometheus label sets as the bytes that they are in remote write 1.0: quick to look up, read when first seen. Pure.

repeated Label labels = 1;    Label { string name = 1; string value = 2; }
"""

from __future__ import annotations

from functools import lru_cache

from assets.metrics.labelled import Named, NotASeries
from assets.metrics.protocols import mapping, protobuf
from assets.metrics.protocols.protobuf import SPAN
from assets.metrics.wire import Malformed

LABEL = 0x0A  # a label as it begins on the wire: tag 1 with a length
_VALUE = 0x12


def describe(name: bytes) -> Named:
    """What the bytes of a label set mean. Raises NotASeries."""
    try:
        labels = read(name)
    except Malformed as error:
        raise NotASeries("labels", str(error)) from error
    metric_name = labels.pop("__name__", "")
    return mapping.named(metric_name, labels, mapping.type_by_suffix(metric_name))


def read(name: bytes) -> dict[str, str]:
    """The labels of a label set. Raises Malformed, and NotASeries where one stands there twice."""
    labels: dict[str, str] = {}
    position, end = 0, len(name)
    while position < end:
        begin, length = position + 2, name[position + 1] if position + 1 < end else 0x80
        if length > 0x7F:
            length, begin = protobuf.varint(name, position + 1, end)
        if name[position] != LABEL or begin + length > end:
            raise Malformed("the labels are cut off or damaged")
        position = begin + length
        label, value = _read_label(name[begin:position])
        if label in labels:
            raise NotASeries(f"labels.{label[:50]}", "send each label once")
        labels[label] = value
    return labels


# Most labels of a sender stand in many of its series.
@lru_cache(maxsize=50_000)
def _read_label(content: bytes) -> tuple[str, str]:
    label = value = ""
    for item in protobuf.fields(content, 0, len(content)):
        if item.wire_type == SPAN and item.tag == 1:
            label = protobuf.text(content, item)
        elif item.wire_type == SPAN and item.tag == 2:
            value = protobuf.text(content, item)
    return label, value


def write_label(label: bytes, value: bytes) -> bytes:
    """One label as it stands in a label set."""
    content = b"".join(
        (
            bytes((LABEL,)),
            protobuf.write_varint(len(label)),
            label,
            bytes((_VALUE,)),
            protobuf.write_varint(len(value)),
            value,
        )
    )
    return bytes((LABEL,)) + protobuf.write_varint(len(content)) + content
