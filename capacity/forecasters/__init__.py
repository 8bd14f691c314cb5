"""The methods of forecasting by name; each is one or more forecasters that a backtest weighs."""

from __future__ import annotations

from capacity.forecasters import arima, auto, linear, ml, seasonal
from capacity.forecasters.base import Forecasters

METHODS: dict[str, Forecasters] = {
    "linear": linear.FORECASTERS,
    "seasonal": seasonal.FORECASTERS,
    "arima": arima.FORECASTERS,
    "ml": ml.FORECASTERS,
    "auto": auto.FORECASTERS,
}
