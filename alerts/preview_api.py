"""REST: a rule tried on stored history before it is saved."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import preview
from alerts.api import RuleSerializer
from alerts.models import AlertRule
from wedsync_monitor.policy import Verb

LONGEST_DAYS = 30
PREVIEW = inline_serializer(
    "RulePreview",
    {
        "days": serializers.IntegerField(),
        "since": serializers.DateTimeField(),
        "until": serializers.DateTimeField(),
        "series": serializers.IntegerField(),
        "fired": serializers.IntegerField(help_text="Alerts that would have opened."),
        "assets": serializers.IntegerField(help_text="Assets on which it would have fired."),
        "firing_seconds": serializers.FloatField(),
        "message_count": serializers.IntegerField(),
        "messages": serializers.ListField(child=serializers.DictField(), help_text="By channel."),
        "chart": serializers.DictField(
            allow_null=True, help_text="Of an anomaly rule: a series and what was expected."
        ),
        "alerts": serializers.ListField(child=serializers.DictField(), help_text="The newest, at most 200."),
    },
)


class PreviewSerializer(RuleSerializer):
    """A rule as it would be saved, and how many days are tried. Its name may be that of a rule there is."""

    rule_name = serializers.CharField(max_length=200, default="preview")
    days = serializers.IntegerField(min_value=1, max_value=LONGEST_DAYS, default=7, write_only=True)

    class Meta(RuleSerializer.Meta):
        fields = [*RuleSerializer.Meta.fields, "days"]


class Preview(APIView):
    """When a rule would have fired in the last days, on which assets, for how long, and who would have been told."""

    policy_resource = "alert_rules"
    policy_verbs = {"POST": Verb.CREATE}

    @extend_schema(request=PreviewSerializer, responses={200: PREVIEW})
    def post(self, request: Request) -> Response:
        body = PreviewSerializer(data=request.data, context={"request": request})
        body.is_valid(raise_exception=True)
        columns: dict[str, Any] = dict(body.validated_data)
        days = columns.pop("days")
        try:
            found = preview.of_rule(AlertRule(**columns), days, timezone.now())
        except preview.Refused as error:
            raise ValidationError({"detail": [str(error)]}) from error
        messages = [{"channel": channel, "messages": number} for channel, number in found.messages]
        return Response(asdict(found) | {"messages": messages, "message_count": found.message_count})
