"""REST: dashboards, the audit trail, people's tokens, and search over what every app holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model, QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.models import AlertInstance, AlertRule, AlertStatus
from assets.models import InfrastructureAsset
from synthetic.models import SyntheticCheck
from wedsync_monitor import policy, tokens
from wedsync_monitor.models import ApiToken, AuditEntry, MonitoringDashboard, TokenScope, User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.filtering import since, until
from wedsync_monitor.web.pagination import CursorEnvelopePagination
from wedsync_monitor.web.resources import Resource, Resources, StrictBody, StrictSerializer, refuse_unknown


class DashboardSerializer(StrictSerializer):
    created_by = serializers.CharField(source="created_by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = MonitoringDashboard
        fields = [
            "id", "dashboard_name", "dashboard_type", "dashboard_config", "widget_configs", "refresh_interval",
            "access_control", "tags", "is_public", "is_default", "created_by", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]


class DashboardFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="dashboard_name", lookup_expr="icontains")
    tag = filters.CharFilter(method="by_tag")

    class Meta:
        model = MonitoringDashboard
        fields = ["dashboard_type", "is_public", "is_default"]

    def by_tag(self, rows: QuerySet[MonitoringDashboard], name: str, value: str) -> QuerySet[MonitoringDashboard]:
        return rows.filter(tags__contains=[value])


class Dashboards(Resources):
    """List the dashboards that one may see; make one."""

    policy_resource, listed_as = "dashboards", "dashboards"
    rows = MonitoringDashboard.objects.select_related("created_by").order_by("dashboard_name")
    serializer_class = DashboardSerializer
    filterset_class = DashboardFilters


class Dashboard(Resource):
    """One dashboard: read, change, remove."""

    policy_resource = "dashboards"
    rows = MonitoringDashboard.objects.select_related("created_by")
    serializer_class = DashboardSerializer


class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    class Meta:
        model = AuditEntry
        fields = ["id", "at", "actor_name", "action", "table_name", "object_id", "object_name", "changes"]


class AuditFilters(filters.FilterSet):
    actor = filters.CharFilter(field_name="actor_name")
    table = filters.CharFilter(field_name="table_name")
    object = filters.CharFilter(field_name="object_id")
    # `from` is a word of Python's own.
    locals()["from"] = since("at")
    to = until("at")

    class Meta:
        model = AuditEntry
        fields = ["action"]


class Audit(Resources):
    """Who changed what, newest first."""

    http_method_names = ["get", "head", "options"]
    policy_resource, listed_as = "audit", "entries"
    pagination_class = CursorEnvelopePagination  # type: ignore[assignment]
    rows = AuditEntry.objects.order_by("-at", "-id")
    serializer_class = AuditSerializer
    filterset_class = AuditFilters


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token without its secret."""

    username = serializers.CharField(source="user.username")

    class Meta:
        model = ApiToken
        fields = ["id", "username", "label", "scope", "created_at", "expires_at", "revoked_at", "last_used_at"]


class NewTokenSerializer(TokenSerializer):
    """A token with its secret, which is shown this once."""

    token = serializers.CharField()

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


class TokenBody(StrictBody):
    username = serializers.CharField(max_length=150)
    label = serializers.CharField(max_length=200)  # type: ignore[assignment]
    scope = serializers.ChoiceField(choices=TokenScope.choices, default=TokenScope.FULL)
    lifetime_days = serializers.IntegerField(min_value=1, max_value=3650, default=tokens.LIFETIME.days)

    def validate_username(self, name: str) -> User:
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise ValidationError("nobody who may sign in has this name")
        return user


class TokenFilters(filters.FilterSet):
    username = filters.CharFilter(field_name="user__username")

    class Meta:
        model = ApiToken
        fields = ["scope"]


class Tokens(Resources):
    """List people's tokens; make one, whose secret is in this answer and never again."""

    policy_resource, listed_as = "tokens", "tokens"
    rows = ApiToken.objects.select_related("user").order_by("-created_at")
    serializer_class = TokenSerializer
    filterset_class = TokenFilters

    @extend_schema(request=TokenBody, responses={201: NewTokenSerializer})
    @transaction.atomic
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = TokenBody(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        lifetime = timedelta(days=wanted["lifetime_days"])
        secret = tokens.issue(wanted["username"], wanted["label"], timezone.now(), wanted["scope"], lifetime)
        row = ApiToken.objects.select_related("user").get(digest=tokens.digest(secret))
        row.token = secret  # type: ignore[attr-defined]
        return Response(NewTokenSerializer(row).data, 201)


class Token(APIView):
    """Revoke a token, at once."""

    policy_resource = "tokens"

    @extend_schema(request=None, responses={204: None})
    @transaction.atomic
    def delete(self, request: Request, pk: UUID) -> Response:
        rows = policy.permitted(request.user, Verb.DELETE, "tokens", ApiToken.objects.filter(revoked_at=None))
        row = get_object_or_404(rows, pk=pk)
        row.revoked_at = timezone.now()
        row.save()
        return Response(status=204)


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
