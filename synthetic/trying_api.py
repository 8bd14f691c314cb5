"""REST: a check tried out now, stored or as it would be stored."""

from __future__ import annotations

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from synthetic import trying
from synthetic.api import CheckSerializer
from synthetic.models import SyntheticCheck
from synthetic.targets import Unusable
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import PROBLEM
from wedsync_monitor.web.resources import StrictBody

PHASES = ("dns_lookup_ms", "connection_ms", "tls_handshake_ms", "first_byte_ms", "download_ms")
TRIED = inline_serializer(
    "TestSyntheticCheck",
    {
        "test_timestamp": serializers.DateTimeField(),
        "status": serializers.ChoiceField(choices=["success", "failure"]),
        "response_time_ms": serializers.IntegerField(allow_null=True),
        "status_code": serializers.IntegerField(allow_null=True),
        "response_headers": serializers.DictField(child=serializers.CharField(), allow_null=True),
        "response_body_preview": serializers.CharField(allow_null=True),
        "error_message": serializers.CharField(allow_null=True),
        "network_timing": inline_serializer(
            "NetworkTiming", {name: serializers.FloatField() for name in PHASES}, help_text="They add up to the whole."
        ),
    },
)
BUSY = OpenApiResponse(OpenApiTypes.OBJECT, "Others are being tried out; try again in some seconds.")


class NothingMore(StrictBody):
    """An empty object, or no body at all."""


class UnsavedCheckSerializer(CheckSerializer):
    """A check as it would be saved. Its name may be that of a check there is."""

    check_name = serializers.CharField(max_length=200, default="unsaved")


def _answer(check: SyntheticCheck) -> Response:
    try:
        return Response(trying.told(trying.try_out(check)))
    except Unusable as error:
        raise ValidationError({"check_config": str(error)}) from error
    except trying.Busy as error:
        raise Throttled(5, str(error)) from error


class TryCheck(APIView):
    """Run a check now, once and from this server. Neither the result nor the verdict is kept."""

    policy_resource = "synthetic"
    policy_verbs = {"POST": Verb.CHANGE}

    @extend_schema(operation_id="synthetic_checks_test", request=None, responses={200: TRIED, (429, PROBLEM): BUSY})
    def post(self, request: Request, pk: UUID) -> Response:
        NothingMore(data=request.data or {}).is_valid(raise_exception=True)
        rows = policy.permitted(request.user, Verb.CHANGE, "synthetic", SyntheticCheck.objects.all())
        return _answer(get_object_or_404(rows, pk=pk))


class TryUnsaved(APIView):
    """Run a check as it would be saved, once and from this server. Nothing is kept."""

    policy_resource = "synthetic"
    policy_verbs = {"POST": Verb.CREATE}

    @extend_schema(
        operation_id="synthetic_checks_test_unsaved",
        request=UnsavedCheckSerializer,
        responses={200: TRIED, (429, PROBLEM): BUSY},
    )
    def post(self, request: Request) -> Response:
        body = UnsavedCheckSerializer(data=request.data, context={"request": request})
        body.is_valid(raise_exception=True)
        return _answer(SyntheticCheck(**body.validated_data))
