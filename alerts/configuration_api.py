"""REST: what people arrange around alerts: escalation policies and baselines."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django_filters import rest_framework as filters
from rest_framework import serializers

from alerts.models import EscalationPolicy, PerformanceBaseline
from assets.models import InfrastructureAsset
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
