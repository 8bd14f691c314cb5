"""Rolling-origin backtests: what forecasters would have said of the past, and how far off that was.

Measures as in the M4 competition (Makridakis, Spiliotis and Assimakopoulos, 2020): sMAPE in percent, MASE in mean
seasonal steps, OWA as the mean of both over those of Naive2, share of values inside the 95 % interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.forecasters.base import TINY, Array, Forecaster, Forecasters, History, TooShort, seasonal_figure

ORIGINS = 5
# No forecast of the past is made from fewer points, nor from less than this share of the history.
LEAST_POINTS, LEAST_SHARE = 8, 1 / 3
# A horizon beyond this share of the history cannot be tested; its first part is.
TESTED_SHARE = 1 / 4


@dataclass(frozen=True)
class Backtest:
    """`actual` is origins × horizon; each forecaster's forecasts have that shape, NaN where it could say nothing."""

    origins: tuple[int, ...]
    actual: Array
    forecasts: dict[str, Array]

    @property
    def horizon(self) -> int:
        return int(self.actual.shape[1])

    def by_origin(self) -> list[Array]:
        """For each origin what every forecaster said there: forecasters × steps."""
        return list(np.stack(list(self.forecasts.values()), axis=1))


def run(history: History, forecasters: Forecasters, horizon: int) -> Backtest:
    """Every forecaster at every origin, at most `horizon` points ahead; no origins where there is too little."""
    tested = max(1, min(horizon, int(len(history) * TESTED_SHARE)))
    origins = rolling_origins(len(history), tested)
    pasts = [history.until(origin) for origin in origins]
    actual = np.array([history.values[origin : origin + tested] for origin in origins]).reshape(len(origins), tested)
    forecasts = {
        name: np.array([said(forecaster, past, tested) for past in pasts]).reshape(actual.shape)
        for name, forecaster in forecasters.items()
    }
    return Backtest(origins, actual, forecasts)


def rolling_origins(length: int, horizon: int) -> tuple[int, ...]:
    """Up to ORIGINS origins, latest first: a horizon apart, nearer where the history is short."""
    room = max(length // 2 - horizon, 0)
    apart = max(1, min(horizon, room // (ORIGINS - 1)))
    least = max(LEAST_POINTS, int(length * LEAST_SHARE))
    return tuple(origin for i in range(ORIGINS) if (origin := length - horizon - i * apart) >= least)


def said(forecaster: Forecaster, history: History, horizon: int) -> Array:
    """The forecast, all NaN where the forecaster cannot say from so little."""
    try:
        return forecaster(history, horizon)
    except TooShort:
        return np.full(horizon, np.nan)


def smape(actual: Array, forecast: Array) -> float:
    """Symmetric mean absolute percentage error, 0 to 200; two zeros are no error."""
    size = np.abs(actual) + np.abs(forecast)
    return float(np.mean(200 * np.abs(actual - forecast) / np.where(size > 0, size, 1)))


def mase(actual: Array, forecast: Array, history: Array, season: int = 1) -> float:
    """Mean absolute error over that of the last season's value within the history."""
    return float(np.mean(np.abs(actual - forecast))) / naive_error(history, season)


def naive_error(history: Array, season: int = 1) -> float:
    """Mean absolute change from one season to the next; 1 for a constant, so that its errors stay finite."""
    lag = season if len(history) > season else 1
    for steps in (lag, 1):
        changes = np.abs(history[steps:] - history[:-steps])
        if len(changes) and changes.mean() > 0:
            return float(changes.mean())
    return 1.0


def coverage(actual: Array, low: Array, high: Array) -> float:
    """The share of values inside the interval."""
    return float(np.mean((actual >= low) & (actual <= high)))


def owa(actual: Array, forecast: Array, reference: Array) -> float:
    """The mean of sMAPE and MASE, each over that of the reference (Naive2); below 1 is better."""
    pairs = (
        (smape(actual, forecast), smape(actual, reference)),
        (float(np.abs(actual - forecast).mean()), float(np.abs(actual - reference).mean())),
    )
    return float(np.mean([(own + TINY) / (other + TINY) for own, other in pairs]))


def naive2(history: History, horizon: int) -> Array:
    """The last value, moved by the season where the history has one (90 % test of the autocorrelation)."""
    if not is_seasonal(history.values, history.season):
        return np.full(horizon, history.values[-1])
    figure = seasonal_figure(history.scaled, history.season)
    ahead = history.scaled[-1] - figure[-1] + figure[np.arange(horizon) % history.season]
    return np.asarray(np.exp(ahead) if history.in_logarithms else ahead)


def is_seasonal(values: Array, season: int) -> bool:
    """Whether the autocorrelation one season back exceeds what white noise would show one time in ten."""
    if season < 2 or len(values) < 3 * season or np.ptp(values) <= 0:
        return False
    centred = values - values.mean()
    lags = np.arange(1, season + 1)
    correlations = np.array([centred[lag:] @ centred[:-lag] for lag in lags]) / (centred @ centred)
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlations[:-1] ** 2)) / len(values))
    return bool(abs(correlations[-1]) > limit)
