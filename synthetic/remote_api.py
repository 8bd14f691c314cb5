"""REST: the endpoints of agents that are locations, which their keys open."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from assets.agent_endpoints import AgentEndpoint
from assets.metrics.committing import Unavailable
from synthetic import remote
from synthetic.remote import NoLocation, Report

CHECKS = inline_serializer(
    "AgentChecks",
    {
        "version": serializers.CharField(),
        "location": serializers.CharField(),
        "checks": serializers.ListField(child=serializers.DictField()),
    },
)
REPORT = inline_serializer(
    "AgentCheckReport",
    {
        "results": serializers.ListField(child=serializers.DictField(), max_length=remote.MAX_RESULTS),
        "is_cut_off": serializers.BooleanField(required=False),
    },
)
TAKEN = inline_serializer(
    "AgentCheckReportAnswer",
    {"accepted": serializers.IntegerField(), "rejected": serializers.ListField(child=serializers.DictField())},
)


class Away(APIException):
    """Nothing could be stored; the agent sends again."""

    status_code = 503


class AgentChecks(AgentEndpoint):
    """The checks that an agent of type synthetic is to run, from the location of its name."""

    @extend_schema(responses={200: CHECKS})
    def get(self, request: Request) -> Response:
        try:
            wanted = remote.checks_of(self.agent(), timezone.now())
        except NoLocation as error:
            raise PermissionDenied(str(error)) from error
        tag = f'"{wanted["version"]}"'
        if request.headers.get("If-None-Match") == tag:
            return Response(status=304, headers={"ETag": tag})
        return Response(wanted, headers={"ETag": tag})


class AgentCheckResults(AgentEndpoint):
    """What an agent has seen of its checks. A result that is sent again is the same result."""

    @extend_schema(request=REPORT, responses={200: TAKEN})
    def post(self, request: Request) -> Response:
        report = self.read(Report)
        try:
            accepted, rejected = remote.take_in(self.agent(), report, timezone.now())
        except NoLocation as error:
            raise PermissionDenied(str(error)) from error
        except Unavailable as error:
            raise Away(f"the samples could not be stored: {error}") from error
        return Response({"accepted": accepted, "rejected": rejected})
