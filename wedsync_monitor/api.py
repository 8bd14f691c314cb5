"""REST: dashboards and the audit trail."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from wedsync_monitor.models import AuditEntry, MonitoringDashboard
from wedsync_monitor.web.plain import views_of
from wedsync_monitor.web.resources import Resources

Dashboards, Dashboard = views_of(
    MonitoringDashboard,
    "dashboards",
    "dashboards",
    [
        "id", "dashboard_name", "dashboard_type", "dashboard_config", "widget_configs", "refresh_interval",
        "access_control", "tags", "is_public", "is_default", "created_at", "updated_at",
    ],
)  # fmt: skip


class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    class Meta:
        model = AuditEntry
        fields = ["id", "at", "actor_name", "action", "table_name", "object_id", "object_name", "changes"]


class AuditFilters(filters.FilterSet):
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields = ["actor_name", "action", "table_name", "object_id"]


class Audit(Resources):
    """Who changed what, newest first."""

    http_method_names = ["get", "head", "options"]
    policy_resource = "audit"
    rows = AuditEntry.objects.order_by("-at", "-id")
    serializer_class = AuditSerializer
    filterset_class = AuditFilters

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response({"entries": self.get_serializer(page, many=True).data})
