"""REST: agents as people see them, their keys, and what they discovered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assets import agents, authentication, enrolment
from assets.api import AssetSerializer
from assets.models import AgentKey, Discovery, DiscoveryDecision, InfrastructureAsset, MonitoringAgent
from wedsync_monitor import policy, schema
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import Conflict
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer, refuse_misfits


class AgentSerializer(StrictSerializer):
    asset_id = serializers.PrimaryKeyRelatedField(source="asset", queryset=InfrastructureAsset.objects.all())
    asset_name = serializers.CharField(source="asset.asset_name", read_only=True)
    series = serializers.SerializerMethodField(help_text="Series that it has, as last counted.")
    series_refused = serializers.SerializerMethodField(help_text="Times that a new series was refused at its limit.")

    class Meta:
        model = MonitoringAgent
        fields = [
            "id", "agent_name", "agent_type", "asset_id", "asset_name", "agent_version", "agent_config",
            "collection_interval", "retention_days", "max_series", "compression_enabled", "encryption_enabled",
            "health_status", "last_heartbeat", "last_report", "metrics_collected", "bytes_transmitted", "series",
            "series_refused", "is_active", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = [
            "agent_version", "health_status", "last_heartbeat", "last_report", "metrics_collected", "bytes_transmitted",
            "created_at", "updated_at",
        ]  # fmt: skip

    def get_series(self, agent: MonitoringAgent) -> int:
        return sum(used.series for used in agent.series_usage.all())

    def get_series_refused(self, agent: MonitoringAgent) -> int:
        return sum(used.refused for used in agent.series_usage.all())


class AgentFilters(filters.FilterSet):
    asset = filters.UUIDFilter(field_name="asset_id")
    q = filters.CharFilter(field_name="agent_name", lookup_expr="icontains")

    class Meta:
        model = MonitoringAgent
        fields = ["agent_type", "health_status", "is_active"]


class Agents(Resources):
    policy_resource, listed_as = "agents", "agents"
    rows = MonitoringAgent.objects.select_related("asset").prefetch_related("series_usage").order_by("agent_name")
    serializer_class = AgentSerializer
    filterset_class = AgentFilters


class Agent(Resource):
    policy_resource = "agents"
    rows = MonitoringAgent.objects.select_related("asset").prefetch_related("series_usage")
    serializer_class = AgentSerializer


class KeySerializer(serializers.ModelSerializer[AgentKey]):
    key_id = serializers.UUIDField(source="pk")

    class Meta:
        model = AgentKey
        fields = ["key_id", "created_at", "expires_at", "revoked_at", "first_used_at"]


def _agents(request: Request, verb: Verb) -> QuerySet[MonitoringAgent]:
    return policy.permitted(request.user, verb, "agents", MonitoringAgent.objects.all())


LISTED_KEYS = inline_serializer("AgentKeyList", {"keys": KeySerializer(many=True)})
NEW_KEY = inline_serializer(
    "NewAgentKey",
    {
        "key_id": serializers.UUIDField(),
        "key": serializers.CharField(),
        "key_expires_at": serializers.DateTimeField(),
    },
)


class AgentKeys(APIView):
    """An agent's keys."""

    policy_resource = "agents"
    policy_verbs = {"POST": Verb.CHANGE}

    @extend_schema(operation_id="agents_keys_list", responses={200: LISTED_KEYS})
    def get(self, request: Request, pk: UUID) -> Response:
        """The agent's keys without their secrets, newest first."""
        agent = get_object_or_404(_agents(request, Verb.READ), pk=pk)
        return Response({"keys": KeySerializer(agent.keys.all()[:100], many=True).data})

    @extend_schema(request=None, responses={201: NEW_KEY})
    def post(self, request: Request, pk: UUID) -> Response:
        """Make a further key; it is shown this once. The older ones run out after its first use."""
        agent = get_object_or_404(_agents(request, Verb.CHANGE), pk=pk)
        with transaction.atomic():
            key, secret = authentication.issue_key(agent, timezone.now())
        return Response({"key_id": str(key.pk), "key": secret, "key_expires_at": key.expires_at}, 201)


@extend_schema(responses={204: None})
class AgentKeyView(APIView):
    """Revoke a key, at once."""

    policy_resource = "agents"
    policy_verbs = {"DELETE": Verb.CHANGE}

    def delete(self, request: Request, pk: UUID, key_id: UUID) -> Response:
        key = get_object_or_404(AgentKey, pk=key_id, agent__in=_agents(request, Verb.CHANGE).filter(pk=pk))
        key.revoked_at = timezone.now()
        with transaction.atomic():
            key.save()
        authentication.forget(key.pk)
        return Response(status=204)


class EnrolmentRequest(serializers.Serializer[Any]):
    agent_name = serializers.CharField(max_length=schema.MAX_NAME_LENGTH)
    asset_id = serializers.PrimaryKeyRelatedField(queryset=InfrastructureAsset.objects.all())
    valid_minutes = serializers.IntegerField(min_value=1, max_value=7 * 24 * 60, default=60)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            refuse_misfits(self, data)
        return super().to_internal_value(data)


NEW_TOKEN = inline_serializer(
    "NewEnrolmentToken", {"token": serializers.CharField(), "expires_at": serializers.DateTimeField()}
)


@extend_schema(request=EnrolmentRequest, responses={201: NEW_TOKEN})
class EnrolmentTokens(APIView):
    """Make a token that lets one agent in, once, within an hour or `valid_minutes`."""

    policy_resource = "agents"

    def post(self, request: Request) -> Response:
        wanted = EnrolmentRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        said = wanted.validated_data
        lifetime = timedelta(minutes=said["valid_minutes"])
        try:
            row, secret = enrolment.issue_token(
                said["agent_name"],
                said["asset_id"],
                request.user,  # type: ignore[arg-type]
                timezone.now(),
                lifetime,
            )
        except enrolment.Taken as error:
            raise Conflict(f"{error}.") from error
        return Response({"token": secret, "expires_at": row.expires_at}, 201)


class DiscoverySerializer(serializers.ModelSerializer[Discovery]):
    asset_name = serializers.CharField(source="agent.asset.asset_name", read_only=True)

    class Meta:
        model = Discovery
        fields = ["id", "kind", "name", "details", "decision", "asset_name", "first_seen_at", "last_seen_at"]


class DiscoveryFilters(filters.FilterSet):
    class Meta:
        model = Discovery
        fields = ["decision", "kind"]


class Discoveries(Resources):
    """What agents found on their hosts."""

    http_method_names = ["get", "head", "options"]
    policy_resource, listed_as = "assets", "discoveries"
    rows = Discovery.objects.select_related("agent__asset").order_by("-last_seen_at")
    serializer_class = DiscoverySerializer
    filterset_class = DiscoveryFilters


DECIDED = inline_serializer(
    "DiscoveryDecided",
    {
        "decision": serializers.ChoiceField(choices=DiscoveryDecision.choices),
        "asset_id": serializers.UUIDField(required=False),
        "asset": AssetSerializer(required=False),
    },
)


@extend_schema(request=None, responses={200: DECIDED})
class DiscoveryDecisionView(APIView):
    """Make an asset of a discovery, or ignore it."""

    policy_resource = "assets"
    policy_verbs = {"POST": Verb.CREATE}

    def post(self, request: Request, pk: UUID, decision: str) -> Response:
        wanted = DiscoveryDecision.ACCEPTED if decision == "accept" else DiscoveryDecision.IGNORED
        offered = policy.permitted(request.user, Verb.CREATE, "assets", Discovery.objects.all())
        try:
            found = agents.decide(get_object_or_404(offered, pk=pk).pk, wanted, request.user)  # type: ignore[arg-type]
        except Discovery.DoesNotExist as error:
            raise Http404 from error
        except agents.Decided as error:
            raise Conflict(f"{error}.") from error
        answer: dict[str, Any] = {"decision": found.decision}
        if found.asset:
            answer |= {"asset_id": str(found.asset.pk), "asset": AssetSerializer(found.asset).data}
        return Response(answer)
