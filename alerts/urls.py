"""The REST endpoints of alerting, under /api/monitoring/."""

from django.urls import path

from alerts import api
from alerts.configuration_api import (
    Baselines,
    BaselineView,
    EscalationPolicies,
    EscalationPolicyView,
    MaintenanceWindows,
    MaintenanceWindowView,
)

urlpatterns = [
    path("alerts/rules", api.Rules.as_view(), name="rules"),
    path("alerts/rules/<uuid:pk>", api.Rule.as_view(), name="rule"),
    path("alerts/rules/<uuid:pk>/test-notification", api.TestNotification.as_view(), name="test-notification"),
    path("alerts/analytics", api.Analytics.as_view(), name="alert-analytics"),
    path("alerts/instances", api.Alerts.as_view(), name="alerts"),
    path("alerts/instances/<uuid:pk>", api.Alert.as_view(), name="alert"),
    path("alerts/instances/<uuid:pk>/acknowledge", api.Acknowledge.as_view(), name="acknowledge"),
    path("alerts/instances/<uuid:pk>/resolve", api.Resolve.as_view(), name="resolve"),
    path("alerts/deliveries/<uuid:pk>/resend", api.Resend.as_view(), name="resend-delivery"),
    path("alerts/escalation-policies", EscalationPolicies.as_view(), name="escalation-policies"),
    path("alerts/escalation-policies/<uuid:pk>", EscalationPolicyView.as_view(), name="escalation-policy"),
    path("alerts/baselines", Baselines.as_view(), name="baselines"),
    path("alerts/baselines/<uuid:pk>", BaselineView.as_view(), name="baseline"),
    path("maintenance-windows", MaintenanceWindows.as_view(), name="maintenance-windows"),
    path("maintenance-windows/<uuid:pk>", MaintenanceWindowView.as_view(), name="maintenance-window"),
]
