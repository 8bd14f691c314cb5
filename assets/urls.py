"""The REST endpoints of assets, agents and metrics, under /api/monitoring/."""

from django.urls import path

from assets.metrics import endpoint

urlpatterns = [
    path("metrics", endpoint.metrics, name="metrics"),
]
