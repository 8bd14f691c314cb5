"""Every forecaster at once, for the backtest to weigh."""

from __future__ import annotations

from capacity.forecasters import arima, linear, ml, seasonal
from capacity.forecasters.base import Forecasters

FORECASTERS: Forecasters = linear.FORECASTERS | seasonal.FORECASTERS | arima.FORECASTERS | ml.FORECASTERS
