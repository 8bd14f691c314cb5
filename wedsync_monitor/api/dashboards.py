"""REST: dashboards."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from wedsync_monitor.models import MonitoringDashboard
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer


class DashboardSerializer(StrictSerializer):
    created_by = serializers.CharField(source="created_by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = MonitoringDashboard
        fields = [
            "id", "dashboard_name", "dashboard_type", "dashboard_config", "widget_configs", "refresh_interval",
            "access_control", "tags", "is_public", "is_default", "created_by", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]


class DashboardFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="dashboard_name", lookup_expr="icontains")
    tag = filters.CharFilter(method="by_tag")

    class Meta:
        model = MonitoringDashboard
        fields = ["dashboard_type", "is_public", "is_default"]

    def by_tag(self, rows: QuerySet[MonitoringDashboard], name: str, value: str) -> QuerySet[MonitoringDashboard]:
        return rows.filter(tags__contains=[value])


class Dashboards(Resources):
    """List the dashboards that one may see; make one."""

    policy_resource, listed_as = "dashboards", "dashboards"
    rows = MonitoringDashboard.objects.select_related("created_by").order_by("dashboard_name")
    serializer_class = DashboardSerializer
    filterset_class = DashboardFilters


class Dashboard(Resource):
    """One dashboard: read, change, remove."""

    policy_resource = "dashboards"
    rows = MonitoringDashboard.objects.select_related("created_by")
    serializer_class = DashboardSerializer
