"""REST: rules, alerts and what a person does with them, escalation, maintenance, baselines."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Q
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import listing, transitions
from alerts.models import (
    AlertEvent,
    AlertInstance,
    AlertRule,
    EscalationPolicy,
    MaintenanceWindow,
    NotificationDelivery,
    PerformanceBaseline,
    ResolutionType,
    RuleEvaluation,
    Severity,
)
from alerts.transitions import Refused
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import Conflict
from wedsync_monitor.web.plain import views_of
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer


class EvaluationSerializer(serializers.ModelSerializer[RuleEvaluation]):
    class Meta:
        model = RuleEvaluation
        fields = ["next_evaluation_at", "last_evaluated_at", "last_duration_ms", "last_series_seen", "last_error"]


class RuleSerializer(StrictSerializer):
    escalation_policy_id = serializers.PrimaryKeyRelatedField(
        source="escalation_policy", queryset=EscalationPolicy.objects.all(), allow_null=True, required=False
    )
    escalation_policy_name = serializers.CharField(source="escalation_policy.policy_name", read_only=True, default=None)
    recent_triggers = serializers.SerializerMethodField()
    last_triggered = serializers.SerializerMethodField()
    evaluation = EvaluationSerializer(read_only=True, default=None)

    class Meta:
        model = AlertRule
        fields = [
            "id", "rule_name", "rule_description", "asset_filter", "metric_conditions", "severity", "alert_type",
            "evaluation_window", "evaluation_frequency", "threshold_config", "anomaly_config", "suppression_config",
            "escalation_policy_id", "escalation_policy_name", "notification_channels", "auto_resolve_timeout",
            "runbook_url", "business_impact", "is_enabled", "recent_triggers", "last_triggered", "evaluation",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]

    def get_recent_triggers(self, rule: AlertRule) -> int:
        return getattr(rule, "recent_triggers", 0)

    def get_last_triggered(self, rule: AlertRule) -> Any:
        last: datetime | None = getattr(rule, "last_triggered", None)
        return serializers.DateTimeField().to_representation(last) if last else None


def rules_with_triggers(now: datetime) -> Any:
    told = ~Q(instances__status="pending")
    recent = told & Q(instances__first_triggered_at__gte=now - timedelta(hours=24))
    return AlertRule.objects.select_related("escalation_policy", "evaluation").annotate(
        recent_triggers=Count("instances", filter=recent),
        last_triggered=Max("instances__first_triggered_at", filter=told),
    )


class Rules(Resources):
    """List rules with a summary; create one."""

    policy_resource = "alert_rules"
    rows = AlertRule.objects.order_by("rule_name")
    serializer_class = RuleSerializer
    filterset_class = listing.RuleFilters

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        now, rows = timezone.now(), self.filter_queryset(self.get_queryset())
        page = [rule.pk for rule in self.paginate_queryset(rows) or []]
        shown = rules_with_triggers(now).filter(pk__in=page).order_by("rule_name")
        counts = rows.order_by().aggregate(
            total_rules=Count("pk"),
            enabled_rules=Count("pk", filter=Q(is_enabled=True)),
            **{severity: Count("pk", filter=Q(severity=severity)) for severity in Severity.values},
        )
        triggered = AlertInstance.objects.filter(
            alert_rule__in=rows.order_by(), first_triggered_at__gte=now - timedelta(hours=24)
        ).exclude(status="pending")
        summary = {
            "total_rules": counts["total_rules"],
            "enabled_rules": counts["enabled_rules"],
            "rules_by_severity": {severity: counts[severity] for severity in Severity.values},
            "rules_triggered_24h": triggered.values("alert_rule").distinct().count(),
        }
        return self.get_paginated_response(
            {"rules": self.get_serializer(shown, many=True).data, "rule_summary": summary}
        )


class Rule(Resource):
    policy_resource = "alert_rules"
    rows = AlertRule.objects.select_related("escalation_policy", "evaluation")
    serializer_class = RuleSerializer


class AlertSerializer(serializers.ModelSerializer[AlertInstance]):
    """An alert as lists show it."""

    asset_name = serializers.CharField(source="asset.asset_name", default=None)
    environment = serializers.CharField(source="asset.environment", default=None)
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", default=None)
    business_impact = serializers.CharField(source="alert_rule.business_impact", default=None)
    rule_name = serializers.CharField(source="alert_rule.rule_name")
    duration_minutes = serializers.SerializerMethodField()

    class Meta:
        model = AlertInstance
        fields = [
            "id", "alert_title", "alert_description", "severity", "status", "asset_name", "asset_id", "environment",
            "rule_name", "alert_rule_id", "trigger_value", "threshold_value", "duration_minutes", "first_triggered_at",
            "last_triggered_at", "acknowledged_at", "acknowledged_by", "acknowledged_until", "resolved_at",
            "resolution_type", "resolution_notes", "escalation_level", "business_impact", "context_data",
        ]  # fmt: skip

    def get_duration_minutes(self, alert: AlertInstance) -> int:
        return duration_minutes(alert, timezone.now())


def duration_minutes(alert: AlertInstance, now: datetime) -> int:
    """Whole minutes from the first breach to the resolution, or to `now`."""
    return max(int(((alert.resolved_at or now) - alert.first_triggered_at).total_seconds() // 60), 0)


class EventSerializer(serializers.ModelSerializer[AlertEvent]):
    actor = serializers.CharField(source="actor.username", default=None)

    class Meta:
        model = AlertEvent
        fields = ["kind", "at", "actor", "note"]


class DeliverySerializer(serializers.ModelSerializer[NotificationDelivery]):
    event = serializers.CharField(source="event.kind")

    class Meta:
        model = NotificationDelivery
        fields = ["id", "event", "channel_key", "status", "attempts", "last_error", "created_at", "delivered_at"]


def alerts_shown() -> Any:
    return AlertInstance.objects.select_related("asset", "alert_rule", "acknowledged_by")


class Alerts(Resources):
    """List alerts with a summary and the trend of the last 24 hours. The engine opens them."""

    http_method_names = ["get", "head", "options"]
    policy_resource = "alerts"
    rows = alerts_shown().order_by("-first_triggered_at")
    serializer_class = AlertSerializer
    filterset_class = listing.AlertFilters

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self.filter_queryset(self.get_queryset())
        page = self.paginate_queryset(rows)
        bare = rows.select_related(None)
        return self.get_paginated_response(
            {
                "alerts": self.get_serializer(page, many=True).data,
                "alert_summary": listing.summary_of(bare),
                "alert_trends": listing.trends_of(bare, timezone.now()),
            }
        )


@extend_schema(responses={200: AlertSerializer})
class Alert(APIView):
    """One alert with its events and deliveries."""

    policy_resource = "alerts"

    def get(self, request: Request, pk: UUID) -> Response:
        alert = get_object_or_404(policy.permitted(request.user, Verb.READ, "alerts", alerts_shown()), pk=pk)
        deliveries = NotificationDelivery.objects.filter(event__alert=alert).select_related("event")
        return Response(
            {
                **AlertSerializer(alert).data,
                "events": EventSerializer(alert.events.select_related("actor"), many=True).data,
                "deliveries": DeliverySerializer(deliveries, many=True).data,
            }
        )


class StrictBody(serializers.Serializer[Any]):
    """A request body that refuses what it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(dict.fromkeys(unknown, "not known here; leave it out"))
        return super().to_internal_value(data)


class AcknowledgeBody(StrictBody):
    acknowledgment_note = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    estimated_resolution_time = serializers.IntegerField(required=False, min_value=1, max_value=60 * 24 * 30)


class ResolveBody(StrictBody):
    resolution_type = serializers.ChoiceField(choices=ResolutionType.choices)
    resolution_notes = serializers.CharField(max_length=5000)
    root_cause = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    remediation_applied = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class _Deed(APIView):
    """Something that a person does with an alert."""

    policy_resource = "alerts"
    body: type[StrictBody]
    verb: Verb

    def post(self, request: Request, pk: UUID) -> Response:
        get_object_or_404(policy.permitted(request.user, self.verb, "alerts", AlertInstance.objects.all()), pk=pk)
        body = self.body(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            self.do(request, pk, body.validated_data)
        except Refused as error:
            raise Conflict(f"{str(error).capitalize()}.") from error
        return Response(AlertSerializer(alerts_shown().get(pk=pk)).data)

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        raise AssertionError("each deed says what it does")


@extend_schema(request=AcknowledgeBody, responses={200: AlertSerializer})
class Acknowledge(_Deed):
    """Take an alert on; with an estimated resolution time the acknowledgement ends when that has passed."""

    policy_verbs = {"POST": Verb.ACKNOWLEDGE}
    verb, body = Verb.ACKNOWLEDGE, AcknowledgeBody

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        note, minutes = said.get("acknowledgment_note", ""), said.get("estimated_resolution_time")
        transitions.acknowledge(pk, request.user, note, minutes, timezone.now())  # type: ignore[arg-type]


@extend_schema(request=ResolveBody, responses={200: AlertSerializer})
class Resolve(_Deed):
    """Declare an alert over."""

    policy_verbs = {"POST": Verb.RESOLVE}
    verb, body = Verb.RESOLVE, ResolveBody

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        kind, notes = said.pop("resolution_type"), said.pop("resolution_notes")
        transitions.resolve(pk, request.user, kind, notes, timezone.now(), **said)  # type: ignore[arg-type]


EscalationPolicies, EscalationPolicyView = views_of(
    EscalationPolicy,
    "escalation",
    "escalation_policies",
    [
        "id", "policy_name", "policy_description", "escalation_steps", "business_hours", "holiday_schedule",
        "repeat_escalation", "repeat_interval", "max_escalations", "is_active", "created_at", "updated_at",
    ],
)  # fmt: skip
MaintenanceWindows, MaintenanceWindowView = views_of(
    MaintenanceWindow,
    "maintenance",
    "maintenance_windows",
    [
        "id", "window_name", "description", "affected_assets", "start_time", "end_time", "recurrence_config",
        "maintenance_type", "impact_level", "notification_config", "alert_suppression", "status", "actual_start_time",
        "actual_end_time", "completion_notes", "created_at", "updated_at",
    ],
)  # fmt: skip
Baselines, BaselineView = views_of(
    PerformanceBaseline,
    "baselines",
    "baselines",
    [
        "id", "asset", "metric_name", "baseline_type", "time_period", "baseline_config", "statistical_data",
        "seasonal_patterns", "confidence_interval", "last_calculated", "next_calculation", "calculation_frequency",
        "is_active", "created_at", "updated_at",
    ],
)  # fmt: skip
