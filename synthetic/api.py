"""REST: synthetic checks and what their probes saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assets.api import requested_span
from synthetic import objectives, standing
from synthetic.models import CheckType, SyntheticCheck
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer, refuse_unknown


class CheckSerializer(StrictSerializer):
    class Meta:
        model = SyntheticCheck
        fields = [
            "id", "check_name", "check_type", "target_url", "target_host", "target_port", "check_config",
            "expected_response", "check_frequency", "timeout_seconds", "retry_attempts", "locations",
            "alert_on_failure", "failure_threshold", "success_threshold", "business_impact_score", "is_enabled",
            "slo_target_percent", "asset_id", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["asset_id", "created_at", "updated_at"]


class ListedCheckSerializer(CheckSerializer):
    """A check with what the last 24 hours of results say; `unknown` and null where there are none."""

    current_status = serializers.ChoiceField(choices=standing.STATUSES, read_only=True)
    uptime_percentage = serializers.FloatField(read_only=True, allow_null=True)
    avg_response_time_ms = serializers.FloatField(read_only=True, allow_null=True)
    last_check = serializers.DateTimeField(read_only=True, allow_null=True)
    failure_count_24h = serializers.IntegerField(read_only=True)

    class Meta(CheckSerializer.Meta):
        fields = [
            *CheckSerializer.Meta.fields,
            "current_status",
            "uptime_percentage",
            "avg_response_time_ms",
            "last_check",
            "failure_count_24h",
        ]


class CheckFilters(filters.FilterSet):
    check_type = filters.ChoiceFilter(choices=CheckType.choices)
    q = filters.CharFilter(field_name="check_name", lookup_expr="icontains")
    ordering = filters.OrderingFilter(fields=["check_name", "business_impact_score", "created_at"])

    class Meta:
        model = SyntheticCheck
        fields = ["is_enabled"]


def with_standing(checks: Sequence[SyntheticCheck], known: dict[UUID, standing.Standing]) -> Sequence[SyntheticCheck]:
    """The same checks, each with what its results say."""
    for check in checks:
        vars(check).update(known.get(check.pk, standing.UNKNOWN).shown(check.failure_threshold))
    return checks


class Checks(Resources):
    """List checks with what their results of the last 24 hours say; create one."""

    policy_resource, listed_as = "synthetic", "checks"
    rows = SyntheticCheck.objects.order_by("check_name")
    serializer_class = ListedCheckSerializer
    filterset_class = CheckFilters
    envelope = {"check_summary": dict}

    def shown(self, page: Sequence[SyntheticCheck]) -> Sequence[Any]:
        return super().shown(with_standing(page, standing.of_checks([check.pk for check in page], timezone.now())))

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        super().perform_create(serializer)
        assert serializer.instance is not None
        with_standing([serializer.instance], {})

    def around(self, rows: QuerySet[SyntheticCheck]) -> dict[str, Any]:
        return {"check_summary": standing.summary_of(rows, timezone.now())}


class Check(Resource):
    """One check: read, change, remove."""

    policy_resource = "synthetic"
    rows = SyntheticCheck.objects.all()
    serializer_class = CheckSerializer


RESULTS = inline_serializer(
    "SyntheticCheckResults",
    {
        "check_info": serializers.DictField(),
        "current_status": serializers.DictField(),
        "performance_metrics": serializers.DictField(),
        "result_history": serializers.ListField(child=serializers.DictField()),
        "availability_by_location": serializers.ListField(child=serializers.DictField()),
    },
)
SPAN_PARAMETERS = [
    OpenApiParameter("from", str, description="ISO 8601 with a time zone."),
    OpenApiParameter("to", str, description="ISO 8601 with a time zone; now where left out."),
    OpenApiParameter("range", str, enum=["1h", "6h", "24h", "7d", "30d"], description="24h where left out."),
]


OBJECTIVE = inline_serializer(
    "CheckObjective",
    {
        "objective_percent": serializers.FloatField(),
        "period_days": serializers.IntegerField(),
        "availability_percent": serializers.FloatField(allow_null=True),
        "error_budget_remaining_percent": serializers.FloatField(allow_null=True, help_text="Below 0: overspent."),
        "total_checks": serializers.IntegerField(),
        "failed_checks": serializers.IntegerField(),
        "maintenance": serializers.ChoiceField(choices=["excluded"], help_text="What becomes of planned maintenance."),
        "excluded_in_maintenance": serializers.IntegerField(help_text="Results that were left out for that."),
        "burn_rates": serializers.ListField(child=serializers.DictField()),
    },
)


class CheckObjective(APIView):
    """How a check's objective stands: availability over 30 days, its error budget, and how fast that burns."""

    policy_resource = "synthetic"

    @extend_schema(responses={200: OBJECTIVE})
    def get(self, request: Request, pk: UUID) -> Response:
        refuse_unknown(request, set())
        rows = policy.permitted(request.user, Verb.READ, "synthetic", SyntheticCheck.objects.all())
        return Response(objectives.objective_of(get_object_or_404(rows, pk=pk), timezone.now()))


class CheckResults(APIView):
    """What the probes of a check saw in a span of time; at most the last 1,000 results are listed."""

    policy_resource = "synthetic"

    @extend_schema(parameters=SPAN_PARAMETERS, responses={200: RESULTS})
    def get(self, request: Request, pk: UUID) -> Response:
        refuse_unknown(request, {"from", "to", "range"})
        rows = policy.permitted(request.user, Verb.READ, "synthetic", SyntheticCheck.objects.all())
        check, span = get_object_or_404(rows, pk=pk), requested_span(request, "24h")
        return Response(
            {
                "check_info": {
                    "id": str(check.pk),
                    "check_name": check.check_name,
                    "check_type": check.check_type,
                    "target": standing.target_of(check),
                },
                "current_status": standing.current_of(check, timezone.now()),
                "performance_metrics": standing.performance_of(check, span),
                "result_history": standing.history_of(check, span),
                "availability_by_location": standing.availability_of(check, span),
            }
        )
