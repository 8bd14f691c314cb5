"""The REST endpoints of synthetic monitoring, under /api/monitoring/."""

from django.urls import path

from synthetic import api, remote_api, trying_api

urlpatterns = [
    path("agents/checks", remote_api.AgentChecks.as_view(), name="agent-checks"),
    path("agents/checks/results", remote_api.AgentCheckResults.as_view(), name="agent-check-results"),
    path("synthetic/checks", api.Checks.as_view(), name="checks"),
    path("synthetic/checks/test", trying_api.TryUnsaved.as_view(), name="check-test-unsaved"),
    path("synthetic/checks/<uuid:pk>", api.Check.as_view(), name="check"),
    path("synthetic/checks/<uuid:pk>/results", api.CheckResults.as_view(), name="check-results"),
    path("synthetic/checks/<uuid:pk>/slo", api.CheckObjective.as_view(), name="check-objective"),
    path("synthetic/checks/<uuid:pk>/test", trying_api.TryCheck.as_view(), name="check-test"),
]
