"""REST: how noisy a rule is, better terms for it found on its history, and making one of them its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import listing, preview, proposals
from alerts.api import RuleSerializer
from alerts.models import AlertRule
from alerts.noise import Change
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import Conflict
from wedsync_monitor.web.resources import StrictBody, refuse_unknown


class TermChangeBody(StrictBody):
    """A proposal: `field` from `instead_of`, which it must still have, to `value`."""

    field = serializers.ChoiceField(choices=proposals.FIELDS)
    value = serializers.FloatField()
    instead_of = serializers.FloatField()


class TermProposalSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(source="change.field")
    value = serializers.FloatField(source="change.value")
    instead_of = serializers.FloatField(source="change.instead_of")
    fired = serializers.IntegerField(help_text="Alerts that there would have been with it.")
    text = serializers.CharField()


class TermsFoundSerializer(serializers.Serializer[Any]):
    made_at = serializers.DateTimeField()
    days = serializers.IntegerField()
    fired = serializers.IntegerField(help_text="Alerts that there would have been with the rule as it is.")
    acted = serializers.IntegerField(help_text="Stored alerts of these days that people acknowledged or resolved.")
    proposals = TermProposalSerializer(many=True, help_text="The best first.")
    reason = serializers.CharField(help_text="Why there is none.")


class RuleNoiseSerializer(serializers.Serializer[Any]):
    budget = serializers.IntegerField(help_text="Messages a week that may be noise; 0 for no limit.")
    last_week = serializers.IntegerField()
    is_spent = serializers.BooleanField()
    found = TermsFoundSerializer(allow_null=True, help_text="What was found last; null where the rule changed since.")


def noise_of(rule: Any, now: datetime) -> dict[str, Any]:
    """Of a rule of listing.rules_with_triggers."""
    standing: dict[str, Any] = RuleSerializer().get_noise(rule)
    return {**standing, "found": proposals.known(rule, now)}


def rule_for(person: Any, verb: Verb, pk: UUID, now: datetime) -> AlertRule:
    rows = policy.permitted(person, verb, "alert_rules", listing.rules_with_triggers(now))
    found: AlertRule = get_object_or_404(rows, pk=pk)
    return found


class RuleNoise(APIView):
    """How much noise the rule made in the last week. POST tries other terms on its history, and keeps what it finds."""

    policy_resource = "alert_rules"
    policy_verbs = {"POST": Verb.CHANGE}

    @extend_schema(responses={200: RuleNoiseSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        refuse_unknown(request, set())
        now = timezone.now()
        return Response(RuleNoiseSerializer(noise_of(rule_for(request.user, Verb.READ, pk, now), now)).data)

    @extend_schema(request=None, responses={200: RuleNoiseSerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        now = timezone.now()
        rule = rule_for(request.user, Verb.CHANGE, pk, now)
        try:
            found = proposals.find(rule, now)
        except preview.Refused as error:
            raise ValidationError({"detail": [str(error)]}) from error
        return Response(RuleNoiseSerializer({**noise_of(rule, now), "found": found}).data)


class ApplyProposal(APIView):
    """Change one term of the rule; refused where it is no longer what it was when that was proposed."""

    policy_resource = "alert_rules"
    policy_verbs = {"POST": Verb.CHANGE}

    @extend_schema(request=TermChangeBody, responses={200: RuleSerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        now = timezone.now()
        rule_for(request.user, Verb.CHANGE, pk, now)
        body = TermChangeBody(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            proposals.apply(pk, Change(**body.validated_data))
        except proposals.Refused as error:
            raise Conflict(f"{str(error).capitalize()}.") from error
        except AlertRule.DoesNotExist as error:
            raise Http404 from error
        return Response(RuleSerializer(listing.rules_with_triggers(now).get(pk=pk)).data)
