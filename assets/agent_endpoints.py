"""REST: the agents' own endpoints, which their keys open."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assets import agents, authentication, enrolment
from assets.authentication import AgentKeyAuthentication, IsAgent
from assets.models import AgentHealth, AgentKey, AgentType, MonitoringAgent
from wedsync_monitor import audit

KEY: dict[str, serializers.Field[Any, Any, Any, Any]] = {
    "key": serializers.CharField(),
    "key_expires_at": serializers.DateTimeField(),
}


class AgentEndpoint(APIView):
    """An endpoint that an agent's key opens, and nothing else does."""

    authentication_classes: Any = (AgentKeyAuthentication,)
    permission_classes: Any = (IsAgent,)
    agent_endpoint = True

    def agent(self) -> MonitoringAgent:
        agent: MonitoringAgent = self.request.auth.agent  # type: ignore[union-attr]
        return agent

    def read(self, structure: Any) -> Any:
        """The body as `structure`; 400 with the place of what does not fit."""
        try:
            return msgspec.convert(self.request.data, structure, strict=True)
        except msgspec.ValidationError as error:
            said, _, place = str(error).partition(" - at `$")
            raise ValidationError({place.strip(".`"): said}) from error


class _Enrolment(msgspec.Struct, forbid_unknown_fields=True):
    token: str
    agent_version: str = ""


@extend_schema(
    request=inline_serializer(
        "Enrolment",
        {
            "token": serializers.CharField(),
            "agent_version": serializers.CharField(required=False),
        },
    ),
    responses={
        201: inline_serializer(
            "EnrolledAgent",
            {
                "agent_id": serializers.UUIDField(),
                "agent_name": serializers.CharField(),
                "asset_id": serializers.UUIDField(),
                "asset_name": serializers.CharField(),
                **KEY,
            },
        )
    },
)
class Enrol(AgentEndpoint):
    """Exchange a single-use enrolment token for a key."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        said = self.read(_Enrolment)
        try:
            with audit.acting("enrolment"):
                key, secret = enrolment.enrol(said.token, said.agent_version[:100], timezone.now())
        except enrolment.Spent as error:
            raise ValidationError({"token": str(error)}) from error
        agent = key.agent
        shown: dict[str, Any] = {
            "agent_id": str(agent.pk),
            "agent_name": agent.agent_name,
            "asset_id": str(agent.asset_id),
        }
        shown |= {"asset_name": agent.asset.asset_name, "key": secret, "key_expires_at": key.expires_at}
        return Response(shown, 201)


@extend_schema(
    request=inline_serializer(
        "Heartbeat",
        {
            "agent_version": serializers.CharField(),
            "health_status": serializers.ChoiceField(choices=AgentHealth.choices),
            **{
                name: serializers.IntegerField(required=False, min_value=0)
                for name in ("metrics_collected", "bytes_transmitted", "spool_depth", "dropped_samples")
            },
            "last_error": serializers.CharField(required=False, allow_null=True),
        },
    ),
    responses={
        200: inline_serializer(
            "HeartbeatAnswer",
            {
                "server_time": serializers.DateTimeField(),
                "config_version": serializers.CharField(),
                "key_rotation_due": serializers.BooleanField(),
            },
        )
    },
)
class HeartbeatView(AgentEndpoint):
    """An agent says that it lives and how it is."""

    def post(self, request: Request) -> Response:
        now, agent = timezone.now(), self.agent()
        agents.note_heartbeat(agent, self.read(agents.Heartbeat), now)
        version = agents.configuration_of(agent)["config_version"]
        due = agents.rotation_due(request.auth, now)  # type: ignore[arg-type]
        return Response({"server_time": now, "config_version": version, "key_rotation_due": due})


@extend_schema(
    responses={
        200: inline_serializer(
            "AgentConfiguration",
            {
                "config_version": serializers.CharField(),
                "agent_type": serializers.ChoiceField(choices=AgentType.choices),
                "collection_interval": serializers.IntegerField(),
                "compression_enabled": serializers.BooleanField(),
                "agent_config": serializers.DictField(),
            },
        )
    }
)
class Configuration(AgentEndpoint):
    """What the agent is to do."""

    def get(self, request: Request) -> Response:
        wanted = agents.configuration_of(self.agent())
        tag = f'"{wanted["config_version"]}"'
        if request.headers.get("If-None-Match") == tag:
            return Response(status=304, headers={"ETag": tag})
        return Response(wanted, headers={"ETag": tag})


@extend_schema(request=None, responses={201: inline_serializer("RotatedKey", KEY)})
class RotateKey(AgentEndpoint):
    """A new key for the agent that asks; its old one works until an hour after the new one's first use."""

    def post(self, request: Request) -> Response:
        held: AgentKey = request.auth  # type: ignore[assignment]
        key, secret = authentication.rotate(held, timezone.now())
        return Response({"key": secret, "key_expires_at": key.expires_at}, 201)


class _Discoveries(msgspec.Struct, forbid_unknown_fields=True):
    discoveries: Annotated[list[agents.Found], msgspec.Meta(max_length=1000)]


@extend_schema(
    request=inline_serializer(
        "FoundOnHost",
        {
            "discoveries": inline_serializer(
                "FoundThing",
                {
                    "kind": serializers.CharField(help_text="service, container or exporter"),
                    "name": serializers.CharField(max_length=200),
                    "details": serializers.DictField(required=False),
                },
                many=True,
            )
        },
    ),
    responses={
        200: inline_serializer(
            "OfferAnswer", {"offered": serializers.IntegerField(), "known": serializers.IntegerField()}
        )
    },
)
class Offer(AgentEndpoint):
    """What the agent found on its host."""

    def post(self, request: Request) -> Response:
        found = self.read(_Discoveries).discoveries
        offered, known = agents.offer(self.agent(), found, timezone.now())
        return Response({"offered": offered, "known": known})
