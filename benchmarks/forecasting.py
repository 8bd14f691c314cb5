"""Forecasts on made-up series of known kinds: error against Naive2 per method and kind, coverage, processor time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.figures import Figure
from capacity import backtest
from capacity.forecasters import METHODS
from capacity.forecasters.base import History
from capacity.forecasting import Forecast, predict

SERIES, LENGTH, HORIZON, DAY, WEEK = 5, 1_008, 48, 24, 168
Values = npt.NDArray[np.float64]


def measure() -> Iterator[Figure]:
    for method in METHODS:
        owas, inside, millis = [], [], []
        for name, kind in KINDS.items():
            started = time.process_time()
            made = [(series, predicted(series, method)) for series in drawn(kind)]
            millis.append(1e3 * (time.process_time() - started) / SERIES)
            owas.append(owa(made))
            inside += [backtest.coverage(series[LENGTH:], one.lo95, one.hi95) for series, one in made]
            yield Figure(f"{method}, {name}: OWA", owas[-1], "of Naive2")
        goal = 0.8 if method == "auto" else None
        yield Figure(f"{method}: OWA, all kinds alike", float(np.mean(owas)), "of Naive2", goal, at_most=True)
        yield Figure(f"{method}: inside the 95 % interval", 100 * float(np.mean(inside)), "%")
        goal = 50 if method == "auto" else None
        yield Figure(f"{method}: processor time", float(np.mean(millis)), "ms a series", goal, at_most=True)


def drawn(kind: Callable[[Values, np.random.Generator], Values]) -> list[Values]:
    hours = np.arange(LENGTH + HORIZON, dtype=float)
    return [kind(hours, np.random.default_rng(seed)) for seed in range(SERIES)]


def predicted(series: Values, method: str) -> Forecast:
    return predict(3600.0 * np.arange(LENGTH), series[:LENGTH], HORIZON, "h", method)


def owa(made: list[tuple[Values, Forecast]]) -> float:
    """Over all series at once, so that none with an easy reference outweighs the rest."""
    actual = np.array([series[LENGTH:] for series, _ in made])
    reference = np.array([backtest.naive2(History(series[:LENGTH], (DAY, WEEK)), HORIZON) for series, _ in made])
    scale = np.array([backtest.naive_error(series[:LENGTH], DAY) for series, _ in made])[:, None]
    own, other = (
        (backtest.smape(actual, said), float((np.abs(actual - said) / scale).mean()))
        for said in (np.array([one.mean for _, one in made]), reference)
    )
    return (own[0] / other[0] + own[1] / other[1]) / 2


def load(hours: Values, rng: np.random.Generator) -> Values:
    """Requests with a day, a quiet weekend and noise that lingers."""
    noise = np.zeros(len(hours))
    for at, shock in enumerate(rng.normal(0, 0.06, len(hours))):
        noise[at] = 0.8 * noise[at - 1] + shock
    weekend = (hours // DAY) % 7 >= 5
    shape: Values = 500 * np.exp(0.8 * np.sin(2 * np.pi * hours / DAY) - 0.7 * weekend + noise)
    return shape


def growth(hours: Values, rng: np.random.Generator) -> Values:
    """A disk that fills steadily, in uneven portions."""
    return 40 + np.cumsum(rng.gamma(0.5, 0.08, len(hours)))


def cleaned(hours: Values, rng: np.random.Generator) -> Values:
    """A disk that fills and is cleaned every night, and grows all the same."""
    return 40 + 0.01 * hours + 0.5 * (hours % DAY) + np.cumsum(rng.normal(0, 0.05, len(hours)))


def shifted(hours: Values, rng: np.random.Generator) -> Values:
    """A level that jumped in the third quarter."""
    return 20 + 15 * (hours > 0.7 * LENGTH) + 3 * np.sin(2 * np.pi * hours / DAY) + rng.normal(0, 1, len(hours))


def spiky(hours: Values, rng: np.random.Generator) -> Values:
    """Idle with bursts."""
    return 2 + rng.normal(0, 0.1, len(hours)) + 40 * (rng.random(len(hours)) > 0.97)


def wandering(hours: Values, rng: np.random.Generator) -> Values:
    """A random walk: nothing beats the last value, and it must not be much worse."""
    return 1_000 + np.cumsum(rng.normal(0, 2, len(hours)))


KINDS = {
    "daily and weekly load": load,
    "steady growth": growth,
    "filled and cleaned": cleaned,
    "shifted level": shifted,
    "bursts": spiky,
    "random walk": wandering,
}
