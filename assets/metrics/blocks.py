"""Blocks: the frames of one asset, layout and hour as compressed columns with statistics. Pure: NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.metrics import codec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STATISTICS = ("count", "sum", "min", "max", "first", "last", "increase")


@dataclass(frozen=True)
class Block:
    """m instants of n series; `statistics` is (n, 7) in the order of STATISTICS, NaN where a series has no sample."""

    instants: int
    last_ms: int
    times: bytes
    ends: list[int]
    columns: bytes
    statistics: Floats


def build(timestamps: Ints, values: Floats) -> Block:
    """The block of ascending (m,) instants and (m, n) values."""
    columns = codec.encode(np.ascontiguousarray(values))
    return Block(
        len(timestamps),
        int(timestamps[-1]),
        codec.encode_instants(timestamps),
        np.cumsum([len(column) for column in columns]).tolist(),
        b"".join(columns),
        summarise(values),
    )


def open_up(instants: int, times: bytes, ends: list[int], columns: bytes) -> tuple[Ints, Floats]:
    """The instants and values of a block."""
    until = np.array(ends, dtype=np.int64)
    starts = np.append(0, until[:-1])
    values = codec.decode(columns, starts, until, np.full(len(until), instants))
    return codec.decode_instants(times, instants), np.ascontiguousarray(values.reshape(len(until), instants).T)


def merge(known: tuple[Ints, Floats], new: tuple[Ints, Floats]) -> tuple[Ints, Floats]:
    """Both in the order of time; of an instant that is in both, the known one stays."""
    timestamps = np.concatenate([known[0], new[0]])
    kept, first = np.unique(timestamps, return_index=True)
    return kept, np.concatenate([known[1], new[1]])[first]


def summarise(values: Floats) -> Floats:
    """The statistics of (m, n) values, as (n, 7)."""
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    held = _hold(values, there)
    with np.errstate(invalid="ignore", over="ignore"):
        step = np.diff(held, axis=0)
        rise = np.where(step < 0, held[1:], step)
        table = np.column_stack(
            [
                count,
                np.where(there, values, 0).sum(axis=0),
                np.where(there, values, np.inf).min(axis=0),
                np.where(there, values, -np.inf).max(axis=0),
                held[np.argmax(there, axis=0), np.arange(values.shape[1])],
                held[-1],
                np.nansum(rise, axis=0),
            ]
        )
    table[count == 0, 1:] = np.nan
    return table


def _hold(values: Floats, there: NDArray[np.bool_]) -> Floats:
    """Each gap filled with the value before it; what is before the first value stays NaN."""
    if there.all():
        return values
    last = np.maximum.accumulate(np.where(there, np.arange(len(values))[:, None], 0), axis=0)
    return np.take_along_axis(values, last, axis=0)


def combine(tables: Floats) -> Floats:
    """The statistics (n, 7) of k consecutive spans, given as (k, n, 7) in the order of time.

    A counter's increase between two spans counts too; where it fell, it began again at zero.
    """
    count = tables[:, :, 0]
    there = count > 0
    first, last = tables[:, :, 4], tables[:, :, 5]
    held = _hold(np.where(there, last, np.nan), there)
    with np.errstate(invalid="ignore"):
        between = first[1:] - held[:-1]
        between = np.where(between < 0, first[1:], between)
        combined = np.column_stack(
            [
                count.sum(axis=0),
                np.nansum(tables[:, :, 1], axis=0),
                np.where(there, tables[:, :, 2], np.inf).min(axis=0),
                np.where(there, tables[:, :, 3], -np.inf).max(axis=0),
                first[np.argmax(there, axis=0), np.arange(tables.shape[1])],
                held[-1],
                np.nansum(tables[:, :, 6], axis=0) + np.nansum(between, axis=0),
            ]
        )
    combined[combined[:, 0] == 0, 1:] = np.nan
    return combined
