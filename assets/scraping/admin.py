"""Admin pages of scrape jobs and their targets."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ChoiceField, Textarea
from django.http import HttpRequest

from assets.models import Environment
from assets.scraping.listing import STATES, in_state
from assets.scraping.models import ScrapeJob, ScrapeTarget
from wedsync_monitor.web.admin_site import OwnedModelAdmin, ReadOnlyModelAdmin


@admin.register(ScrapeJob)
class ScrapeJobAdmin(OwnedModelAdmin):
    list_display = ("job_name", "source", "scrape_interval", "is_active", "last_refresh_at", "last_refresh_error")
    list_filter = ("source", "is_active")
    search_fields = ("job_name",)
    autocomplete_fields = ("asset",)
    readonly_fields = ("last_refresh_at", "last_refresh_error", "created_by", "created_at", "updated_at")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "environment":
            return ChoiceField(choices=Environment.choices, help_text=db_field.help_text)
        if db_field.name == "ca_certificate":
            kwargs["widget"] = Textarea(attrs={"rows": 6, "class": "vLargeTextField"})
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in STATES]

    def queryset(self, request: HttpRequest, rows: QuerySet[ScrapeTarget]) -> QuerySet[ScrapeTarget]:
        return in_state(rows, self.value() or "") if self.value() else rows


@admin.register(ScrapeTarget)
class ScrapeTargetAdmin(ReadOnlyModelAdmin):
    list_display = (
        "address", "job", "asset", "state", "last_scrape_at", "last_samples", "last_duration_seconds", "problem",
    )  # fmt: skip
    list_filter = (StateFilter,)
    list_select_related = ("job", "asset")
    search_fields = ("address", "job__job_name")
