"""Availability and error budget from stored samples. Pure.

A range is cut into slots of five minutes, from its start or, where that is later, from the first report that the asset
ever sent. A slot in which the asset reported anything counts as available, so that samples that an agent kept through
an outage of this server count when they arrive. Availability = 100 × available / all slots: an asset that was silent
for the whole range had 0 %; of one that never reported nothing is known. The error budget is what the target allows to
be missing: with target T the part that remains is 100 × (1 - (100 - availability) / (100 - T)); below zero it is
overspent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SLOT_MS = 300_000
DEFAULT_TARGET_PERCENT = 99.9


def availability(timestamps: NDArray[np.int64], end_ms: int, start_ms: int | None = None) -> float | None:
    """Percent of the slots from `start_ms` to `end_ms` that have a sample; None where there is nothing to count.

    `start_ms` is the start of the range for an asset that had reported by then; without it counting starts at the first
    of `timestamps`. A slot that the range cuts, such as the one that is still running, counts only with a sample in it.
    """
    if not len(timestamps) and start_ms is None:
        return None
    slots = set((timestamps // SLOT_MS).tolist())
    first = min(slots) if start_ms is None else start_ms // SLOT_MS
    last = max(end_ms // SLOT_MS, first)
    cut = {last} if start_ms is None or start_ms % SLOT_MS == 0 else {first, last}
    total = last - first + 1 - len(cut - slots)
    return 100.0 * len(slots) / total if total > 0 else None


def budget_remaining(available: float | None, target: float = DEFAULT_TARGET_PERCENT) -> float | None:
    """Percent of the error budget that is left; below zero where it is overspent."""
    if available is None:
        return None
    return round(100.0 * (1 - (100.0 - available) / (100.0 - target)), 3)
