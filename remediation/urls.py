"""The REST endpoints of remediation, under /api/monitoring/."""

from django.urls import path

from remediation import api

urlpatterns = [
    path("remediation/actions", api.Actions.as_view(), name="actions"),
    path("remediation/actions/<uuid:pk>", api.Action.as_view(), name="action"),
    path("remediation/executions", api.Executions.as_view(), name="executions"),
    path("remediation/executions/<uuid:pk>", api.Execution.as_view(), name="execution"),
]
