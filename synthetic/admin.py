"""Admin pages of synthetic checks."""

from django.contrib import admin

from synthetic.models import CheckPlace, ProbeLocation, ProbeSecret, SyntheticCheck, SyntheticCheckResult
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


@admin.register(CheckPlace)
class CheckPlaceAdmin(ReadOnlyModelAdmin):
    list_display = ("synthetic_check", "location", "state", "state_since", "last_result_at", "next_run_at", "missed")
    list_filter = ("state", "location")
    list_select_related = ("synthetic_check",)


@admin.register(ProbeLocation)
class ProbeLocationAdmin(ReadOnlyModelAdmin):
    list_display = ("location_name", "seen_at", "cut_off_since")


@admin.register(ProbeSecret)
class ProbeSecretAdmin(OwnedModelAdmin):
    list_display = ("secret_name", "hosts", "created_by", "updated_at")
    search_fields = ("secret_name",)
