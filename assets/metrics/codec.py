"""Columns at rest: a series' values and instants as few bytes, decoded many at once. Pure: NumPy and zstandard.

A column is one byte that says how it is coded, a bitmap of which instants have a sample where some have none, and the
values that are there. Bits survive exactly, of NaNs with a payload, infinities and negative zeros too; only the plain
NaN means "no sample". A column is coded in the smallest of these ways:

- constant: the one value (8 bytes);
- decimal: every value is a whole number divided by 10^k: k (1 byte), bits (1 byte), the first number (int64), then the
  differences to the one before, zigzag-coded, `bits` each, packed from the lowest bit up;
- xor: every value xor the one before (Pelkonen et al., Gorilla, VLDB 2015), bytes of equal rank together, zstd.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_CONSTANT, _DECIMAL, _XOR, _EMPTY = range(4)
_WITH_GAPS = 0x80
_PLAIN_NAN = np.array([np.nan]).view(np.uint64)[0]
_DECIMALS = range(7)
# A packed number is read by way of one unaligned word: its bits and up to 7 before it must fit.
_MOST_BITS = 57
_EXACT = float(2**53)
_DECIMAL_HEAD = struct.Struct("<BBq")
_deflate = zstandard.ZstdCompressor(level=6, write_content_size=False, write_checksum=False).compress


def encode(table: Floats) -> list[bytes]:
    """The n columns of (m, n) float64."""
    words = table.view(np.uint64)
    full = (words != _PLAIN_NAN).all(axis=0)
    constant = full & (words == words[0]).all(axis=0)
    varying = np.flatnonzero(full & ~constant)
    decimals = dict(zip(varying.tolist(), _encode_decimals(table[:, varying]), strict=True))
    coded = []
    for place in range(table.shape[1]):
        column = decimals.get(place)
        if constant[place]:
            column = bytes([_CONSTANT]) + words[0, place].astype("<u8").tobytes()
        elif column is None:
            column = _encode_other(np.ascontiguousarray(table[:, place]))
        coded.append(column)
    return coded


def _encode_other(values: Floats) -> bytes:
    """A column with gaps, or one that holds no decimals."""
    there = values.view(np.uint64) != _PLAIN_NAN
    if not there.any():
        return bytes([_EMPTY])
    if there.all():
        return bytes([_XOR]) + _encode_xor(values.view(np.uint64))
    (coded,) = encode(values[there][:, None])
    return bytes([coded[0] | _WITH_GAPS]) + np.packbits(there, bitorder="little").tobytes() + coded[1:]


def _encode_xor(words: Words) -> bytes:
    mixed = words.copy()
    mixed[1:] ^= words[:-1]
    return _deflate(mixed.astype("<u8").view(np.uint8).reshape(-1, 8).T.tobytes())


def _encode_decimals(table: Floats) -> list[bytes | None]:
    """None for the columns that are no decimals of at most six places, or would take more bytes so than by xor."""
    coded: list[bytes | None] = [None] * table.shape[1]
    left = np.arange(table.shape[1])
    for places in _DECIMALS:
        if not len(left):
            break
        # Most columns show with their first values that they have more places.
        candidates = left[_whole(table[:8, left], places)[0]]
        fits, numbers = _whole(table[:, candidates], places)
        for place, column in zip(candidates[fits].tolist(), numbers[:, fits].T, strict=True):
            coded[place] = _encode_numbers(places, column)
        left = np.setdiff1d(left, candidates[fits])
    return coded


def _whole(table: Floats, places: int) -> tuple[NDArray[np.bool_], Ints]:
    """Which columns, times 10^places, are whole numbers that lead back to the very same bits; and these numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(table * 10.0**places)
        same = (scaled / 10.0**places).view(np.uint64) == np.ascontiguousarray(table).view(np.uint64)
        # Negative zero divides back to itself, and a whole number has none.
        fits = (same & (np.abs(scaled) < _EXACT) & ~(np.signbit(scaled) & (scaled == 0))).all(axis=0)
        return fits, np.where(fits, scaled, 0).astype(np.int64)


def _encode_numbers(places: int, numbers: Ints) -> bytes | None:
    steps = np.diff(numbers)
    zigzag = ((steps << 1) ^ (steps >> 63)).view(np.uint64)
    bits = int(zigzag.max()).bit_length()
    # Beyond half of a float64 xor and zstd may do better, and cost no more to read.
    if bits > _MOST_BITS // 2:
        return None
    return bytes([_DECIMAL]) + _DECIMAL_HEAD.pack(places, bits, int(numbers[0])) + _pack(zigzag, bits)


def _pack(numbers: Words, bits: int) -> bytes:
    table = (numbers[:, None] >> np.arange(bits, dtype=np.uint64)) & np.uint64(1)
    return np.packbits(table.astype(np.uint8).ravel(), bitorder="little").tobytes()


def encode_instants(timestamps: Ints) -> bytes:
    """m ascending instants in milliseconds: the first, the step, and what is left of the differences to them."""
    steps = np.diff(timestamps)
    usual = int(np.median(steps)) if len(steps) else 0
    left = np.diff(timestamps, prepend=timestamps[:1] - usual) - usual
    if not left.any():
        return struct.pack("<qq", int(timestamps[0]), usual)
    return struct.pack("<qq", int(timestamps[0]), usual) + _deflate(
        left.astype("<i8").view(np.uint8).reshape(-1, 8).T.tobytes()
    )


def decode_instants(coded: bytes, count: int) -> Ints:
    """The `count` instants of `encode_instants`."""
    first, usual = struct.unpack_from("<qq", coded)
    steps = np.full(count, usual, dtype=np.int64)
    if len(coded) > 16:
        steps += _unshuffle(coded[16:], count).view(np.int64)
    steps[0] = 0
    instants: Ints = first + np.cumsum(steps)
    return instants


def _unshuffle(coded: bytes | memoryview, count: int) -> Words:
    raw = zstandard.ZstdDecompressor().decompress(coded, max_output_size=8 * count)
    return np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(8, count).T).view("<u8").ravel()


def decode_many(columns: Sequence[bytes], counts: Sequence[int]) -> list[Floats]:
    """The columns, of which columns[i] has counts[i] instants; all decimal ones are unpacked in one pass."""
    found: list[Floats | None] = [None] * len(columns)
    gaps: dict[int, NDArray[np.bool_]] = {}
    decimals: list[tuple[int, bytes, int]] = []
    for place, (column, count) in enumerate(zip(columns, counts, strict=True)):
        kind, body, full = column[0] & ~_WITH_GAPS, column[1:], count
        if column[0] & _WITH_GAPS:
            size = (count + 7) // 8
            there = np.unpackbits(np.frombuffer(body, np.uint8, size), count=count, bitorder="little").view(np.bool_)
            gaps[place], body, full = there, body[size:], int(np.count_nonzero(there))
        if kind == _DECIMAL:
            decimals.append((place, body, full))
        else:
            found[place] = _decode_one(kind, body, full)
    for (place, _, _), values in zip(decimals, _decode_decimals(decimals), strict=True):
        found[place] = values
    for place, there in gaps.items():
        filled = np.full(counts[place], np.nan)
        filled[there] = found[place]
        found[place] = filled
    return [column for column in found if column is not None]


def _decode_one(kind: int, body: bytes, count: int) -> Floats:
    if kind == _EMPTY:
        return np.full(count, np.nan)
    if kind == _CONSTANT:
        return np.repeat(np.frombuffer(body, "<u8"), count).view(np.float64)
    if kind == _XOR:
        return np.bitwise_xor.accumulate(_unshuffle(body, count)).view(np.float64)
    raise ValueError(f"no column is coded as {kind}")


def _decode_decimals(coded: Sequence[tuple[int, bytes, int]]) -> list[Floats]:
    """All packed numbers by one unaligned read each, whatever their widths (place, body, count of each column)."""
    if not coded:
        return []
    heads = [_DECIMAL_HEAD.unpack_from(body) for _, body, _ in coded]
    places, bits, firsts = (np.array(part) for part in zip(*heads, strict=True))
    counts = np.array([count for _, _, count in coded], dtype=np.int64)
    bodies = [body[_DECIMAL_HEAD.size :] for _, body, _ in coded]
    sizes = np.array([len(body) for body in bodies], dtype=np.int64)
    packed = np.frombuffer(b"".join(bodies) + bytes(8), np.uint8)
    words = np.lib.stride_tricks.as_strided(packed[:8].view("<u8"), (len(packed) - 7,), (1,), writeable=False)
    starts = np.cumsum(counts) - counts
    position = np.arange(int(counts.sum())) - np.repeat(starts, counts)
    width = np.repeat(bits, counts).astype(np.int64)
    # The first number of a column stands in its head and takes no bits.
    at = np.repeat((np.cumsum(sizes) - sizes) * 8, counts) + np.maximum(position - 1, 0) * width
    zigzag = (words[at >> 3] >> (at & 7).astype(np.uint64)) & ((np.uint64(1) << width.astype(np.uint64)) - np.uint64(1))
    steps = (zigzag >> np.uint64(1)).view(np.int64) ^ -(zigzag & np.uint64(1)).view(np.int64)
    steps[starts] = firsts
    numbers = np.cumsum(steps)
    before = numbers[starts] - firsts
    values = (numbers - np.repeat(before, counts)) / np.repeat(10.0 ** places.astype(np.float64), counts)
    return np.split(values, starts[1:])
