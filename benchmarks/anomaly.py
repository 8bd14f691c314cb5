"""The streaming anomaly detector: processor time per point, for a stored series and for a stream that goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from alerts.anomaly import Detector, score
from benchmarks.figures import Figure

POINTS, EVERY_SECONDS = 20_000, 300.0
SINGLE = 1_000


def measure() -> Iterator[Figure]:
    times = EVERY_SECONDS * np.arange(POINTS)
    values = 10 * np.sin(times * 2 * np.pi / 86_400) + np.random.default_rng(0).normal(size=POINTS)
    started = time.process_time()
    score(times, values)
    yield Figure("Anomaly scores of a stored series", _micros(started, POINTS), "µs a point", 50, at_most=True)
    detector = Detector()
    detector.update(times[:-SINGLE], values[:-SINGLE])
    started = time.process_time()
    for at in range(POINTS - SINGLE, POINTS):
        detector.update(times[at : at + 1], values[at : at + 1])
    yield Figure("Anomaly score of one new point of a stream", _micros(started, SINGLE), "µs")


def _micros(started: float, points: int) -> float:
    return 1e6 * (time.process_time() - started) / points
