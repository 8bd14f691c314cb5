"""Admin pages of remediation."""

from django.contrib import admin

from remediation.models import RemediationAction, RemediationExecution
from wedsync_monitor.web.admin_site import OwnedModelAdmin, ReadOnlyModelAdmin


@admin.register(RemediationAction)
class RemediationActionAdmin(OwnedModelAdmin):
    list_display = ("action_name", "action_type", "risk_level", "approval_required", "is_enabled")
    list_filter = ("action_type", "risk_level", "is_enabled")
    search_fields = ("action_name",)
    autocomplete_fields = ("rollback_action",)


@admin.register(RemediationExecution)
class RemediationExecutionAdmin(ReadOnlyModelAdmin):
    list_display = ("action", "execution_trigger", "status", "started_at", "completed_at", "triggered_by")
    list_filter = ("status", "execution_trigger")
    list_select_related = ("action", "triggered_by")
    date_hierarchy = "started_at"
