"""REST: what a rule has been, who changed it, and restoring it; also one that was deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_field, inline_serializer
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.api import RuleSerializer
from alerts.models import AlertRule
from wedsync_monitor import policy
from wedsync_monitor.api.configuration import DifferenceSerializer
from wedsync_monitor.configuration import history
from wedsync_monitor.configuration.kinds import Kind
from wedsync_monitor.configuration.registry import kinds
from wedsync_monitor.models import AuditEntry, User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.pagination import EnvelopePagination
from wedsync_monitor.web.resources import refuse_unknown

EVALUATED = "The rule is evaluated at once as it is now, and its live alerts are judged by it."


def rule_kind() -> Kind:
    return kinds()["alert_rules"]


def reach(person: Any, verb: Verb, pk: UUID) -> QuerySet[AuditEntry]:
    """The history of a rule on which `person` may use `verb`, or one that is gone, if of all. Raises Http404."""
    there = AlertRule.objects.filter(pk=pk)
    may = policy.permitted(person, verb, "alert_rules", there)
    entries = history.entries(rule_kind(), pk)
    if may.exists() or (not there.exists() and policy.granted(person, verb, "alert_rules") and entries.exists()):
        return entries
    raise Http404


class VersionSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(source="entry.id")
    at = serializers.DateTimeField(source="entry.at")
    author = serializers.CharField(source="entry.actor_name")
    action = serializers.CharField(source="entry.action")
    differences = serializers.SerializerMethodField()

    @extend_schema_field(DifferenceSerializer(many=True))
    def get_differences(self, version: history.Version) -> list[dict[str, Any]]:
        return [one.as_json for one in version.differences]


class DeletedSerializer(serializers.ModelSerializer[AuditEntry]):
    id = serializers.CharField(source="object_id")
    rule_name = serializers.CharField(source="object_name")
    deleted_at = serializers.DateTimeField(source="at")
    deleted_by = serializers.CharField(source="actor_name")
    version = serializers.IntegerField(source="pk")

    class Meta:
        model = AuditEntry
        fields = ["id", "rule_name", "deleted_at", "deleted_by", "version"]


class _Paged(generics.GenericAPIView):  # type: ignore[type-arg]
    policy_resource = "alert_rules"
    pagination_class = EnvelopePagination

    def page(self, request: Request, rows: QuerySet[AuditEntry]) -> list[AuditEntry]:
        refuse_unknown(request, {"page", "page_size"})
        return self.paginate_queryset(rows) or []


class RuleHistory(_Paged):
    """Who changed the rule when, and each field from what to what, newest first."""

    @extend_schema(responses={200: inline_serializer("RuleHistory", {"history": VersionSerializer(many=True)})})
    def get(self, request: Request, pk: UUID) -> Response:
        page = self.page(request, reach(request.user, Verb.READ, pk))
        told = VersionSerializer(history.versions(rule_kind(), page), many=True)
        return self.get_paginated_response({"history": told.data})


class DeletedRules(_Paged):
    """Rules that were deleted, newest first; `version` is what restores them."""

    @extend_schema(responses={200: inline_serializer("DeletedRules", {"deleted_rules": DeletedSerializer(many=True)})})
    def get(self, request: Request) -> Response:
        page = self.page(request, history.deleted(rule_kind()))
        return self.get_paginated_response({"deleted_rules": DeletedSerializer(page, many=True).data})


RESTORED = inline_serializer(
    "RestoredRule", {"rule": RuleSerializer(), "notices": serializers.ListField(child=serializers.CharField())}
)


class RestoreRule(APIView):
    """Make the rule what it was at a version; `notices` say what follows and what could not be brought back."""

    policy_resource = "alert_rules"
    policy_verbs = {"POST": Verb.CHANGE}

    @extend_schema(request=None, responses={200: RESTORED})
    def post(self, request: Request, pk: UUID, version: int) -> Response:
        refuse_unknown(request, set())
        reach(request.user, Verb.CHANGE, pk)
        assert isinstance(request.user, User)
        restored = history.restore(rule_kind(), pk, version, request.user)
        return Response({"rule": RuleSerializer(restored.row).data, "notices": [*restored.left_out, EVALUATED]})
