"""REST: synthetic checks and what their probes saw."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, Max, Q
from django.utils import timezone
from django_filters import rest_framework as filters
from rest_framework.request import Request
from rest_framework.response import Response

from synthetic.models import CheckType, SyntheticCheck, SyntheticCheckResult
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer

DAY = timedelta(hours=24)


class CheckSerializer(StrictSerializer):
    class Meta:
        model = SyntheticCheck
        fields = [
            "id", "check_name", "check_type", "target_url", "target_host", "target_port", "check_config",
            "expected_response", "check_frequency", "timeout_seconds", "retry_attempts", "locations",
            "alert_on_failure", "failure_threshold", "success_threshold", "business_impact_score", "is_enabled",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]


class CheckFilters(filters.FilterSet):
    check_type = filters.ChoiceFilter(choices=CheckType.choices)
    q = filters.CharFilter(field_name="check_name", lookup_expr="icontains")

    class Meta:
        model = SyntheticCheck
        fields = ["is_enabled"]


def standing(check_ids: list[Any], now: datetime) -> dict[Any, dict[str, Any]]:
    """What the last 24 hours of results say of each check, in two queries; a check without results is `unknown`."""
    recent = SyntheticCheckResult.objects.filter(synthetic_check__in=check_ids, check_timestamp__gt=now - DAY)
    rows = (
        recent.order_by()
        .values("synthetic_check")
        .annotate(
            total=Count("pk"),
            good=Count("pk", filter=Q(status="success")),
            mean=Avg("response_time_ms"),
            last=Max("check_timestamp"),
        )
    )
    newest = dict(
        recent.order_by("synthetic_check", "-check_timestamp")
        .distinct("synthetic_check")
        .values_list("synthetic_check", "status")
    )
    return {
        row["synthetic_check"]: {
            "current_status": "up" if newest[row["synthetic_check"]] == "success" else "down",
            "uptime_percentage": round(100 * row["good"] / row["total"], 3),
            "avg_response_time_ms": None if row["mean"] is None else round(row["mean"], 1),
            "last_check": row["last"],
            "failure_count_24h": row["total"] - row["good"],
        }
        for row in rows
    }


NOTHING_KNOWN = {
    "current_status": "unknown",
    "uptime_percentage": None,
    "avg_response_time_ms": None,
    "last_check": None,
    "failure_count_24h": 0,
}


class Checks(Resources):
    """List checks with what their results say; create one."""

    policy_resource = "synthetic"
    rows = SyntheticCheck.objects.order_by("check_name")
    serializer_class = CheckSerializer
    filterset_class = CheckFilters

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self.filter_queryset(self.get_queryset())
        page = self.paginate_queryset(rows) or []
        known = standing(list(rows.values_list("pk", flat=True)), timezone.now())
        listed = [{**self.get_serializer(check).data, **known.get(check.pk, NOTHING_KNOWN)} for check in page]
        uptimes = [one["uptime_percentage"] for one in known.values()]
        times = [one["avg_response_time_ms"] for one in known.values() if one["avg_response_time_ms"] is not None]
        summary = {
            "total_checks": rows.count(),
            "healthy_checks": sum(one["current_status"] == "up" for one in known.values()),
            "failing_checks": sum(one["current_status"] == "down" for one in known.values()),
            "overall_uptime": round(sum(uptimes) / len(uptimes), 3) if uptimes else None,
            "avg_response_time": round(sum(times) / len(times), 1) if times else None,
        }
        return self.get_paginated_response({"checks": listed, "check_summary": summary})


class Check(Resource):
    policy_resource = "synthetic"
    rows = SyntheticCheck.objects.all()
    serializer_class = CheckSerializer
