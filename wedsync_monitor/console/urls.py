"""The console's URLs, under /admin/monitoring."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path

from alerts import views as alerts
from assets import views as assets
from assets.heartbeats import views as heartbeats
from assets.scraping import views as scraping
from wedsync_monitor.console.navigation import tabs_for
from wedsync_monitor.console.overview import overview
from wedsync_monitor.console.stored import LISTINGS, page_of


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
    path("assets/<uuid:pk>/metrics", assets.asset_metrics, name="asset-metrics"),
    path("assets/<uuid:pk>/health", assets.asset_health, name="asset-health"),
    path("assets/<uuid:pk>/configure", assets.asset_configure, name="asset-configure"),
    path("assets/scraping", scraping.target_list, name="scraping"),
    path("assets/heartbeats", heartbeats.heartbeat_list, name="heartbeats"),
    path("alerts", alerts.alert_list, name="alerts"),
    path("alerts/rules", alerts.rule_list, name="rules"),
    path("alerts/rules/new", alerts.rule_new, name="rule-new"),
    path("alerts/rules/<uuid:pk>", alerts.rule_edit, name="rule"),
    path("alerts/rules/<uuid:pk>/test", alerts.rule_test, name="rule-test"),
    path("alerts/<uuid:pk>", alerts.alert_detail, name="alert"),
    path("alerts/<uuid:pk>/acknowledge", alerts.alert_acknowledge, name="alert-acknowledge"),
    path("alerts/<uuid:pk>/resolve", alerts.alert_resolve, name="alert-resolve"),
    path("synthetic", page_of(LISTINGS["synthetic"]), name="synthetic"),
    path("capacity", page_of(LISTINGS["capacity"]), name="capacity"),
    path("remediation", page_of(LISTINGS["remediation"]), name="remediation"),
    path("dashboards", page_of(LISTINGS["dashboards"]), name="dashboards"),
]
