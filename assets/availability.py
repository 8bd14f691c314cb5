"""Availability and error budget from stored samples. Pure.

A range is cut into slots of five minutes, from the asset's first sample in it. A slot in which the asset reported
anything counts as available, so that samples that an agent kept through an outage of this server count when they
arrive. Availability = 100 × available / all slots. The error budget is what the target allows to be missing: with
target T the part that remains is 100 × (1 - (100 - availability) / (100 - T)); below zero it is overspent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SLOT_MS = 300_000
DEFAULT_TARGET_PERCENT = 99.9


def availability(timestamps: NDArray[np.int64], end_ms: int) -> float | None:
    """Percent of the slots from the first of `timestamps` to `end_ms` that have a sample; None without samples."""
    if not len(timestamps):
        return None
    first = int(timestamps.min()) // SLOT_MS
    last = max(end_ms // SLOT_MS, first)
    slots = np.unique(timestamps // SLOT_MS)
    # The slot that is still running counts only once something has arrived in it.
    running = 0 if last in slots else 1
    total = last - first + 1 - running
    return float(100.0 * len(slots) / max(total, 1))


def budget_remaining(available: float | None, target: float = DEFAULT_TARGET_PERCENT) -> float | None:
    """Percent of the error budget that is left; below zero where it is overspent."""
    if available is None:
        return None
    return round(100.0 * (1 - (100.0 - available) / (100.0 - target)), 3)
