"""The Prometheus HTTP API, under /api/v1/, where its clients expect it."""

from django.urls import path

from assets.metrics.promql import views

urlpatterns = [
    path("query", views.Query.as_view(), name="promql-query"),
    path("query_range", views.QueryRange.as_view(), name="promql-query-range"),
    path("series", views.SeriesOf.as_view(), name="promql-series"),
    path("labels", views.LabelNames.as_view(), name="promql-labels"),
    path("label/<str:name>/values", views.LabelValues.as_view(), name="promql-label-values"),
    path("metadata", views.Metadata.as_view(), name="promql-metadata"),
    path("format_query", views.FormatQuery.as_view(), name="promql-format-query"),
    path("rules", views.Rules.as_view(), name="promql-rules"),
    path("alerts", views.Alerts.as_view(), name="promql-alerts"),
    path("query_exemplars", views.Exemplars.as_view(), name="promql-exemplars"),
    path("status/buildinfo", views.BuildInfo.as_view(), name="promql-buildinfo"),
]
