"""REST: the audit trail."""

from __future__ import annotations

from django_filters import rest_framework as filters
from rest_framework import serializers

from wedsync_monitor.models import AuditEntry
from wedsync_monitor.web.filtering import since, until
from wedsync_monitor.web.pagination import CursorEnvelopePagination
from wedsync_monitor.web.resources import Resources


class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    class Meta:
        model = AuditEntry
        fields = ["id", "at", "actor_name", "action", "table_name", "object_id", "object_name", "changes"]


class AuditFilters(filters.FilterSet):
    actor = filters.CharFilter(field_name="actor_name")
    table = filters.CharFilter(field_name="table_name")
    object = filters.CharFilter(field_name="object_id")
    # `from` is a word of Python's own.
    locals()["from"] = since("at")
    to = until("at")

    class Meta:
        model = AuditEntry
        fields = ["action"]


class Audit(Resources):
    """Who changed what, newest first."""

    http_method_names = ["get", "head", "options"]
    policy_resource, listed_as = "audit", "entries"
    pagination_class = CursorEnvelopePagination  # type: ignore[assignment]
    rows = AuditEntry.objects.order_by("-at", "-id")
    serializer_class = AuditSerializer
    filterset_class = AuditFilters
