"""The paths where clients of other systems expect to write."""

from django.urls import path

from assets.metrics.protocols import views

urlpatterns = [
    path("api/v1/write", views.prometheus_write, name="prometheus-write"),
]
