"""The console's URLs, under /admin/monitoring."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path

from alerts import analytics_views as analytics
from alerts import history_views as rule_history
from alerts import ledger_views as ledger
from alerts import noise_views as rule_noise
from alerts import oncall_views as on_call
from alerts import preview_views as alert_previews
from alerts import responses_views as responses
from alerts import suppression_views as suppression
from alerts import views as alerts
from assets import catalogue_views as catalogue
from assets import views as assets
from assets.heartbeats import views as heartbeats
from assets.scraping import views as scraping
from synthetic import editing_views as checks
from synthetic import views as synthetic
from wedsync_monitor.console.configuration import configuration
from wedsync_monitor.console.navigation import tabs_for
from wedsync_monitor.console.overview import overview
from wedsync_monitor.console.stored import LISTINGS, page_of
from wedsync_monitor.console.system import system


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The first tab that the person may open."""
    tabs = tabs_for(request.user, request.path)
    return redirect(tabs[0]["url"])


urlpatterns = [
    path("", home, name="start"),
    path("overview", overview, name="overview"),
    path("assets", assets.asset_list, name="assets"),
    path("assets/new", assets.asset_new, name="asset-new"),
    path("assets/catalogue", catalogue.metric_list, name="catalogue"),
    path("assets/catalogue/<path:name>", catalogue.metric_detail, name="catalogue-metric"),
    path("assets/<uuid:pk>/metrics", assets.asset_metrics, name="asset-metrics"),
    path("assets/<uuid:pk>/health", assets.asset_health, name="asset-health"),
    path("assets/<uuid:pk>/configure", assets.asset_configure, name="asset-configure"),
    path("assets/scraping", scraping.target_list, name="scraping"),
    path("assets/heartbeats", heartbeats.heartbeat_list, name="heartbeats"),
    path("alerts", alerts.alert_list, name="alerts"),
    path("alerts/rules", alerts.rule_list, name="rules"),
    path("alerts/rules/new", alerts.rule_new, name="rule-new"),
    path("alerts/rules/deleted", rule_history.deleted_rules, name="deleted-rules"),
    path("alerts/rules/<uuid:pk>/history", rule_history.rule_history, name="rule-history"),
    path("alerts/rules/<uuid:pk>/history/<int:version>/restore", rule_history.rule_restore, name="rule-restore"),
    path("alerts/rules/<uuid:pk>", alerts.rule_edit, name="rule"),
    path("alerts/rules/preview", alert_previews.rule_preview, name="rule-preview"),
    path("alerts/rules/<uuid:pk>/preview", alert_previews.rule_preview_changed, name="rule-preview"),
    path("alerts/rules/<uuid:pk>/noise", rule_noise.rule_noise, name="rule-noise"),
    path("alerts/rules/<uuid:pk>/noise/apply", rule_noise.rule_noise_apply, name="rule-noise-apply"),
    path("alerts/rules/<uuid:pk>/test", alerts.rule_test, name="rule-test"),
    path("alerts/maintenance", suppression.window_list, name="windows"),
    path("alerts/maintenance/new", suppression.window_new, name="window-new"),
    path("alerts/maintenance/<uuid:pk>", suppression.window_edit, name="window"),
    path("alerts/maintenance/<uuid:pk>/start", suppression.window_deed, {"deed": "start"}, name="window-start"),
    path("alerts/maintenance/<uuid:pk>/end", suppression.window_deed, {"deed": "end"}, name="window-end"),
    path("alerts/maintenance/<uuid:pk>/extend", suppression.window_deed, {"deed": "extend"}, name="window-extend"),
    path("alerts/maintenance/<uuid:pk>/cancel", suppression.window_deed, {"deed": "cancel"}, name="window-cancel"),
    path("alerts/silences", suppression.silence_list, name="silences"),
    path("alerts/silences/new", suppression.silence_new, name="silence-new"),
    path("alerts/silences/<uuid:pk>/end", suppression.silence_end, name="silence-end"),
    path("alerts/on-call", on_call.calendar, name="on-call"),
    path("alerts/on-call/overrides/new", on_call.override_new, name="override-new"),
    path("alerts/on-call/overrides/<uuid:pk>/end", on_call.override_end, name="override-end"),
    path("alerts/analytics", analytics.analytics_page, name="alert-analytics"),
    path("alerts/analytics/export", analytics.analytics_table, name="alert-analytics-table"),
    path("alerts/ledger", ledger.person_ledger, name="person-ledger"),
    path("alerts/contact", on_call.contact, name="contact"),
    path("alerts/bulk", responses.alerts_bulk, name="alerts-bulk"),
    path("alerts/<uuid:pk>", alerts.alert_detail, name="alert"),
    path("alerts/<uuid:pk>/acknowledge", alerts.alert_acknowledge, name="alert-acknowledge"),
    path("alerts/<uuid:pk>/resolve", alerts.alert_resolve, name="alert-resolve"),
    path("alerts/<uuid:pk>/snooze", responses.alert_snooze, name="alert-snooze"),
    path("alerts/<uuid:pk>/assign", responses.alert_assign, name="alert-assign"),
    path("alerts/<uuid:pk>/comment", responses.alert_comment, name="alert-comment"),
    path("synthetic", synthetic.check_list, name="synthetic"),
    path("synthetic/certificates", synthetic.certificate_list, name="certificates"),
    path("synthetic/new", checks.check_new, name="check-new"),
    path("synthetic/try", checks.check_try, name="check-try"),
    path("synthetic/<uuid:pk>", synthetic.check_detail, name="check"),
    path("synthetic/<uuid:pk>/run", synthetic.check_run, name="check-run"),
    path("synthetic/<uuid:pk>/edit", checks.check_edit, name="check-edit"),
    path("synthetic/<uuid:pk>/try", checks.check_try_changed, name="check-try"),
    path("synthetic/<uuid:pk>/switch", checks.check_switch, name="check-switch"),
    path("synthetic/<uuid:pk>/delete", checks.check_delete, name="check-delete"),
    path("capacity", page_of(LISTINGS["capacity"]), name="capacity"),
    path("remediation", page_of(LISTINGS["remediation"]), name="remediation"),
    path("dashboards", page_of(LISTINGS["dashboards"]), name="dashboards"),
    path("configuration", configuration, name="configuration"),
    path("system", system, name="system"),
]
