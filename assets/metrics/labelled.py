"""Samples as most protocols send them: each series named by its label set as it was sent. Pure: no Django."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.metrics.identity import SeriesKey


class NotASeries(Exception):
    """A label set cannot be a series: the field at fault, and what to send instead."""

    def __init__(self, field: str, reason: str):
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


@dataclass(frozen=True)
class Named:
    """What a label set means: a series, and the asset it names by id or name (None: the sender's own)."""

    asset: str | None
    key: SeriesKey


@dataclass(frozen=True)
class Labelled:
    """k samples of n series. A NaN is no sample: Prometheus marks a series as stale by one."""

    form: str  # the protocol, in whose terms the names are
    names: Sequence[Hashable]  # n label sets in a form that is quick to look up; one may stand there twice
    describe: Callable[[Any], Named]  # of a name; raises NotASeries
    origin: NDArray[np.int64]  # (k,) which of the names
    timestamps: NDArray[np.int64]  # (k,) milliseconds since 1970
    values: NDArray[np.float64]  # (k,)
    index: NDArray[np.int64]  # (k,) where in the request the sample stands, for refusals

    def take(self, kept: NDArray[np.bool_]) -> Labelled:
        """The same without the samples that are not `kept`."""
        return Labelled(
            self.form,
            self.names,
            self.describe,
            self.origin[kept],
            self.timestamps[kept],
            self.values[kept],
            self.index[kept],
        )
