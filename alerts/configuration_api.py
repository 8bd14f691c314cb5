"""REST: what people arrange around alerts: escalation policies, maintenance windows, baselines."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django_filters import rest_framework as filters
from rest_framework import serializers

from alerts.models import EscalationPolicy, MaintenanceWindow, PerformanceBaseline
from assets.models import InfrastructureAsset
from assets.references import known_assets
from wedsync_monitor.web.filtering import since, until
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer


class EscalationPolicySerializer(StrictSerializer):
    class Meta:
        model = EscalationPolicy
        fields = [
            "id", "policy_name", "policy_description", "escalation_steps", "business_hours", "holiday_schedule",
            "repeat_escalation", "repeat_interval", "max_escalations", "is_active", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]


class EscalationPolicyFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="policy_name", lookup_expr="icontains")

    class Meta:
        model = EscalationPolicy
        fields = ["is_active"]


class EscalationPolicies(Resources):
    """List escalation policies; create one."""

    policy_resource, listed_as = "escalation", "escalation_policies"
    rows = EscalationPolicy.objects.order_by("policy_name")
    serializer_class = EscalationPolicySerializer
    filterset_class = EscalationPolicyFilters


class EscalationPolicyView(Resource):
    """One escalation policy: read, change, remove."""

    policy_resource = "escalation"
    rows = EscalationPolicy.objects.all()
    serializer_class = EscalationPolicySerializer


class MaintenanceWindowSerializer(StrictSerializer):
    class Meta:
        model = MaintenanceWindow
        fields = [
            "id", "window_name", "description", "affected_assets", "start_time", "end_time", "recurrence_config",
            "maintenance_type", "impact_level", "notification_config", "alert_suppression", "status",
            "actual_start_time", "actual_end_time", "completion_notes", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]

    def validate_affected_assets(self, ids: list[str]) -> list[str]:
        return known_assets(ids)


class MaintenanceWindowFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="window_name", lookup_expr="icontains")
    # `from` is a word of Python's own.
    locals()["from"] = since("end_time")
    to = until("start_time")

    class Meta:
        model = MaintenanceWindow
        fields = ["status", "maintenance_type", "impact_level"]


class MaintenanceWindows(Resources):
    """List maintenance windows, those that overlap from…to where given; plan one."""

    policy_resource, listed_as = "maintenance", "maintenance_windows"
    rows = MaintenanceWindow.objects.order_by("-start_time")
    serializer_class = MaintenanceWindowSerializer
    filterset_class = MaintenanceWindowFilters


class MaintenanceWindowView(Resource):
    """One maintenance window: read, change, remove."""

    policy_resource = "maintenance"
    rows = MaintenanceWindow.objects.all()
    serializer_class = MaintenanceWindowSerializer


class BaselineSerializer(StrictSerializer):
    """A baseline; when it was and will be calculated is the system's to say."""

    asset_id = serializers.PrimaryKeyRelatedField(source="asset", queryset=InfrastructureAsset.objects.all())
    asset_name = serializers.CharField(source="asset.asset_name", read_only=True)

    class Meta:
        model = PerformanceBaseline
        fields = [
            "id", "asset_id", "asset_name", "metric_name", "baseline_type", "time_period", "baseline_config",
            "statistical_data", "seasonal_patterns", "confidence_interval", "last_calculated", "next_calculation",
            "calculation_frequency", "is_active", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["last_calculated", "next_calculation", "created_at", "updated_at"]


class BaselineFilters(filters.FilterSet):
    asset = filters.UUIDFilter(field_name="asset_id")

    class Meta:
        model = PerformanceBaseline
        fields = ["metric_name", "baseline_type", "time_period", "is_active"]


class Baselines(Resources):
    """List baselines; make one, which is due for calculation at once."""

    policy_resource, listed_as = "baselines", "baselines"
    rows = PerformanceBaseline.objects.select_related("asset").order_by("metric_name")
    serializer_class = BaselineSerializer
    filterset_class = BaselineFilters

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        now = timezone.now()
        serializer.save(last_calculated=now, next_calculation=now)


class BaselineView(Resource):
    """One baseline: read, change, remove."""

    policy_resource = "baselines"
    rows = PerformanceBaseline.objects.select_related("asset")
    serializer_class = BaselineSerializer
