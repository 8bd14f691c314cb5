"""The REST endpoints of assets, agents and metrics, under /api/monitoring/."""

from django.urls import path

from assets import agent_endpoints, agents_api, api, catalogue_api, export_api
from assets.heartbeats import api as heartbeats
from assets.metrics import endpoint
from assets.scraping import api as scraping

urlpatterns = [
    path("metrics", endpoint.metrics, name="metrics"),
    path("metrics/export", export_api.Export.as_view(), name="export"),
    path("metrics/catalogue", catalogue_api.Catalogue.as_view(), name="catalogue"),
    path("metrics/catalogue/<path:name>", catalogue_api.CatalogueDetail.as_view(), name="catalogue-entry"),
    path("assets", api.Assets.as_view(), name="assets"),
    path("assets/<uuid:pk>", api.Asset.as_view(), name="asset"),
    path("assets/<uuid:pk>/metrics", api.AssetMetrics.as_view(), name="asset-metrics"),
    path("assets/<uuid:pk>/chart", api.AssetChart.as_view(), name="asset-chart"),
    path("assets/<uuid:pk>/health", api.AssetHealthView.as_view(), name="asset-health"),
    path("discoveries", agents_api.Discoveries.as_view(), name="discoveries"),
    path("discoveries/<uuid:pk>/accept", agents_api.DiscoveryDecisionView.as_view(), {"decision": "accept"}),
    path("discoveries/<uuid:pk>/ignore", agents_api.DiscoveryDecisionView.as_view(), {"decision": "ignore"}),
    path("heartbeats", heartbeats.Heartbeats.as_view(), name="heartbeats"),
    path("heartbeats/<uuid:pk>", heartbeats.HeartbeatRow.as_view(), name="heartbeat-row"),
    path("heartbeats/<uuid:pk>/address", heartbeats.NewAddress.as_view(), name="heartbeat-address"),
    path("scrape-jobs", scraping.ScrapeJobs.as_view(), name="scrape-jobs"),
    path("scrape-jobs/<uuid:pk>", scraping.ScrapeJobRow.as_view(), name="scrape-job"),
    path("scrape-targets", scraping.ScrapeTargets.as_view(), name="scrape-targets"),
    path("scrape-targets/<uuid:pk>", scraping.ScrapeTargetRow.as_view(), name="scrape-target"),
    path("agents", agents_api.Agents.as_view(), name="agents"),
    path("agents/enrolment-tokens", agents_api.EnrolmentTokens.as_view(), name="enrolment-tokens"),
    path("agents/enrol", agent_endpoints.Enrol.as_view(), name="enrol"),
    path("agents/heartbeat", agent_endpoints.HeartbeatView.as_view(), name="heartbeat"),
    path("agents/configuration", agent_endpoints.Configuration.as_view(), name="agent-configuration"),
    path("agents/keys/rotate", agent_endpoints.RotateKey.as_view(), name="rotate-key"),
    path("agents/discoveries", agent_endpoints.Offer.as_view(), name="offer"),
    path("agents/<uuid:pk>", agents_api.Agent.as_view(), name="agent"),
    path("agents/<uuid:pk>/keys", agents_api.AgentKeys.as_view(), name="agent-keys"),
    path("agents/<uuid:pk>/keys/<uuid:key_id>", agents_api.AgentKeyView.as_view(), name="agent-key"),
]
