"""The paths where clients of other systems expect to write."""

from django.urls import path

from assets.metrics.protocols import views

urlpatterns = [
    path("api/v1/write", views.prometheus_write, name="prometheus-write"),
    path("api/v2/write", views.influx_write, name="influx-write"),
    path("v1/metrics", views.otlp_metrics, name="otlp-metrics"),
    path("api/v2/ping", views.influx_ping, name="influx-ping-v2"),
    path("ping", views.influx_ping, name="influx-ping"),
    path("health", views.influx_health, name="influx-health"),
]
