"""The REST endpoints of capacity planning, under /api/monitoring/."""

from django.urls import path

from capacity import api

urlpatterns = [
    path("capacity/forecasts", api.Forecasts.as_view(), name="forecasts"),
    path("capacity/forecasts/<uuid:pk>", api.Forecast.as_view(), name="forecast"),
]
