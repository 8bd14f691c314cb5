"""Loose samples gathered into instants: who reported the same series together. Pure: NumPy only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Instants:
    """m instants of one asset, at each of which the same n series have a sample."""

    asset: int
    series: tuple[int, ...]  # ids, ascending
    timestamps: NDArray[np.int64]  # (m,)
    values: NDArray[np.float64]  # (m, n)


def group(
    assets: NDArray[np.int64], series: NDArray[np.int64], timestamps: NDArray[np.int64], values: NDArray[np.float64]
) -> list[Instants]:
    """Gather k samples, given as four arrays of k; of those with the same series and timestamp the last one counts."""
    if not len(series):
        return []
    order = np.lexsort((series, timestamps, assets))
    last = np.append(_changes(assets[order], timestamps[order], series[order]), True)
    order = order[last]
    owner, at, ids = assets[order], timestamps[order], series[order]
    starts = np.flatnonzero(np.append(True, _changes(owner, at)))
    shapes: dict[tuple[int, tuple[int, ...]], list[int]] = defaultdict(list)
    listed, bounds = ids.tolist(), [*starts.tolist(), len(ids)]
    for begin, end, asset in zip(bounds, bounds[1:], owner[starts].tolist(), strict=False):
        shapes[asset, tuple(listed[begin:end])].append(begin)
    sorted_values = values[order]
    return [
        Instants(asset, shape, at[begins], sorted_values[np.asarray(begins)[:, None] + np.arange(len(shape))])
        for (asset, shape), begins in shapes.items()
    ]


def _changes(*columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Between which neighbours (k - 1 of them) any of the columns differs."""
    differ: NDArray[np.bool_] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return differ
