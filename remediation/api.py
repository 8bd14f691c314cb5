"""REST: remediation actions, and what was executed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Max, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone
from django_filters import rest_framework as filters
from rest_framework import generics, serializers

from assets.references import known_assets
from remediation.models import ExecutionStatus, RemediationAction, RemediationExecution, RiskLevel
from wedsync_monitor.web.filtering import since, until
from wedsync_monitor.web.resources import Resource, Resources, RowsByPolicy, StrictSerializer

DAY, WEEK = timedelta(hours=24), timedelta(days=7)
FINISHED = (ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.TIMEOUT)
DURATION = ExpressionWrapper(F("completed_at") - F("started_at"), output_field=DurationField())
IS_FINISHED, IS_SUCCESS = Q(status__in=FINISHED), Q(status=ExecutionStatus.COMPLETED)


class ActionSerializer(StrictSerializer):
    rollback_action_id = serializers.PrimaryKeyRelatedField(
        source="rollback_action", queryset=RemediationAction.objects.all(), allow_null=True, required=False
    )

    class Meta:
        model = RemediationAction
        fields = [
            "id", "action_name", "action_type", "action_config", "target_assets", "prerequisites", "success_criteria",
            "rollback_action_id", "execution_timeout", "cooldown_period", "max_executions_per_hour",
            "approval_required", "risk_level", "business_impact", "runbook_reference", "is_enabled", "created_at",
            "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]

    def validate_target_assets(self, ids: list[str]) -> list[str]:
        return known_assets(ids)


class ListedActionSerializer(ActionSerializer):
    """An action with what its executions say; null where there were none."""

    execution_count_24h = serializers.IntegerField(read_only=True)
    success_rate = serializers.FloatField(read_only=True, allow_null=True)
    avg_execution_time_seconds = serializers.FloatField(read_only=True, allow_null=True)
    last_executed = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta(ActionSerializer.Meta):
        fields = [
            *ActionSerializer.Meta.fields,
            "execution_count_24h",
            "success_rate",
            "avg_execution_time_seconds",
            "last_executed",
        ]


class ActionFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="action_name", lookup_expr="icontains")
    ordering = filters.OrderingFilter(fields=["action_name", "created_at"])

    class Meta:
        model = RemediationAction
        fields = ["action_type", "risk_level", "is_enabled", "approval_required"]


def percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def seconds(mean: timedelta | None) -> float | None:
    return None if mean is None else round(mean.total_seconds(), 3)


def record_of(actions: Sequence[RemediationAction], now: datetime) -> dict[Any, dict[str, Any]]:
    """What the executions of these actions say, in one query; an action that never ran is not in it."""
    rows = RemediationExecution.objects.filter(action__in=actions).order_by().values("action")
    found = rows.annotate(
        recent=Count("pk", filter=Q(started_at__gt=now - DAY)),
        finished=Count("pk", filter=IS_FINISHED),
        good=Count("pk", filter=IS_SUCCESS),
        mean=Avg(DURATION, filter=IS_FINISHED),
        last=Max("started_at"),
    )
    return {
        row["action"]: {
            "execution_count_24h": row["recent"],
            "success_rate": percent(row["good"], row["finished"]),
            "avg_execution_time_seconds": seconds(row["mean"]),
            "last_executed": row["last"],
        }
        for row in found
    }


NEVER_RUN = {
    "execution_count_24h": 0,
    "success_rate": None,
    "avg_execution_time_seconds": None,
    "last_executed": None,
}


class Actions(Resources):
    """List actions with what their executions say; declare one."""

    policy_resource, listed_as = "remediation_actions", "actions"
    rows = RemediationAction.objects.order_by("action_name")
    serializer_class = ListedActionSerializer
    filterset_class = ActionFilters
    envelope = {"action_statistics": dict}

    def shown(self, page: Sequence[RemediationAction]) -> Sequence[Any]:
        record = record_of(page, timezone.now())
        for action in page:
            vars(action).update(record.get(action.pk, NEVER_RUN))
        return super().shown(page)

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        super().perform_create(serializer)
        vars(serializer.instance).update(NEVER_RUN)

    def around(self, rows: QuerySet[RemediationAction]) -> dict[str, Any]:
        counts = rows.order_by().aggregate(
            total=Count("pk"),
            enabled=Count("pk", filter=Q(is_enabled=True)),
            **{risk: Count("pk", filter=Q(risk_level=risk)) for risk in RiskLevel.values},
        )
        ran = RemediationExecution.objects.filter(action__in=rows.order_by(), started_at__gt=timezone.now() - DAY)
        recent = ran.aggregate(
            number=Count("pk"), finished=Count("pk", filter=IS_FINISHED), good=Count("pk", filter=IS_SUCCESS)
        )
        statistics = {
            "total_actions": counts["total"],
            "enabled_actions": counts["enabled"],
            "executions_24h": recent["number"],
            "success_rate_24h": percent(recent["good"], recent["finished"]),
            "actions_by_risk_level": {risk: counts[risk] for risk in RiskLevel.values},
        }
        return {"action_statistics": statistics}


class Action(Resource):
    """One action: read, change, remove."""

    policy_resource = "remediation_actions"
    rows = RemediationAction.objects.all()
    serializer_class = ActionSerializer


class ExecutionSerializer(serializers.ModelSerializer[RemediationExecution]):
    """One run; `success_verification` is null until its outcome was verified, what was found is in
    `verification`."""

    action_id = serializers.UUIDField(read_only=True)
    action_name = serializers.CharField(source="action.action_name")
    alert_instance_id = serializers.UUIDField(read_only=True, allow_null=True)
    asset_name = serializers.CharField(source="alert_instance.asset.asset_name", default=None, allow_null=True)
    triggered_by = serializers.CharField(source="triggered_by.username", default=None, allow_null=True)
    duration_seconds = serializers.SerializerMethodField()
    success_verification = serializers.SerializerMethodField()
    verification = serializers.DictField(source="success_verification")

    class Meta:
        model = RemediationExecution
        fields = [
            "id", "action_id", "action_name", "alert_instance_id", "execution_trigger", "asset_name", "started_at",
            "completed_at", "status", "duration_seconds", "exit_code", "error_message", "success_verification",
            "verification", "business_impact", "triggered_by", "rollback_executed", "rollback_successful",
        ]  # fmt: skip

    def get_duration_seconds(self, execution: RemediationExecution) -> float | None:
        end = execution.completed_at
        return seconds(end - execution.started_at) if end else None

    def get_success_verification(self, execution: RemediationExecution) -> bool | None:
        verified = execution.success_verification.get("verified")
        return verified if isinstance(verified, bool) else None


class ExecutionFilters(filters.FilterSet):
    action = filters.UUIDFilter(field_name="action_id")
    alert = filters.UUIDFilter(field_name="alert_instance_id")
    status = filters.MultipleChoiceFilter(choices=ExecutionStatus.choices)
    # `from` is a word of Python's own.
    locals()["from"] = since("started_at")
    to = until("started_at")
    ordering = filters.OrderingFilter(fields=["started_at"])

    class Meta:
        model = RemediationExecution
        fields = ["execution_trigger"]


class Executions(Resources):
    """List executions with a summary of all that match and the trend of the last seven days."""

    http_method_names = ["get", "head", "options"]
    policy_resource, listed_as = "remediation_executions", "executions"
    rows = RemediationExecution.objects.select_related("action", "alert_instance__asset", "triggered_by").order_by(
        "-started_at"
    )
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilters
    envelope = {"execution_summary": dict, "execution_trends": list}

    def around(self, rows: QuerySet[RemediationExecution]) -> dict[str, Any]:
        bare, now = rows.select_related(None).order_by(), timezone.now()
        return {"execution_summary": summary_of(bare, now), "execution_trends": trends_of(bare, now)}


def summary_of(rows: QuerySet[RemediationExecution], now: datetime) -> dict[str, Any]:
    lately = Q(started_at__gt=now - WEEK)
    found = rows.aggregate(
        number=Count("pk"),
        good=Count("pk", filter=IS_SUCCESS),
        bad=Count("pk", filter=IS_FINISHED & ~IS_SUCCESS),
        mean=Avg(DURATION, filter=IS_FINISHED),
        good_7d=Count("pk", filter=lately & IS_SUCCESS),
        finished_7d=Count("pk", filter=lately & IS_FINISHED),
    )
    return {
        "total_executions": found["number"],
        "successful_executions": found["good"],
        "failed_executions": found["bad"],
        "avg_execution_time_seconds": seconds(found["mean"]),
        "success_rate_7d": percent(found["good_7d"], found["finished_7d"]),
    }


def trends_of(rows: QuerySet[RemediationExecution], now: datetime) -> list[dict[str, Any]]:
    """How many of `rows` began on each of the last seven days (UTC), today last."""
    days = [now.date() - timedelta(days=back) for back in range(6, -1, -1)]
    grouped = rows.filter(started_at__date__gte=days[0]).annotate(day=TruncDate("started_at")).values("day")
    counted = grouped.annotate(number=Count("pk"), good=Count("pk", filter=IS_SUCCESS))
    found = {row["day"]: row for row in counted}
    return [
        {
            "date": day.isoformat(),
            "total_executions": found[day]["number"] if day in found else 0,
            "successful_executions": found[day]["good"] if day in found else 0,
        }
        for day in days
    ]


class Execution(RowsByPolicy, generics.RetrieveAPIView):  # type: ignore[type-arg,misc]
    """One execution."""

    policy_resource = "remediation_executions"
    rows = RemediationExecution.objects.select_related("action", "alert_instance__asset", "triggered_by")
    serializer_class = ExecutionSerializer
