"""The REST endpoints of synthetic monitoring, under /api/monitoring/."""

from django.urls import path

from synthetic import api

urlpatterns = [
    path("synthetic/checks", api.Checks.as_view(), name="checks"),
    path("synthetic/checks/<uuid:pk>", api.Check.as_view(), name="check"),
    path("synthetic/checks/<uuid:pk>/results", api.CheckResults.as_view(), name="check-results"),
]
