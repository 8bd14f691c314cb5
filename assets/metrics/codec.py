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
from collections.abc import Callable, Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Octets = NDArray[np.uint8]

_CONSTANT, _DECIMAL, _XOR, _EMPTY = range(4)
_WITH_GAPS = 0x80
_PLAIN_NAN = np.array([np.nan]).view(np.uint64)[0]
_DECIMALS = range(7)
# A packed number is read by way of one unaligned word: its bits and up to 7 before it must fit.
_MOST_BITS = 57
_EXACT = float(2**53)
# What is decoded at once: the arrays on the way stay in the processor's cache, which halves the time and more.
_AT_ONCE = 1 << 15
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


def decode_many_instants(coded: Sequence[bytes], counts: Ints) -> Ints:
    """The instants of many, one after the other. Those at equal distances, nearly all, are computed at once."""
    heads = np.frombuffer(b"".join([one[:16] for one in coded]), "<i8").reshape(-1, 2)
    begins = np.cumsum(counts) - counts
    places = np.arange(int(counts.sum())) - np.repeat(begins, counts)
    instants: Ints = np.repeat(heads[:, 0], counts) + places * np.repeat(heads[:, 1], counts)
    for place, one in enumerate(coded):
        if len(one) > 16:
            begin = begins[place]
            instants[begin : begin + counts[place]] = decode_instants(one, int(counts[place]))
    return instants


def _unshuffle(coded: bytes | memoryview, count: int) -> Words:
    raw = zstandard.ZstdDecompressor().decompress(coded, max_output_size=8 * count)
    return np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(8, count).T).view("<u8").ravel()


def decode(packed: bytes, starts: Ints, ends: Ints, counts: Ints) -> Floats:
    """The values of columns that lie anywhere in `packed`, in the order given and one after the other: column i is
    packed[starts[i]:ends[i]] and has counts[i] instants. All columns that are coded alike and equally long are
    unpacked in one pass.

    Raises ValueError for a column that is coded in no known way.
    """
    # Whatever begins within the bytes can be read as a word.
    octets = np.frombuffer(packed + bytes(8), np.uint8)
    heads = octets[starts]
    full, values_from, there = counts, starts + 1, None
    if gapped := np.flatnonzero(heads & _WITH_GAPS).tolist():
        full, values_from, there = _bitmaps(octets, np.array(gapped), counts, values_from)
    kinds = (heads & np.uint8(_WITH_GAPS - 1)).astype(np.int64)
    begins = np.cumsum(full) - full
    values = np.empty(int(full.sum()))
    for chosen in _alike(kinds, full):
        kind, count = int(kinds[chosen[0]]), int(full[chosen[0]])
        if kind >= len(_READERS):
            raise ValueError(f"no column is coded as {kind}")
        table = _READERS[kind](octets, values_from[chosen], ends[chosen], count)
        if chosen[-1] - chosen[0] == len(chosen) - 1:  # neighbours
            values[begins[chosen[0]] :][: len(chosen) * count].reshape(len(chosen), count)[:] = table
        else:
            values[begins[chosen][:, None] + np.arange(count)] = table
    if there is None:
        return values
    spread = np.full(len(there), np.nan)
    spread[there] = values
    return spread


def _alike(kinds: Ints, counts: Ints) -> list[Ints]:
    """The places of columns of one kind with one number of values, some at a time: each are a matrix."""
    keys = kinds << 32 | counts
    order = np.argsort(keys, kind="stable")
    alike = [part for part in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1) if len(part)]
    sizes = [max(_AT_ONCE // max(int(counts[part[0]]), 1), 1) for part in alike]
    return [part[at : at + size] for part, size in zip(alike, sizes, strict=True) for at in range(0, len(part), size)]


def runs(starts: Ints, counts: Ints) -> Ints:
    """starts[0], starts[0] + 1, … counts[0] of them, then the same of the next."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))


def _bitmaps(octets: Octets, gapped: Ints, counts: Ints, starts: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """How many values each column has, where they begin, and which instants of all columns have one."""
    there = np.ones(int(counts.sum()), dtype=bool)
    size = counts[gapped]
    at = runs(starts[gapped] * 8, size)
    set_ = ((octets[at >> 3] >> (at & 7).astype(np.uint8)) & 1).view(np.bool_)
    there[runs((np.cumsum(counts) - counts)[gapped], size)] = set_
    full, values_from = counts.copy(), starts.copy()
    full[gapped] = np.add.reduceat(set_, np.cumsum(size) - size, dtype=np.int64)
    values_from[gapped] += (size + 7) // 8
    return full, values_from, there


def _words(octets: Octets) -> Words:
    """The little-endian word that begins at each octet."""
    return np.lib.stride_tricks.as_strided(octets[:8].view("<u8"), (len(octets) - 7,), (1,), writeable=False)


def _read_constants(octets: Octets, starts: Ints, ends: Ints, count: int) -> Floats:
    return _words(octets)[starts].view(np.float64)[:, None]


def _read_nothing(octets: Octets, starts: Ints, ends: Ints, count: int) -> Floats:
    return np.full((len(starts), count), np.nan)


def _read_xor(octets: Octets, starts: Ints, ends: Ints, count: int) -> Floats:
    inflate, view, size = zstandard.ZstdDecompressor().decompress, octets.data, 8 * count
    places = zip(starts.tolist(), ends.tolist(), strict=True)
    raw = b"".join([inflate(view[at:end], max_output_size=size) for at, end in places])
    mixed = np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(-1, 8, count).transpose(0, 2, 1))
    return np.bitwise_xor.accumulate(mixed.view("<u8")[:, :, 0], axis=1).view(np.float64)


def _read_decimals(octets: Octets, starts: Ints, ends: Ints, count: int) -> Floats:
    """All packed numbers by one unaligned read each, whatever their widths."""
    words = _words(octets)
    places, bits, firsts = octets[starts], octets[starts + 1].astype(np.int64), words[starts + 2].view(np.int64)
    # The first number of a column stands in its head and takes no bits.
    at = bits[:, None] * np.arange(count - 1) + ((starts + _DECIMAL_HEAD.size) * 8)[:, None]
    zigzag = words.take(at >> 3, mode="clip")
    at &= 7
    zigzag >>= at.view(np.uint64)
    zigzag &= ((np.uint64(1) << bits.view(np.uint64)) - np.uint64(1))[:, None]
    numbers = np.empty((len(starts), count), np.int64)
    numbers[:, 0] = firsts
    falling = (zigzag & np.uint64(1)).view(np.int64)
    zigzag >>= np.uint64(1)
    numbers[:, 1:] = zigzag.view(np.int64) ^ -falling
    np.cumsum(numbers, axis=1, out=numbers)
    return numbers / (10.0 ** places.astype(np.float64))[:, None]


_READERS: tuple[Callable[[Octets, Ints, Ints, int], Floats], ...] = (
    _read_constants,
    _read_decimals,
    _read_xor,
    _read_nothing,
)
