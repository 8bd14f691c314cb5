"""REST: what keeps people from being told: maintenance windows and silences."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.models import MaintenanceWindow, Silence
from alerts.suppression import calendars, windows
from assets.references import known_assets
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import Conflict
from wedsync_monitor.web.filtering import since, until
from wedsync_monitor.web.resources import Resource, Resources, StrictBody, StrictSerializer, refuse_unknown
from wedsync_monitor.web.serializers import MomentField


class MaintenanceWindowSerializer(StrictSerializer):
    class Meta:
        model = MaintenanceWindow
        fields = [
            "id", "window_name", "description", "affected_assets", "asset_filter", "start_time", "end_time",
            "recurrence_config", "maintenance_type", "impact_level", "notification_config", "alert_suppression",
            "status", "actual_start_time", "actual_end_time", "completion_notes", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["created_at", "updated_at"]

    def validate_affected_assets(self, ids: list[str]) -> list[str]:
        return known_assets(ids)


class MaintenanceWindowFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="window_name", lookup_expr="icontains")
    # `from` is a word of Python's own.
    locals()["from"] = since("end_time")
    to = until("start_time")

    class Meta:
        model = MaintenanceWindow
        fields = ["status", "maintenance_type", "impact_level"]


class MaintenanceWindows(Resources):
    """List maintenance windows, those that overlap from…to where given; plan one."""

    policy_resource, listed_as = "maintenance", "maintenance_windows"
    rows = MaintenanceWindow.objects.order_by("-start_time")
    serializer_class = MaintenanceWindowSerializer
    filterset_class = MaintenanceWindowFilters


class MaintenanceWindowView(Resource):
    """One maintenance window: read, change, remove."""

    policy_resource = "maintenance"
    rows = MaintenanceWindow.objects.all()
    serializer_class = MaintenanceWindowSerializer


class EndBody(StrictBody):
    completion_notes = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class ExtendBody(StrictBody):
    until = MomentField()


class _WindowDeed(APIView):
    """Something that a person does with a window as it stands."""

    policy_resource = "maintenance"
    policy_verbs = {"POST": Verb.CHANGE}
    body: type[StrictBody] = StrictBody

    def post(self, request: Request, pk: UUID) -> Response:
        rows = policy.permitted(request.user, Verb.CHANGE, "maintenance", MaintenanceWindow.objects.all())
        with transaction.atomic():
            window = get_object_or_404(rows.select_for_update(of=("self",)), pk=pk)
            body = self.body(data=request.data)
            body.is_valid(raise_exception=True)
            try:
                self.do(window, body.validated_data, timezone.now())
            except windows.Refused as error:
                raise Conflict(f"{error}.") from error
        return Response(MaintenanceWindowSerializer(window).data)

    def do(self, window: MaintenanceWindow, said: dict[str, Any], now: datetime) -> None:
        raise AssertionError("each deed says what it does")


@extend_schema(request=None, responses={200: MaintenanceWindowSerializer})
class StartWindow(_WindowDeed):
    """Begin the next occurrence now, before its time."""

    def do(self, window: MaintenanceWindow, said: dict[str, Any], now: datetime) -> None:
        windows.start(window, now)


@extend_schema(request=EndBody, responses={200: MaintenanceWindowSerializer})
class EndWindow(_WindowDeed):
    """End the occurrence that runs."""

    body = EndBody

    def do(self, window: MaintenanceWindow, said: dict[str, Any], now: datetime) -> None:
        windows.end(window, now, said.get("completion_notes", ""))


@extend_schema(request=ExtendBody, responses={200: MaintenanceWindowSerializer})
class ExtendWindow(_WindowDeed):
    """Prolong the occurrence that runs."""

    body = ExtendBody

    def do(self, window: MaintenanceWindow, said: dict[str, Any], now: datetime) -> None:
        windows.extend(window, said["until"], now)


@extend_schema(request=None, responses={200: MaintenanceWindowSerializer})
class CancelWindow(_WindowDeed):
    """It will not happen, nor come again."""

    def do(self, window: MaintenanceWindow, said: dict[str, Any], now: datetime) -> None:
        windows.cancel(window, now)


class _Calendar(BaseParser):
    """A calendar's body as it is."""

    media_type = "text/calendar"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return bytes(stream.read(calendars.MOST_BYTES + 1))


class WindowCalendar(APIView):
    """Maintenance windows as an iCalendar file: read by calendars, and imported from them."""

    policy_resource = "maintenance"
    parser_classes = [_Calendar]

    @extend_schema(responses={(200, "text/calendar"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        refuse_unknown(request, set())
        rows = policy.permitted(request.user, Verb.READ, "maintenance", MaintenanceWindow.objects.all())
        answer = HttpResponse(calendars.of_windows(rows, timezone.now()), content_type="text/calendar; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="maintenance.ics"'
        return answer

    @extend_schema(request={"text/calendar": OpenApiTypes.STR}, responses={200: calendars.ImportedSerializer})
    def post(self, request: Request) -> Response:
        taken = calendars.take_windows(request.data, request.user, timezone.now())  # type: ignore[arg-type]
        return Response(calendars.ImportedSerializer(taken).data)


class SilenceSerializer(StrictSerializer):
    created_by = serializers.CharField(source="created_by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = Silence
        fields = ["id", "matchers", "starts_at", "ends_at", "comment", "created_by", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


class SilenceFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="comment", lookup_expr="icontains")
    # `from` is a word of Python's own.
    locals()["from"] = since("ends_at")
    to = until("starts_at")

    class Meta:
        model = Silence
        fields: list[str] = []


class Silences(Resources):
    """List silences, those that overlap from…to where given; make one."""

    policy_resource, listed_as = "silences", "silences"
    rows = Silence.objects.select_related("created_by").order_by("-starts_at")
    serializer_class = SilenceSerializer
    filterset_class = SilenceFilters


class SilenceView(Resource):
    """One silence: read, change (an end of now ends it), remove."""

    policy_resource = "silences"
    rows = Silence.objects.select_related("created_by")
    serializer_class = SilenceSerializer
