"""REST: the configuration as YAML, what a file of it would change, and changing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from wedsync_monitor.configuration import applying, documents, entries, report
from wedsync_monitor.configuration.applying import Action, Change, Order
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.bodies import TooLarge
from wedsync_monitor.web.resources import refuse_unknown

YAML = "application/yaml"


class YamlParser(BaseParser):
    """The text of a file; what it means is read with its places (wedsync_monitor.configuration.text)."""

    media_type = YAML

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw: bytes = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"Send at most {limit} bytes in one request.")
        try:
            return raw.decode()
        except UnicodeError as error:
            raise ParseError("Send Unicode text in UTF-8.") from error


class DifferenceSerializer(serializers.Serializer[Any]):
    """A side on which the field is not there is left out."""

    field = serializers.CharField()  # type: ignore[assignment]
    before = serializers.JSONField(required=False)
    after = serializers.JSONField(required=False)


class ChangeSerializer(serializers.Serializer[Any]):
    section = serializers.CharField()
    name = serializers.CharField()
    action = serializers.ChoiceField(choices=[action.value for action in Action])
    differences = DifferenceSerializer(many=True)


class PlanAnswer(serializers.Serializer[Any]):
    changes = ChangeSerializer(many=True)
    summary = serializers.CharField()


class Configuration(APIView):
    """The configuration as one YAML file, secrets masked."""

    policy_resource = "configuration"

    @extend_schema(responses={(200, YAML): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        refuse_unknown(request, set())
        assert isinstance(request.user, User)
        answer = HttpResponse(documents.exported(request.user, timezone.now()), content_type=f"{YAML}; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="wedsync.yaml"'
        return answer


_PRUNE = OpenApiParameter("prune", OpenApiTypes.BOOL, description="Delete what the file's sections do not name.")


class _Carried(APIView):
    policy_resource = "configuration"
    policy_verbs = {"POST": Verb.CHANGE}
    parser_classes = [YamlParser]
    carry_out: Callable[[Order], list[Change]]

    @extend_schema(parameters=[_PRUNE], request={YAML: OpenApiTypes.STR}, responses={200: PlanAnswer})
    def post(self, request: Request) -> Response:
        refuse_unknown(request, {"prune"})
        asked = request.query_params.get("prune", "false")
        if asked not in ("true", "false"):
            raise ValidationError({"prune": "send true or false"})
        assert isinstance(request.user, User)
        content = request.data if isinstance(request.data, str) else ""
        try:
            said = entries.read([("", content)])
            changes = type(self).carry_out(Order(said, asked == "true", request.user, timezone.now()))
        except entries.Refused as error:
            raise ValidationError(_by_place(error)) from error
        return Response({"changes": [_shown(one) for one in changes], "summary": report.summary(changes)})


class Plan(_Carried):
    """What a file would change; nothing is changed."""

    carry_out = staticmethod(applying.plan)


class Apply(_Carried):
    """Change it, all or nothing."""

    carry_out = staticmethod(applying.apply)


def _by_place(refused: entries.Refused) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in refused.problems:
        found.setdefault(problem.place, []).append(problem.detail)
    return found


def _shown(change: Change) -> dict[str, Any]:
    told = [difference.as_json for difference in change.differences]
    return {"section": change.section, "name": change.name, "action": change.action, "differences": told}
