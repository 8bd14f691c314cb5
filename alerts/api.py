"""REST: rules, alerts and what a person does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, inline_serializer
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import explanation, listing, notification, profiles, transitions
from alerts.models import (
    AlertEvent,
    AlertInstance,
    AlertRule,
    AlertStatus,
    EscalationPolicy,
    InUse,
    NotificationDelivery,
    ResolutionType,
    RuleEvaluation,
)
from alerts.selection import active_assets
from alerts.transitions import Refused
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import Conflict
from wedsync_monitor.web.resources import (
    Resource,
    Resources,
    RowsByPolicy,
    StrictBody,
    StrictSerializer,
)


class EvaluationSerializer(serializers.ModelSerializer[RuleEvaluation]):
    class Meta:
        model = RuleEvaluation
        fields = [
            "next_evaluation_at", "last_evaluated_at", "last_duration_ms", "last_lag_ms", "last_series_seen",
            "last_error", "last_state", "missed_evaluations",
        ]  # fmt: skip


class RuleSerializer(StrictSerializer):
    escalation_policy_id = serializers.PrimaryKeyRelatedField(
        source="escalation_policy", queryset=EscalationPolicy.objects.all(), allow_null=True, required=False
    )
    escalation_policy_name = serializers.CharField(
        source="escalation_policy.policy_name", read_only=True, default=None, allow_null=True
    )
    recent_triggers = serializers.SerializerMethodField()
    last_triggered = serializers.SerializerMethodField()
    notice = serializers.SerializerMethodField(help_text="Why the rule cannot alert as it is; null where it can.")
    evaluation = EvaluationSerializer(read_only=True, default=None, allow_null=True)

    class Meta:
        model = AlertRule
        fields = [
            "id", "rule_name", "rule_description", "asset_filter", "metric_conditions", "severity", "alert_type",
            "evaluation_window", "evaluation_frequency", "threshold_config", "anomaly_config", "absence_config",
            "composite_config", "profiles", "suppression_config", "escalation_policy_id", "escalation_policy_name",
            "notification_channels", "auto_resolve_timeout", "runbook_url",
            "business_impact", "is_enabled", "recent_triggers", "last_triggered", "notice",
            "evaluation", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]

    def get_recent_triggers(self, rule: AlertRule) -> int:
        return getattr(rule, "recent_triggers", 0)

    def get_notice(self, rule: AlertRule) -> str | None:
        if not rule.asset_filter:
            return None
        # One query for all rules of a page: they share the context.
        shared: Any = self.context
        if "assets" not in shared:
            shared["assets"] = active_assets()
        return None if shared["assets"].select(rule.asset_filter).any() else "matches no asset now"

    def get_last_triggered(self, rule: AlertRule) -> Any:
        last: datetime | None = getattr(rule, "last_triggered", None)
        return serializers.DateTimeField().to_representation(last) if last else None


class Rules(Resources):
    """List rules with a summary of all that match; create one."""

    policy_resource, listed_as = "alert_rules", "rules"
    rows = AlertRule.objects.order_by("rule_name")
    serializer_class = RuleSerializer
    filterset_class = listing.RuleFilters
    envelope = {"rule_summary": dict}

    def shown(self, page: Sequence[AlertRule]) -> Sequence[Any]:
        found = listing.rules_with_triggers(timezone.now()).in_bulk([rule.pk for rule in page])
        return super().shown([found[rule.pk] for rule in page if rule.pk in found])

    def around(self, rows: QuerySet[AlertRule]) -> dict[str, Any]:
        return {"rule_summary": listing.rule_summary_of(rows, timezone.now())}


class Rule(Resource):
    """One rule: read, change, remove."""

    policy_resource = "alert_rules"
    rows = AlertRule.objects.all()
    serializer_class = RuleSerializer

    def get_queryset(self) -> QuerySet[AlertRule]:
        return listing.rules_with_triggers(timezone.now()).filter(pk__in=super().get_queryset())

    def delete(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Remove the rule with its history. While it has live alerts or undelivered messages that is refused."""
        return super().delete(request, *args, **kwargs)

    def perform_destroy(self, instance: AlertRule) -> None:
        try:
            instance.delete()
        except InUse as error:
            raise Conflict(str(error)) from error


class TrialSerializer(serializers.Serializer[Any]):
    channel = serializers.CharField()
    delivered = serializers.BooleanField()
    error = serializers.CharField(allow_blank=True)


TRIALS = inline_serializer("Trials", {"results": TrialSerializer(many=True)})


class TestNotification(APIView):
    """Send a test message to each of a rule's channels, now; says of each whether it arrived."""

    policy_resource = "alert_rules"
    policy_verbs = {"POST": Verb.CHANGE}

    @extend_schema(request=None, responses={200: TRIALS})
    def post(self, request: Request, pk: UUID) -> Response:
        rows = policy.permitted(request.user, Verb.CHANGE, "alert_rules", AlertRule.objects.all())
        trials = notification.send_test(get_object_or_404(rows, pk=pk), request.user, timezone.now())  # type: ignore[arg-type]
        return Response({"results": [asdict(trial) for trial in trials]})


class AlertSerializer(serializers.ModelSerializer[AlertInstance]):
    """An alert as lists show it."""

    asset_name = serializers.CharField(source="asset.asset_name", default=None, allow_null=True)
    environment = serializers.CharField(source="asset.environment", default=None, allow_null=True)
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", default=None, allow_null=True)
    assigned_to = serializers.CharField(source="assigned_to.username", default=None, allow_null=True)
    business_impact = serializers.CharField(source="alert_rule.business_impact", default=None, allow_null=True)
    rule_name = serializers.CharField(source="alert_rule.rule_name")
    duration_minutes = serializers.SerializerMethodField()

    class Meta:
        model = AlertInstance
        fields = [
            "id", "alert_title", "alert_description", "severity", "status", "asset_name", "asset_id", "environment",
            "rule_name", "alert_rule_id", "trigger_value", "threshold_value", "duration_minutes", "first_triggered_at",
            "last_triggered_at", "acknowledged_at", "acknowledged_by", "acknowledged_until", "resolved_at",
            "resolution_type", "resolution_notes", "false_positive", "escalation_level", "next_escalation_at",
            "snoozed_until", "assigned_to", "business_impact", "context_data",
        ]  # fmt: skip

    def get_duration_minutes(self, alert: AlertInstance) -> int:
        return listing.duration_minutes(alert, timezone.now())


class EventSerializer(serializers.ModelSerializer[AlertEvent]):
    actor = serializers.CharField(source="actor.username", default=None, allow_null=True)

    class Meta:
        model = AlertEvent
        fields = ["kind", "at", "actor", "note"]


class DeliverySerializer(serializers.ModelSerializer[NotificationDelivery]):
    event = serializers.CharField(source="event.kind")

    class Meta:
        model = NotificationDelivery
        fields = ["id", "event", "channel_key", "status", "attempts", "last_error", "created_at", "delivered_at"]


class Alerts(Resources):
    """List alerts with a summary and the trend of the last 24 hours. The engine opens them."""

    http_method_names = ["get", "head", "options"]
    policy_resource, listed_as = "alerts", "alerts"
    rows = listing.alerts_shown().order_by("-first_triggered_at")
    serializer_class = AlertSerializer
    filterset_class = listing.AlertFilters
    envelope = {"alert_summary": dict, "alert_trends": list}

    def around(self, rows: QuerySet[AlertInstance]) -> dict[str, Any]:
        bare = rows.select_related(None)
        return {
            "alert_summary": listing.summary_of(bare),
            "alert_trends": listing.trends_of(bare, timezone.now()),
        }


class AlertDetailSerializer(AlertSerializer):
    """An alert with what happened to it and who was told."""

    explanation = serializers.SerializerMethodField(help_text="What it waits for, such as when it recovers.")
    events = serializers.SerializerMethodField()
    deliveries = serializers.SerializerMethodField()

    class Meta(AlertSerializer.Meta):
        fields = [*AlertSerializer.Meta.fields, "alert_key", "impact_assessment", "explanation", "events", "deliveries"]

    def get_explanation(self, alert: AlertInstance) -> str:
        return explanation.of_alert(alert, profiles.applied(alert.alert_rule, timezone.now()))

    @extend_schema_field(EventSerializer(many=True))
    def get_events(self, alert: AlertInstance) -> Any:
        return EventSerializer(alert.events.select_related("actor"), many=True).data

    @extend_schema_field(DeliverySerializer(many=True))
    def get_deliveries(self, alert: AlertInstance) -> Any:
        rows = NotificationDelivery.objects.filter(event__alert=alert).select_related("event").order_by("created_at")
        return DeliverySerializer(rows, many=True).data


class Alert(RowsByPolicy, generics.RetrieveAPIView):  # type: ignore[type-arg,misc]
    """One alert with its events and deliveries."""

    policy_resource = "alerts"
    rows = listing.alerts_shown()
    serializer_class = AlertDetailSerializer


class AcknowledgeBody(StrictBody):
    acknowledgment_note = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    estimated_resolution_time = serializers.IntegerField(required=False, min_value=1, max_value=60 * 24 * 30)


class ResolveBody(StrictBody):
    resolution_type = serializers.ChoiceField(choices=ResolutionType.choices)
    resolution_notes = serializers.CharField(max_length=5000)
    root_cause = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    remediation_applied = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    false_positive = serializers.BooleanField(required=False)


class Deed(APIView):
    """Something that a person does with an alert."""

    policy_resource = "alerts"
    body: type[StrictBody]
    verb: Verb

    def post(self, request: Request, pk: UUID) -> Response:
        told = AlertInstance.objects.exclude(status=AlertStatus.PENDING)
        get_object_or_404(policy.permitted(request.user, self.verb, "alerts", told), pk=pk)
        body = self.body(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            self.do(request, pk, body.validated_data)
        except Refused as error:
            raise Conflict(f"{str(error).capitalize()}.") from error
        except AlertInstance.DoesNotExist as error:
            raise Http404 from error
        return Response(AlertSerializer(listing.alerts_shown().get(pk=pk)).data)

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        raise AssertionError("each deed says what it does")


@extend_schema(request=AcknowledgeBody, responses={200: AlertSerializer})
class Acknowledge(Deed):
    """Take an alert on; with an estimated resolution time the acknowledgement ends when that has passed."""

    policy_verbs = {"POST": Verb.ACKNOWLEDGE}
    verb, body = Verb.ACKNOWLEDGE, AcknowledgeBody

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        note, minutes = said.get("acknowledgment_note", ""), said.get("estimated_resolution_time")
        transitions.acknowledge(pk, request.user, note, minutes, timezone.now())  # type: ignore[arg-type]


@extend_schema(request=ResolveBody, responses={200: AlertSerializer})
class Resolve(Deed):
    """Declare an alert over."""

    policy_verbs = {"POST": Verb.RESOLVE}
    verb, body = Verb.RESOLVE, ResolveBody

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        kind, notes = said.pop("resolution_type"), said.pop("resolution_notes")
        transitions.resolve(pk, request.user, kind, notes, timezone.now(), **said)  # type: ignore[arg-type]


class Resend(APIView):
    """Send a message that was given up once more; it is put back into the outbox."""

    policy_resource = "alerts"
    policy_verbs = {"POST": Verb.ACKNOWLEDGE}

    @extend_schema(request=None, responses={200: DeliverySerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        alerts = policy.permitted(request.user, Verb.ACKNOWLEDGE, "alerts", AlertInstance.objects.all())
        get_object_or_404(NotificationDelivery.objects.filter(event__alert__in=alerts), pk=pk)
        try:
            delivery = notification.resend(pk, timezone.now())
        except notification.NotAgain as error:
            raise Conflict(f"{str(error).capitalize()}.") from error
        except NotificationDelivery.DoesNotExist as error:
            raise Http404 from error
        return Response(DeliverySerializer(delivery).data)
