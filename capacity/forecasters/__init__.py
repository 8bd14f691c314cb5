"""The methods of forecasting by name; each is several forecasters that a backtest weighs."""

from __future__ import annotations

from capacity.forecasters import arima, auto, linear, ml, seasonal
from capacity.forecasters.base import Forecasters

# The last value is in every method: it can always say something, and what cannot beat it should not be heard.
BASELINE: Forecasters = {"last value": seasonal.last_value}

METHODS: dict[str, Forecasters] = {
    "linear": BASELINE | linear.FORECASTERS,
    "seasonal": BASELINE | seasonal.FORECASTERS,
    "arima": BASELINE | arima.FORECASTERS,
    "ml": BASELINE | ml.FORECASTERS,
    "auto": BASELINE | auto.FORECASTERS,
}
