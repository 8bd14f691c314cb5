"""Admin pages of heartbeats."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from assets.heartbeats import states
from assets.heartbeats.models import Heartbeat
from assets.heartbeats.pings import with_state
from assets.heartbeats.states import State
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.admin_site import OwnedModelAdmin


class StateFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.value) for state in State]

    def queryset(self, request: HttpRequest, rows: QuerySet[Heartbeat]) -> QuerySet[Heartbeat]:
        return with_state(rows, timezone.now()).filter(shown_state=self.value()) if self.value() else rows


@admin.register(Heartbeat)
class HeartbeatAdmin(OwnedModelAdmin):
    list_display = ("heartbeat_name", "asset", "schedule", "state", "last_ping_at", "last_success_at", "due_at")
    list_filter = (StateFilter, "is_paused")
    list_select_related = ("asset",)
    search_fields = ("heartbeat_name", "asset__asset_name")
    autocomplete_fields = ("asset",)
    readonly_fields = (
        "address", "state", "last_ping_at", "last_success_at", "started_at", "last_duration_seconds",
        "last_exit_status", "last_log", "ping_count", "due_at", "created_by", "created_at", "updated_at",
    )  # fmt: skip

    @admin.display(description="state")
    def state(self, beat: Heartbeat) -> str:
        return states.state_of(beat.standing(), timezone.now()).value

    @admin.display(description="address")
    def address(self, beat: Heartbeat) -> str:
        return beat.ping_url

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The address is for those who may change the heartbeat."""
        fields = super().get_fields(request, obj)
        return fields if self._may(request, Verb.CHANGE, obj) else [name for name in fields if name != "address"]
