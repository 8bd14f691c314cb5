"""Admin pages of the shared tables."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

from wedsync_monitor.models import ApiToken, AuditEntry, DeadMansSwitch, MonitoringDashboard, User
from wedsync_monitor.web.admin_site import OwnedModelAdmin, PolicyModelAdmin, ReadOnlyModelAdmin


@admin.register(User)
class UserAdmin(PolicyModelAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "groups"), "description": "A group is a role."}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    list_display = ("username", "email", "first_name", "last_name", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    readonly_fields = ("last_login", "date_joined")


@admin.register(ApiToken)
class ApiTokenAdmin(PolicyModelAdmin):
    """Tokens are made by `manage.py api_token`; here they are seen, may discover assets or not, and are revoked."""

    list_display = ("label", "user", "scope", "may_discover", "created_at", "expires_at", "revoked_at", "last_used_at")
    list_filter = ("scope", "may_discover")
    search_fields = ("label", "user__username")
    list_select_related = ("user",)
    readonly_fields = ("label", "user", "scope", "created_at", "expires_at", "revoked_at", "last_used_at")
    fields = ("may_discover", *readonly_fields)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        for token in rows.filter(revoked_at=None):
            token.revoked_at = timezone.now()
            token.save()


admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class TickAdmin(PolicyModelAdmin, PeriodicTaskAdmin):  # type: ignore[misc]
    """Beat's tasks, switched on and off row by row: the package's own actions would pass the audit trail by."""

    list_editable = ("enabled",)
    actions = ("run_tasks",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyModelAdmin):
    list_display = ("at", "actor_name", "action", "table_name", "object_name")
    list_filter = ("action", "table_name")
    search_fields = ("actor_name", "object_name", "object_id")
    date_hierarchy = "at"


@admin.register(MonitoringDashboard)
class MonitoringDashboardAdmin(OwnedModelAdmin):
    list_display = ("dashboard_name", "dashboard_type", "is_public", "is_default", "created_by", "updated_at")
    list_filter = ("dashboard_type", "is_public")
    search_fields = ("dashboard_name",)
    list_select_related = ("created_by",)


@admin.register(DeadMansSwitch)
class DeadMansSwitchAdmin(PolicyModelAdmin):
    list_display = ("switch_name", "is_enabled", "interval_seconds", "last_sent_at", "last_answer", "held_back_because")
    readonly_fields = ("last_sent_at", "last_answer", "held_back_since", "held_back_because")
