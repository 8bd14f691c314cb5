"""The REST endpoints of alerting, under /api/monitoring/."""

from django.urls import path

from alerts import analytics_api, api, chart_api, history_api, ledger_api, preview_api
from alerts import oncall_api as on_call
from alerts import responses_api as responses
from alerts import suppression_api as suppression
from alerts.configuration_api import Baselines, BaselineView, EscalationPolicies, EscalationPolicyView

urlpatterns = [
    path("alerts/rules", api.Rules.as_view(), name="rules"),
    path("alerts/rules/preview", preview_api.Preview.as_view(), name="rule-preview"),
    path("alerts/rules/deleted", history_api.DeletedRules.as_view(), name="deleted-rules"),
    path("alerts/rules/<uuid:pk>/history", history_api.RuleHistory.as_view(), name="rule-history"),
    path(
        "alerts/rules/<uuid:pk>/history/<int:version>/restore", history_api.RestoreRule.as_view(), name="restore-rule"
    ),
    path("alerts/rules/<uuid:pk>", api.Rule.as_view(), name="rule"),
    path("alerts/rules/<uuid:pk>/test-notification", api.TestNotification.as_view(), name="test-notification"),
    path("alerts/analytics", analytics_api.Analytics.as_view(), name="alert-analytics"),
    path("alerts/analytics/chart", analytics_api.AnalyticsChart.as_view(), name="alert-analytics-chart"),
    path("alerts/ledger", ledger_api.PersonLedger.as_view(), name="person-ledger"),
    path("alerts/<uuid:pk>/ledger", ledger_api.AlertLedger.as_view(), name="alert-ledger"),
    path("alerts/instances", api.Alerts.as_view(), name="alerts"),
    path("alerts/instances/bulk", responses.Bulk.as_view(), name="alerts-bulk"),
    path("alerts/instances/<uuid:pk>", api.Alert.as_view(), name="alert"),
    path("alerts/instances/<uuid:pk>/chart", chart_api.AlertChart.as_view(), name="alert-chart"),
    path("alerts/instances/<uuid:pk>/acknowledge", api.Acknowledge.as_view(), name="acknowledge"),
    path("alerts/instances/<uuid:pk>/resolve", api.Resolve.as_view(), name="resolve"),
    path("alerts/instances/<uuid:pk>/snooze", responses.Snooze.as_view(), name="snooze"),
    path("alerts/instances/<uuid:pk>/assign", responses.Assign.as_view(), name="assign"),
    path("alerts/instances/<uuid:pk>/comments", responses.Comment.as_view(), name="comment"),
    path("alerts/deliveries/<uuid:pk>/resend", api.Resend.as_view(), name="resend-delivery"),
    path("alerts/escalation-policies", EscalationPolicies.as_view(), name="escalation-policies"),
    path("alerts/escalation-policies/<uuid:pk>", EscalationPolicyView.as_view(), name="escalation-policy"),
    path("alerts/on-call/schedules", on_call.Schedules.as_view(), name="on-call-schedules"),
    path("alerts/on-call/schedules/<uuid:pk>", on_call.ScheduleView.as_view(), name="on-call-schedule"),
    path("alerts/on-call/schedules/<uuid:pk>/on-call", on_call.OnCall.as_view(), name="on-call-at"),
    path("alerts/on-call/schedules/<uuid:pk>/shifts", on_call.Shifts.as_view(), name="on-call-shifts"),
    path("alerts/on-call/schedules/<uuid:pk>/calendar.ics", on_call.ShiftCalendar.as_view(), name="on-call-calendar"),
    path("alerts/on-call/overrides", on_call.Overrides.as_view(), name="on-call-overrides"),
    path("alerts/on-call/overrides/<uuid:pk>", on_call.OverrideView.as_view(), name="on-call-override"),
    path("alerts/contact-preferences/mine", on_call.MyContact.as_view(), name="my-contact-preferences"),
    path("alerts/baselines", Baselines.as_view(), name="baselines"),
    path("alerts/baselines/<uuid:pk>", BaselineView.as_view(), name="baseline"),
    path("alerts/silences", suppression.Silences.as_view(), name="silences"),
    path("alerts/silences/<uuid:pk>", suppression.SilenceView.as_view(), name="silence"),
    path("maintenance-windows", suppression.MaintenanceWindows.as_view(), name="maintenance-windows"),
    path("maintenance-windows/calendar.ics", suppression.WindowCalendar.as_view(), name="maintenance-calendar"),
    path("maintenance-windows/<uuid:pk>", suppression.MaintenanceWindowView.as_view(), name="maintenance-window"),
    path("maintenance-windows/<uuid:pk>/start", suppression.StartWindow.as_view(), name="maintenance-start"),
    path("maintenance-windows/<uuid:pk>/end", suppression.EndWindow.as_view(), name="maintenance-end"),
    path("maintenance-windows/<uuid:pk>/extend", suppression.ExtendWindow.as_view(), name="maintenance-extend"),
    path("maintenance-windows/<uuid:pk>/cancel", suppression.CancelWindow.as_view(), name="maintenance-cancel"),
]
