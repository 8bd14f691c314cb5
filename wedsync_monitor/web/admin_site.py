"""The admin site and its classes, held to the policy."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import JSONField, Model, QuerySet, TextField
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseRedirect
from django.urls import reverse

from wedsync_monitor import policy, schema, secrets
from wedsync_monitor.policy import Verb


class PolicyAdminSite(admin.AdminSite):
    """Open to everybody with a role; what they find there is the policy's."""

    site_header = site_title = "WedSync Monitor"
    index_title = "Configuration"
    site_url = "/admin/monitoring"

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(policy.roles_of(request.user))

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Every admin class goes through the policy, also those that packages bring."""
        chosen = _held_to_policy(admin_class or admin.ModelAdmin)
        chosen.inlines = [_held_to_policy(inline) for inline in chosen.inlines]
        super().register(model_or_iterable, chosen, **options)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one sign-in page; signing in again would not help a person without a role."""
        if request.user.is_authenticated:
            raise PermissionDenied("Your roles do not open the configuration.")
        return HttpResponseRedirect(f"{reverse('login')}?next={request.GET.get('next', request.path)}")


_PROSE = ("description", "notes", "note", "impact")


def _is_one_line(column: Any) -> bool:
    """Whether a text column of the product's own holds a name, a host or an address, and no prose."""
    if not isinstance(column, TextField) or column.choices:
        return False
    return column.model._meta.app_label != "django_celery_beat" and not column.name.endswith(_PROSE)


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

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Text columns have no bound, but only prose needs a box of many lines."""
        line = {"widget": AdminTextInputWidget} if _is_one_line(db_field) else {}
        options = line | schema.text_options(db_field) | kwargs
        return super().formfield_for_dbfield(db_field, request, **options)  # type: ignore[misc]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        resource = self._resource()
        return policy.permitted(request.user, Verb.READ, resource, rows) if resource else rows.none()


class PolicyModelAdmin(PolicyAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin page of a table; large tables are not counted twice."""

    show_full_result_count = False
    list_per_page = 50

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """What only the system writes is shown once the row is there."""
        fields = super().get_fields(request, obj)
        return fields if obj else [name for name in fields if name not in self.get_readonly_fields(request, obj)]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Actions too are stored together with their audit entries, as Django does it for forms."""
        with transaction.atomic():
            return super().changelist_view(request, extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row as pages show it, secrets masked; a mask that is saved keeps what is stored."""
        row = super().get_object(request, object_id, from_field)
        for field in row._meta.concrete_fields if row else ():
            if isinstance(field, JSONField):
                setattr(row, field.attname, secrets.mask(getattr(row, field.attname)))
        return row

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with `objs`: also what the system wrote about them, which nobody may delete by itself."""
        gone, counts, lacking, protected = super().get_deleted_objects(objs, request)
        written = {
            model._meta.verbose_name
            for model, page in self.admin_site._registry.items()
            if isinstance(page, ReadOnlyModelAdmin) and model is not self.model
        }
        return gone, counts, lacking - written, protected


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

    readonly_fields: ClassVar[tuple[str, ...]] = ("created_by", "created_at", "updated_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)


def _held_to_policy(page: type[Any]) -> type[Any]:
    """An admin class or inline that asks the policy, also one that a package brings."""
    if issubclass(page, PolicyAdminMixin):
        return page
    return type(f"Policy{page.__name__}", (PolicyAdminMixin, page), {})
