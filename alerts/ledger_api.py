"""REST: the ledger of an alert, and what became of alerts for a person."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import ledger, told
from alerts.models import AlertInstance, AlertStatus
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.pagination import EnvelopePagination
from wedsync_monitor.web.resources import refuse_unknown
from wedsync_monitor.web.serializers import MomentField

_PAGING = {"page", "page_size", "format"}
_PAGES = [OpenApiParameter("page", OpenApiTypes.INT), OpenApiParameter("page_size", OpenApiTypes.INT)]


class EntrySerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    text = serializers.CharField()
    channel = serializers.CharField(allow_blank=True)
    until = serializers.DateTimeField(allow_null=True)


class AnswerSerializer(serializers.Serializer[Any]):
    alert_id = serializers.UUIDField()
    alert_title = serializers.CharField()
    severity = serializers.CharField()
    rule_name = serializers.CharField()
    first_triggered_at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(choices=[told.TOLD, told.WAITING, told.FAILED, told.NOT_TOLD])
    sentence = serializers.CharField()
    channel = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField(allow_null=True)


class AlertLedger(APIView):
    """What happened to an alert, who was to be told and was, and why somebody was told later or not; oldest first."""

    policy_resource = "alerts"

    @extend_schema(
        parameters=_PAGES, responses={200: inline_serializer("AlertLedger", {"entries": EntrySerializer(many=True)})}
    )
    def get(self, request: Request, pk: UUID) -> Response:
        refuse_unknown(request, _PAGING)
        rows = policy.permitted(request.user, Verb.READ, "alerts", AlertInstance.objects.all())
        alert = get_object_or_404(rows.exclude(status=AlertStatus.PENDING), pk=pk)
        paginator = EnvelopePagination()
        page = paginator.paginate_queryset(ledger.lines(alert), request, view=self)
        found = ledger.entries(page or ())
        return paginator.get_paginated_response({"entries": EntrySerializer(found, many=True).data})


class PersonLedger(APIView):
    """Of each alert that began from…to (the last 24 hours where they are not given), newest first: whether `person`
    (the caller where it is not given) was told, by which channel and when, or the reason why not."""

    policy_resource = "alerts"

    @extend_schema(
        operation_id="monitoring_alerts_ledger_of_person",
        parameters=[
            OpenApiParameter("person", OpenApiTypes.STR),
            OpenApiParameter("from", OpenApiTypes.DATETIME),
            OpenApiParameter("to", OpenApiTypes.DATETIME),
            *_PAGES,
        ],
        responses={
            200: inline_serializer(
                "PersonLedger", {"person": serializers.CharField(), "alerts": AnswerSerializer(many=True)}
            )
        },
    )
    def get(self, request: Request) -> Response:
        refuse_unknown(request, _PAGING | {"person", "from", "to"})
        until = _moment(request, "to") or timezone.now()
        since = _moment(request, "from") or until - told.USUAL
        asked = request.query_params.get("person", "")
        person = told.person_of(request.user, asked)  # type: ignore[arg-type]
        if since >= until:
            raise ValidationError({"to": "send a time after from"})
        if person is None:
            raise ValidationError({"person": told.UNKNOWN})
        paginator = EnvelopePagination()
        rows = told.begun(request.user, since, until)  # type: ignore[arg-type]
        page = paginator.paginate_queryset(rows, request, view=self)
        shown = [_shown(alert, answer) for alert, answer in told.answers(person, page or ())]
        body = {"person": person.username, "alerts": AnswerSerializer(shown, many=True).data}
        return paginator.get_paginated_response(body)


def _shown(alert: AlertInstance, answer: told.Answer) -> dict[str, Any]:
    return {
        "alert_id": alert.pk,
        "alert_title": alert.alert_title,
        "severity": alert.severity,
        "rule_name": alert.alert_rule.rule_name,
        "first_triggered_at": alert.first_triggered_at,
    } | asdict(answer)


def _moment(request: Request, name: str) -> Any:
    if name not in request.query_params:
        return None
    try:
        return MomentField().run_validation(request.query_params[name])
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from error
