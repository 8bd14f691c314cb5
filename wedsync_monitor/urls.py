"""Every URL of the product."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from alerts.external_api import ExternalAlerts
from alerts.link_views import acknowledge_by_link
from wedsync_monitor import readiness
from wedsync_monitor.api.audit import Audit
from wedsync_monitor.api.configuration import Apply, Configuration, Plan
from wedsync_monitor.api.dashboards import Dashboard, Dashboards
from wedsync_monitor.api.search import Search
from wedsync_monitor.api.tokens import Token, Tokens
from wedsync_monitor.console import urls as console
from wedsync_monitor.web import session

handler404 = "wedsync_monitor.web.errors.not_found"
docs = SpectacularSwaggerSplitView.as_view(
    url_name="schema", url_self="/api/docs", authentication_classes=[], permission_classes=[]
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", console.home, name="home"),
    path("healthz", readiness.healthz, name="healthz"),
    path("readyz", readiness.readyz, name="readyz"),
    path("metrics", readiness.metrics, name="own-metrics"),
    path("favicon.ico", RedirectView.as_view(url=static("img/logo.svg")), name="favicon"),
    path("login", session.SignIn.as_view(), name="login"),
    path("logout", session.SignOut.as_view(), name="logout"),
    path("api/schema", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path("api/docs", docs, name="docs"),
    path("", include("assets.metrics.protocols.urls")),
    path("api/v1/", include("assets.metrics.promql.urls")),
    path("", include("assets.heartbeats.urls")),
    path("acknowledge/<str:token>", acknowledge_by_link, name="acknowledge-link"),
    path("api/v2/alerts", ExternalAlerts.as_view(), name="external-alerts"),
    path("api/monitoring/", include("assets.urls")),
    path("api/monitoring/", include("alerts.urls")),
    path("api/monitoring/", include("synthetic.urls")),
    path("api/monitoring/", include("capacity.urls")),
    path("api/monitoring/", include("remediation.urls")),
    path("api/monitoring/dashboards", Dashboards.as_view(), name="api-dashboards"),
    path("api/monitoring/dashboards/<uuid:pk>", Dashboard.as_view(), name="api-dashboard"),
    path("api/monitoring/audit", Audit.as_view(), name="audit"),
    path("api/monitoring/config", Configuration.as_view(), name="configuration"),
    path("api/monitoring/config/plan", Plan.as_view(), name="configuration-plan"),
    path("api/monitoring/config/apply", Apply.as_view(), name="configuration-apply"),
    path("api/monitoring/tokens", Tokens.as_view(), name="tokens"),
    path("api/monitoring/tokens/<uuid:pk>", Token.as_view(), name="token"),
    path("api/monitoring/search", Search.as_view(), name="search"),
    path("admin/monitoring", console.home, name="monitoring"),
    path("admin/monitoring/", include((console.urlpatterns, "console"))),
    path("admin/", admin.site.urls),
]
