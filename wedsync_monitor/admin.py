"""The admin site, held to the policy, and the admin pages of the shared tables."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from wedsync_monitor import policy
from wedsync_monitor.models import ApiToken, AuditEntry, MonitoringDashboard, User
from wedsync_monitor.policy import Verb


class PolicyAdminSite(admin.AdminSite):
    """Open to everybody with a role; what they find there is the policy's."""

    site_header = site_title = "WedSync Monitor"
    index_title = "Configuration"
    site_url = "/admin/monitoring"

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(policy.roles_of(request.user))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one sign-in page."""
        return HttpResponseRedirect(f"{reverse('login')}?next={request.GET.get('next', request.path)}")


class PolicyAdminMixin:
    """Permissions and rows of an admin class or inline, from the policy of its model."""

    model: type[Model]

    def _resource(self) -> str | None:
        return policy.resource_of(self.model)

    def _may(self, request: HttpRequest, verb: Verb, row: Model | None = None) -> bool:
        resource = self._resource()
        if resource is None:
            return False
        if row is None or row.pk is None:
            return policy.may(request.user, verb, resource)
        return policy.may_row(request.user, verb, resource, row)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, Verb.READ)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, Verb.READ)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, Verb.CREATE)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, Verb.CHANGE, None if isinstance(self, admin.options.InlineModelAdmin) else obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, Verb.DELETE, None if isinstance(self, admin.options.InlineModelAdmin) else obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        resource = self._resource()
        return policy.permitted(request.user, Verb.READ, resource, rows) if resource else rows.none()


class PolicyModelAdmin(PolicyAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin page of a table; large tables are not counted twice."""

    show_full_result_count = False
    list_per_page = 50


class ReadOnlyModelAdmin(PolicyModelAdmin):
    """A table that the system writes and people only read."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PolicyInline(PolicyAdminMixin, admin.TabularInline):  # type: ignore[type-arg]
    """Rows of another table on the page of theirs."""

    extra = 0
    show_change_link = True


class OwnedModelAdmin(PolicyModelAdmin):
    """A table whose rows remember who made them."""

    readonly_fields = ("created_by", "created_at", "updated_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)


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
    """Tokens are made by `manage.py api_token`; here they are seen and revoked."""

    list_display = ("label", "user", "scope", "created_at", "expires_at", "revoked_at", "last_used_at")
    list_filter = ("scope",)
    search_fields = ("label", "user__username")
    list_select_related = ("user",)
    fields = readonly_fields = ("label", "user", "scope", "created_at", "expires_at", "revoked_at", "last_used_at")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        for token in rows.filter(revoked_at=None):
            token.revoked_at = timezone.now()
            token.save()


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
