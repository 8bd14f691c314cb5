"""Admin pages of assets, agents and their metrics."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db import IntegrityError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from assets import agents, topology
from assets.heartbeats import admin as heartbeats  # noqa: F401
from assets.models import (
    AgentKey,
    AssetHealth,
    CatalogueEntry,
    Discovery,
    DiscoveryDecision,
    EnrolmentToken,
    InfrastructureAsset,
    InfrastructureMetric,
    MonitoringAgent,
    SeriesUsage,
)
from assets.scraping import admin as scraping  # noqa: F401
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.admin_site import OwnedModelAdmin, PolicyInline, PolicyModelAdmin, ReadOnlyModelAdmin


class AgentInline(PolicyInline):
    model = MonitoringAgent
    fields = ("agent_name", "agent_type", "health_status", "last_heartbeat", "is_active")
    readonly_fields = ("health_status", "last_heartbeat")


@admin.register(InfrastructureAsset)
class InfrastructureAssetAdmin(OwnedModelAdmin):
    list_display = ("asset_name", "asset_type", "asset_category", "environment", "is_critical", "is_active")
    list_filter = ("environment", "asset_type", "asset_category", "is_critical", "is_active")
    search_fields = ("asset_name", "location")
    autocomplete_fields = ("parent_asset",)
    inlines = (AgentInline,)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """An asset stays while others that stay have it as their parent or need it."""
        gone, counts, lacking, protected = super().get_deleted_objects(objs, request)
        going = {asset.pk for asset in objs}
        left = {one for asset in objs for one in asset.dependants() if one.pk not in going}
        return gone, counts, lacking, protected + sorted(str(one) for one in left)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with _changing_alone(request):
            return super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with _changing_alone(request):
            return super().delete_view(request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        with _changing_alone(request):
            return super().changelist_view(request, extra_context)


def _changing_alone(request: HttpRequest) -> AbstractContextManager[None]:
    return topology.alone() if request.method == "POST" else nullcontext()


class KeyInline(PolicyInline):
    model = AgentKey
    fields = readonly_fields = ("created_at", "expires_at", "first_used_at", "revoked_at")
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(MonitoringAgent)
class MonitoringAgentAdmin(PolicyModelAdmin):
    list_display = (
        "agent_name",
        "agent_type",
        "asset",
        "health_status",
        "last_heartbeat",
        "agent_version",
        "is_active",
    )
    list_filter = ("agent_type", "health_status", "is_active")
    search_fields = ("agent_name", "asset__asset_name")
    list_select_related = ("asset",)
    autocomplete_fields = ("asset",)
    readonly_fields = ("agent_version", "health_status", "last_heartbeat", "metrics_collected", "bytes_transmitted")
    inlines = (KeyInline,)
    actions = ("revoke_keys",)

    @admin.action(description="Revoke all keys of the selected agents", permissions=["change"])
    def revoke_keys(self, request: HttpRequest, rows: QuerySet[MonitoringAgent]) -> None:
        for key in AgentKey.objects.filter(agent__in=rows, revoked_at=None):
            key.revoked_at = timezone.now()
            key.save()


@admin.register(EnrolmentToken)
class EnrolmentTokenAdmin(ReadOnlyModelAdmin):
    list_display = ("agent_name", "asset", "created_by", "created_at", "expires_at", "used_at")
    list_select_related = ("asset", "created_by")
    search_fields = ("agent_name", "asset__asset_name")
    fields = ("agent_name", "asset", "created_by", "created_at", "expires_at", "used_at", "agent")


@admin.register(Discovery)
class DiscoveryAdmin(ReadOnlyModelAdmin):
    list_display = ("name", "kind", "agent", "decision", "first_seen_at", "last_seen_at")
    list_filter = ("kind", "decision")
    list_select_related = ("agent",)
    search_fields = ("name", "agent__agent_name")
    actions = ("accept", "ignore")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return self._may(request, Verb.CREATE)

    @admin.action(description="Make assets of the selected discoveries", permissions=["decide"])
    def accept(self, request: HttpRequest, rows: QuerySet[Discovery]) -> None:
        self._decide(request, rows, DiscoveryDecision.ACCEPTED)

    @admin.action(description="Ignore the selected discoveries", permissions=["decide"])
    def ignore(self, request: HttpRequest, rows: QuerySet[Discovery]) -> None:
        self._decide(request, rows, DiscoveryDecision.IGNORED)

    def _decide(self, request: HttpRequest, rows: QuerySet[Discovery], decision: DiscoveryDecision) -> None:
        for row in rows:
            try:
                agents.decide(row.pk, decision, request.user)  # type: ignore[arg-type]
            except (agents.Decided, Discovery.DoesNotExist) as error:
                self.message_user(request, f"{error}.", messages.WARNING)
            except IntegrityError:
                self.message_user(request, f"{row}: an asset has this name already.", messages.WARNING)


@admin.register(AssetHealth)
class AssetHealthAdmin(ReadOnlyModelAdmin):
    list_display = ("asset", "health_status", "health_score", "last_metric_timestamp", "assessed_at")
    list_filter = ("health_status",)
    list_select_related = ("asset",)
    search_fields = ("asset__asset_name",)


@admin.register(CatalogueEntry)
class CatalogueEntryAdmin(PolicyModelAdmin):
    """What metrics mean, for people to write down; the rest is counted."""

    list_display = ("metric_name", "meaning", "series", "assets", "agents", "last_seen", "refused")
    search_fields = ("metric_name", "meaning")
    readonly_fields = (
        "metric_name", "metric_types", "metric_units", "collection_methods", "labels", "series", "assets", "agents",
        "first_seen", "last_seen", "refused", "refused_at",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: CatalogueEntry, form: Any, change: bool) -> None:
        """Only what a person writes: the numbers may have moved on since the form was shown."""
        obj.save(update_fields=["meaning"])


@admin.register(SeriesUsage)
class SeriesUsageAdmin(ReadOnlyModelAdmin):
    list_display = ("asset", "agent", "series", "refused", "refused_at", "example")
    list_select_related = ("asset", "agent")
    search_fields = ("asset__asset_name", "agent__agent_name")


@admin.register(InfrastructureMetric)
class InfrastructureMetricAdmin(ReadOnlyModelAdmin):
    """Samples of one asset: the view is read for an asset that was chosen, never as a whole."""

    list_display = ("collection_timestamp", "metric_name", "metric_value", "metric_unit", "metric_labels")
    ordering = ()
    list_per_page = 100

    def get_queryset(self, request: HttpRequest) -> QuerySet[InfrastructureMetric]:
        rows = super().get_queryset(request)
        asset = request.GET.get("asset__id__exact")
        if not asset and request.resolver_match and request.resolver_match.kwargs.get("object_id") is None:
            return rows.none()
        return rows.filter(collection_timestamp__gt=timezone.now() - timedelta(hours=1))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "asset__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]
