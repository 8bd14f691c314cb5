"""What of alerting is configuration: on-call schedules, escalation policies, rules, and windows that are still to come.

Silences, overrides and how people are reached belong to the moment or to the person, and are not.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from alerts.api import RuleSerializer
from alerts.configuration_api import EscalationPolicySerializer
from alerts.models import EscalationPolicy, InUse, MaintenanceWindow, WindowStatus
from alerts.oncall_api import ScheduleSerializer
from alerts.suppression_api import MaintenanceWindowSerializer
from assets.models import InfrastructureAsset
from wedsync_monitor.configuration.kinds import Kind, Reference

OVER = (WindowStatus.COMPLETED, WindowStatus.CANCELLED)


def _planned(rows: QuerySet[MaintenanceWindow], now: datetime) -> QuerySet[MaintenanceWindow]:
    """Windows that recur or are not over; those of a calendar are configured there."""
    to_come = Q(recurrence_config__isnull=False) | Q(end_time__gt=now)
    return rows.filter(to_come, calendar_uid__isnull=True).exclude(status__in=OVER)


KINDS = (
    Kind("on_call_schedules", "on_call", ScheduleSerializer, "schedule_name"),
    Kind("escalation_policies", "escalation", EscalationPolicySerializer, "policy_name"),
    Kind(
        "alert_rules",
        "alert_rules",
        RuleSerializer,
        "rule_name",
        references={"escalation_policy_id": Reference("escalation_policy", EscalationPolicy, "policy_name")},
        refusals=(InUse,),
    ),
    Kind(
        "maintenance_windows",
        "maintenance",
        MaintenanceWindowSerializer,
        "window_name",
        references={"affected_assets": Reference("affected_assets", InfrastructureAsset, "asset_name", many=True)},
        left_out=frozenset({"status", "actual_start_time", "actual_end_time", "completion_notes"}),
        current=_planned,
    ),
)
