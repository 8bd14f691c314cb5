"""REST: heartbeats, and the addresses that jobs ping."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assets.heartbeats import states
from assets.heartbeats.models import Heartbeat
from assets.heartbeats.pings import with_state
from assets.heartbeats.states import State
from assets.models import InfrastructureAsset
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer

STATES = [(state.value, state.value) for state in State]
_SAID = [
    "last_ping_at", "last_success_at", "started_at", "last_duration_seconds", "last_exit_status", "last_log",
    "ping_count", "due_at", "down_at", "created_at", "updated_at",
]  # fmt: skip


class CronHeartbeatSerializer(StrictSerializer):
    """A heartbeat. Its address is told to those only who may change it: whoever has it may ping."""

    asset_id = serializers.PrimaryKeyRelatedField(source="asset", queryset=InfrastructureAsset.objects.all())
    asset_name = serializers.CharField(source="asset.asset_name", read_only=True)
    state = serializers.SerializerMethodField()
    ping_url = serializers.SerializerMethodField()

    class Meta:
        model = Heartbeat
        fields = [
            "id", "heartbeat_name", "asset_id", "asset_name", "period_seconds", "cron_expression", "time_zone",
            "grace_seconds", "is_paused", "state", "ping_url", *_SAID,
        ]  # fmt: skip
        read_only_fields = _SAID

    @extend_schema_field(serializers.ChoiceField(choices=STATES))
    def get_state(self, beat: Heartbeat) -> str:
        return states.state_of(beat.standing(), timezone.now()).value

    def get_ping_url(self, beat: Heartbeat) -> str | None:
        request = self.context.get("request")
        return beat.ping_url if request and policy.granted(request.user, Verb.CHANGE, "heartbeats") else None


class HeartbeatFilters(filters.FilterSet):
    asset = filters.UUIDFilter(field_name="asset_id")
    state = filters.ChoiceFilter(choices=STATES, method="by_state")
    q = filters.CharFilter(field_name="heartbeat_name", lookup_expr="icontains")

    class Meta:
        model = Heartbeat
        fields = ["is_paused"]

    def by_state(self, rows: QuerySet[Heartbeat], name: str, value: str) -> QuerySet[Heartbeat]:
        return with_state(rows, timezone.now()).filter(shown_state=value)


class Heartbeats(Resources):
    """Jobs that are to say when they ran."""

    policy_resource, listed_as = "heartbeats", "heartbeats"
    rows = Heartbeat.objects.select_related("asset").order_by("heartbeat_name")
    serializer_class = CronHeartbeatSerializer
    filterset_class = HeartbeatFilters


class HeartbeatRow(Resource):
    """One heartbeat: read, change, pause, remove."""

    policy_resource = "heartbeats"
    rows = Heartbeat.objects.select_related("asset")
    serializer_class = CronHeartbeatSerializer


ADDRESS = inline_serializer("HeartbeatAddress", {"ping_url": serializers.URLField()})


@extend_schema(request=None, responses={201: ADDRESS})
class NewAddress(APIView):
    """Give a heartbeat a new address; the old one is unknown from then on."""

    policy_resource = "heartbeats"
    policy_verbs = {"POST": Verb.CHANGE}

    def post(self, request: Request, pk: UUID) -> Response:
        rows: Any = policy.permitted(request.user, Verb.CHANGE, "heartbeats", Heartbeat.objects.all())
        with transaction.atomic():
            beat = get_object_or_404(rows.select_for_update(), pk=pk)
            beat.ping_key = uuid.uuid4()
            beat.save()
        return Response({"ping_url": beat.ping_url}, 201)
