"""Admin pages of synthetic checks."""

from django.contrib import admin

from synthetic.models import SyntheticCheck, SyntheticCheckResult
from wedsync_monitor.web.admin_site import OwnedModelAdmin, ReadOnlyModelAdmin


@admin.register(SyntheticCheck)
class SyntheticCheckAdmin(OwnedModelAdmin):
    list_display = ("check_name", "check_type", "target_url", "target_host", "check_frequency", "is_enabled")
    list_filter = ("check_type", "is_enabled")
    search_fields = ("check_name", "target_url", "target_host")


@admin.register(SyntheticCheckResult)
class SyntheticCheckResultAdmin(ReadOnlyModelAdmin):
    list_display = ("check_timestamp", "synthetic_check", "location", "status", "response_time_ms", "status_code")
    list_filter = ("status",)
    list_select_related = ("synthetic_check",)
