"""REST: where an existing Prometheus sends its alerts, as to an Alertmanager."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.external import reception, wire
from wedsync_monitor.policy import Verb


class PostedAlert(serializers.Serializer[None]):
    """One alert as Prometheus sends it."""

    labels = serializers.DictField(child=serializers.CharField(), help_text="Among them alertname.")
    annotations = serializers.DictField(child=serializers.CharField(), required=False)
    startsAt = serializers.DateTimeField(required=False)
    endsAt = serializers.DateTimeField(required=False, help_text="Over from then on; in five minutes if not given.")
    generatorURL = serializers.CharField(required=False)


class ExternalAlerts(APIView):
    """Take alerts that were found elsewhere (Alertmanager's API v2). What is good is taken, what is not is named."""

    policy_resource = "alerts"
    policy_verbs = {"POST": Verb.SEND}

    @extend_schema(
        operation_id="external_alerts_send", tags=["alerts"], request=PostedAlert(many=True), responses={200: None}
    )
    def post(self, request: Request) -> Response:
        try:
            posted, problems = wire.decode(request._request.body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValidationError(f"Send a JSON array of at most {wire.MAX_ALERTS} alerts: {error}.") from error
        try:
            messages = reception.receive(posted, datetime.now(UTC))
        except reception.Refused as error:
            raise ValidationError(f"{error}.") from error
        if messages:
            from alerts.tasks import deliver_due_notifications

            transaction.on_commit(deliver_due_notifications.delay)
        if problems:
            raise ValidationError(problems[:20])
        return Response()
