"""Protobuf's wire format, read by hand: fields of a message as numbers and spans, without a class each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from assets.metrics.wire import Malformed

VARINT, FIXED64, SPAN, FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


class Field(NamedTuple):
    """One field: its tag and wire type, where its content stands, and the number where it is one."""

    tag: int
    wire_type: int
    begin: int  # of the content
    end: int
    varint: int = 0


def varint(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    """The unsigned number at `position`, and where it ends. Raises Malformed."""
    value = shift = 0
    for at in range(position, min(position + _MAX_VARINT_BYTES, end)):
        byte = buffer[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + 1
        shift += 7
    raise Malformed("a number is cut off or too long: this is not the protobuf message that is expected here")


def signed(value: int) -> int:
    """An int64 as protobuf writes it."""
    return value - (1 << 64) if value >= 1 << 63 else value


def fields(buffer: bytes, begin: int, end: int) -> Iterator[Field]:
    """The fields of the message at buffer[begin:end]. Raises Malformed."""
    position = begin
    while position < end:
        key, position = buffer[position], position + 1
        if key > 0x7F:
            key, position = varint(buffer, position - 1, end)
        tag, wire_type = key >> 3, key & 7
        number = 0
        start = position
        if wire_type == VARINT:
            number, position = varint(buffer, position, end)
        elif wire_type == SPAN:
            length, start = varint(buffer, position, end)
            position = start + length
        elif wire_type in (FIXED64, FIXED32):
            position += 8 if wire_type == FIXED64 else 4
        else:
            raise Malformed(f"wire type {wire_type} is not protobuf's")
        if not tag or position > end:
            raise Malformed("the protobuf message is cut off or damaged")
        yield Field(tag, wire_type, start, position, number)


def text(buffer: bytes, field: Field) -> str:
    """A string field. Raises Malformed."""
    try:
        return buffer[field.begin : field.end].decode()
    except UnicodeDecodeError as error:
        raise Malformed("a text is not UTF-8") from error


def write_varint(value: int) -> bytes:
    """An unsigned number as it stands on the wire."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
