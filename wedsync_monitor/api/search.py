"""REST: search over what every app holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.models import AlertInstance, AlertRule, AlertStatus
from assets.models import InfrastructureAsset
from synthetic.models import SyntheticCheck
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import refuse_unknown


class FoundSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


FOUND_AT_MOST = 10
# What search looks through: resource, rows newest or nearest first, the column that is searched.
SEARCHED: dict[str, tuple[str, Callable[[], QuerySet[Any, Any]], str]] = {
    "assets": ("assets", lambda: InfrastructureAsset.objects.order_by("asset_name"), "asset_name"),
    "rules": ("alert_rules", lambda: AlertRule.objects.order_by("rule_name"), "rule_name"),
    "alerts": (
        "alerts",
        lambda: AlertInstance.objects.exclude(status=AlertStatus.PENDING).order_by("-first_triggered_at"),
        "alert_title",
    ),
    "checks": ("synthetic", lambda: SyntheticCheck.objects.order_by("check_name"), "check_name"),
}


def find(person: policy.Person, text: str) -> dict[str, list[dict[str, Any]]]:
    """What has `text` in its name, of each kind that `person` may read: one query for each kind."""
    found = {}
    for kind, (resource, rows, column) in SEARCHED.items():
        readable: QuerySet[Model] = policy.permitted(person, Verb.READ, resource, rows())
        named = readable.filter(**{f"{column}__icontains": text}).values_list("pk", column)
        found[kind] = [{"id": str(pk), "name": name} for pk, name in named[:FOUND_AT_MOST]]
    return found


class Search(APIView):
    """Find assets, rules, alerts and checks by a part of their names, at most ten of each."""

    # Everybody who signs in may search; of each kind only the rows that they may read are found.
    policy_resource = "alerts"

    @extend_schema(
        parameters=[OpenApiParameter("q", str, required=True, description="At least two characters.")],
        responses={
            200: inline_serializer(
                "SearchResults",
                {"query": serializers.CharField()} | {kind: FoundSerializer(many=True) for kind in SEARCHED},
            )
        },
    )
    def get(self, request: Request) -> Response:
        refuse_unknown(request, {"q"})
        text = request.query_params.get("q", "").strip()
        if not 2 <= len(text) <= 200 or "\0" in text:
            raise ValidationError({"q": "send from 2 to 200 characters"})
        return Response({"query": text, **find(request.user, text)})
