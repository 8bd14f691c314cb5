"""Autoregression with moving errors, of the history without its seasons or of its differences.

Fitted in two passes of least squares (Hannan and Rissanen, 1982): a long autoregression tells the errors, then the
orders with the least AIC are fitted on values and errors. No likelihood is searched, so a fit takes a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.forecasters.base import TINY, Array, Forecasters, History, TooShort, lagged, reach_of, recursion, ridge

LONG_ORDER = 24
ORDERS = [(ar, ma) for ar in (1, 2, 3, 5) for ma in (0, 1, 2)]
MOST_AR, MOST_MA = 5, 2
PENALTY, LONG_PENALTY = 1e-4, 1e-3
# Which of the columns (values, then errors) each order uses: orders × columns, 1 or 0.
USED = np.array([[i < ar for i in range(MOST_AR)] + [i < ma for i in range(MOST_MA)] for ar, ma in ORDERS], dtype=float)


@dataclass(frozen=True)
class Arima:
    """ARIMA(p, d, q) with d given and p, q chosen by AIC."""

    differences: int

    def __call__(self, history: History, horizon: int) -> Array:
        adjusted = history.adjusted
        series = np.diff(adjusted, n=self.differences)
        if len(series) < 3 * (MOST_AR + MOST_MA):
            raise TooShort
        centre, spread = float(series.mean()), float(series.std())
        ahead = np.full(horizon, centre)
        if spread > TINY:
            ahead += spread * _forecast((series - centre) / spread, horizon)
        if self.differences:
            ahead = adjusted[-1] + np.cumsum(ahead)
        return history.unscaled(ahead + history.seasonal(horizon))


def _forecast(series: Array, horizon: int) -> Array:
    order = min(LONG_ORDER, len(series) // 6)
    rows = lagged(series, np.arange(1, order + 1), order)
    errors = np.concatenate((np.zeros(order), series[order:] - rows @ ridge(rows, series[order:], LONG_PENALTY)))
    start = max(order + MOST_MA, MOST_AR)
    rows = np.hstack(
        (lagged(series, np.arange(1, MOST_AR + 1), start), lagged(errors, np.arange(1, MOST_MA + 1), start))
    )
    weights = _chosen(rows, series[start:])
    known = np.concatenate((errors[-MOST_MA:], np.zeros(horizon)))
    driven = lagged(known, np.arange(1, MOST_MA + 1), MOST_MA) @ weights[MOST_AR:]
    return recursion(series, weights[:MOST_AR], driven, *reach_of(series))


def _chosen(rows: Array, targets: Array) -> Array:
    """The coefficients of the orders with the least AIC, zero for what they leave out.

    Every order's equations are a part of one Gram matrix; what an order leaves out is made to solve to zero, so that
    all orders are solved at once.
    """
    gram, products = rows.T @ rows, rows.T @ targets
    gram[np.diag_indices_from(gram)] *= 1 + PENALTY
    left_out = np.eye(MOST_AR + MOST_MA) * (1 - USED[:, None, :] + TINY)
    weights = np.linalg.solve(gram * USED[:, None, :] * USED[:, :, None] + left_out, (products * USED)[:, :, None])
    squares = np.maximum(targets @ targets - weights[:, :, 0] @ products, TINY)
    best = int((len(targets) * np.log(squares / len(targets)) + 2 * USED.sum(axis=1)).argmin())
    return np.asarray(weights[best, :, 0] * USED[best])


FORECASTERS: Forecasters = {"arima of levels": Arima(0), "arima of changes": Arima(1)}
