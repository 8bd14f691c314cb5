"""Admin pages of alerting. An alert's status changes through its lifecycle, so that alerts are read only here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from alerts import notification
from alerts.models import (
    AlertEvent,
    AlertInstance,
    AlertRule,
    ContactPreference,
    EscalationPolicy,
    InUse,
    MaintenanceWindow,
    NotificationDelivery,
    OnCallOverride,
    OnCallSchedule,
    PerformanceBaseline,
    RuleEvaluation,
    Silence,
)
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.admin_site import OwnedModelAdmin, PolicyInline, PolicyModelAdmin, ReadOnlyModelAdmin


class ReadOnlyInline(PolicyInline):
    """Rows that the system writes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EvaluationInline(ReadOnlyInline):
    model = RuleEvaluation
    fields = (
        "last_evaluated_at", "last_duration_ms", "last_lag_ms", "last_series_seen", "last_error",
        "missed_evaluations", "next_evaluation_at",
    )  # fmt: skip


@admin.register(AlertRule)
class AlertRuleAdmin(OwnedModelAdmin):
    list_display = ("rule_name", "severity", "alert_type", "evaluation_frequency", "is_enabled", "updated_at")
    list_filter = ("severity", "alert_type", "is_enabled")
    search_fields = ("rule_name", "rule_description")
    autocomplete_fields = ("escalation_policy",)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A rule in use is shown as protected, by itself and among many."""
        gone, counts, lacking, protected = super().get_deleted_objects(objs, request)
        used = [f"{rule.rule_name}: {InUse.advice}" for rule in objs if rule.is_in_use()]
        return gone, counts, lacking, [*protected, *used]

    inlines = (EvaluationInline,)


class EventInline(ReadOnlyInline):
    model = AlertEvent
    fields = ("at", "kind", "actor", "note")
    ordering = ("at", "id")


@admin.register(AlertInstance)
class AlertInstanceAdmin(ReadOnlyModelAdmin):
    list_display = ("alert_title", "severity", "status", "asset", "first_triggered_at", "resolved_at")
    list_filter = ("status", "severity")
    search_fields = ("alert_title", "asset__asset_name")
    list_select_related = ("asset",)
    date_hierarchy = "first_triggered_at"
    inlines = (EventInline,)


@admin.register(NotificationDelivery)
class NotificationDeliveryAdmin(ReadOnlyModelAdmin):
    list_display = ("created_at", "channel_key", "event", "status", "attempts", "last_error")
    list_filter = ("status",)
    search_fields = ("channel_key", "event__alert__alert_title")
    list_select_related = ("event",)
    fields = (
        "event", "channel_key", "status", "attempts", "next_attempt_at", "last_error", "delivered_at", "told_by",
        "link_used_at",
    )  # fmt: skip
    actions = ("resend",)

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return self._may(request, Verb.ACKNOWLEDGE)

    @admin.action(description="Send the selected messages again", permissions=["resend"])
    def resend(self, request: HttpRequest, rows: QuerySet[NotificationDelivery]) -> None:
        for row in rows:
            try:
                notification.resend(row.pk, timezone.now())
            except (notification.NotAgain, NotificationDelivery.DoesNotExist) as error:
                self.message_user(request, f"{row}: {error}.", messages.WARNING)


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(OwnedModelAdmin):
    list_display = ("policy_name", "repeat_escalation", "max_escalations", "is_active")
    list_filter = ("is_active",)
    search_fields = ("policy_name",)


@admin.register(OnCallSchedule)
class OnCallScheduleAdmin(OwnedModelAdmin):
    list_display = ("schedule_name", "timezone", "updated_at")
    search_fields = ("schedule_name",)


@admin.register(OnCallOverride)
class OnCallOverrideAdmin(OwnedModelAdmin):
    list_display = ("schedule", "person", "starts_at", "ends_at", "comment")
    list_filter = ("schedule",)
    search_fields = ("schedule__schedule_name", "person__username")
    list_select_related = ("schedule", "person")
    autocomplete_fields = ("schedule", "person")


@admin.register(ContactPreference)
class ContactPreferenceAdmin(PolicyModelAdmin):
    list_display = ("user", "minimum_severity", "updated_at")
    search_fields = ("user__username",)
    list_select_related = ("user",)
    autocomplete_fields = ("user",)


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(OwnedModelAdmin):
    list_display = ("window_name", "status", "start_time", "end_time", "maintenance_type", "impact_level")
    list_filter = ("status", "maintenance_type", "impact_level")
    search_fields = ("window_name",)
    date_hierarchy = "start_time"


@admin.register(Silence)
class SilenceAdmin(OwnedModelAdmin):
    list_display = ("text", "starts_at", "ends_at", "comment", "created_by")
    search_fields = ("comment",)
    date_hierarchy = "starts_at"
    list_select_related = ("created_by",)


@admin.register(PerformanceBaseline)
class PerformanceBaselineAdmin(PolicyModelAdmin):
    list_display = ("metric_name", "asset", "baseline_type", "time_period", "last_calculated", "is_active")
    list_filter = ("baseline_type", "time_period", "is_active")
    search_fields = ("metric_name", "asset__asset_name")
    list_select_related = ("asset",)
    autocomplete_fields = ("asset",)
