"""Admin pages of forecasts."""

from django.contrib import admin

from capacity.models import CapacityForecast
from wedsync_monitor.web.admin_site import ReadOnlyModelAdmin


@admin.register(CapacityForecast)
class CapacityForecastAdmin(ReadOnlyModelAdmin):
    list_display = ("metric_name", "asset", "forecast_algorithm", "forecast_horizon_days", "calculated_at")
    list_filter = ("forecast_algorithm",)
    search_fields = ("metric_name", "asset__asset_name")
    list_select_related = ("asset",)
