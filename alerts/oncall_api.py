"""REST: on-call schedules, their shifts and overrides, and how people are reached."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import oncall, rosters
from alerts.models import ContactPreference, OnCallOverride, OnCallSchedule
from alerts.responses_api import PersonField
from alerts.suppression.recurrence import Span
from wedsync_monitor import policy
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.filtering import since, until
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer, refuse_unknown
from wedsync_monitor.web.serializers import MomentField

LONGEST = timedelta(days=92)
USUAL = timedelta(days=14)


class ScheduleSerializer(StrictSerializer):
    class Meta:
        model = OnCallSchedule
        fields = ["id", "schedule_name", "description", "timezone", "layers", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


class ScheduleFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="schedule_name", lookup_expr="icontains")

    class Meta:
        model = OnCallSchedule
        fields: list[str] = []


class Schedules(Resources):
    """List on-call schedules; make one."""

    policy_resource, listed_as = "on_call", "schedules"
    rows = OnCallSchedule.objects.order_by("schedule_name")
    serializer_class = ScheduleSerializer
    filterset_class = ScheduleFilters


class ScheduleView(Resource):
    """One on-call schedule: read, change, remove."""

    policy_resource = "on_call"
    rows = OnCallSchedule.objects.all()
    serializer_class = ScheduleSerializer


class ShiftSerializer(serializers.Serializer[Any]):
    person = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    overridden = serializers.BooleanField()


class OnCallAnswer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    shift = ShiftSerializer(allow_null=True)


class ShiftsAnswer(serializers.Serializer[Any]):
    shifts = ShiftSerializer(many=True)


def _moment(request: Request, name: str, otherwise: datetime) -> datetime:
    if name not in request.query_params:
        return otherwise
    try:
        return MomentField().run_validation(request.query_params[name])  # type: ignore[no-any-return]
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from error


def _schedule(request: Request, pk: UUID) -> OnCallSchedule:
    rows = policy.permitted(request.user, Verb.READ, "on_call", OnCallSchedule.objects.all())
    return get_object_or_404(rows, pk=pk)


def _when(name: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.DATETIME)


class OnCall(APIView):
    """Who is on call at a moment (`at`; now where it is not given); null where nobody is."""

    policy_resource = "on_call"

    @extend_schema(parameters=[_when("at")], responses={200: OnCallAnswer})
    def get(self, request: Request, pk: UUID) -> Response:
        refuse_unknown(request, {"at"})
        at = _moment(request, "at", timezone.now())
        ((_, schedule),) = rosters.followed([_schedule(request, pk)], Span(at - oncall.AROUND, at + oncall.AROUND))
        shift = oncall.on_call(schedule, at)
        return Response(OnCallAnswer({"at": at, "shift": asdict(shift) if shift else None}).data)


class Shifts(APIView):
    """The shifts from…to (now and 14 days on where they are not given), cut to that time."""

    policy_resource = "on_call"

    @extend_schema(parameters=[_when("from"), _when("to")], responses={200: ShiftsAnswer})
    def get(self, request: Request, pk: UUID) -> Response:
        refuse_unknown(request, {"from", "to"})
        start = _moment(request, "from", timezone.now())
        end = _moment(request, "to", start + USUAL)
        if not start < end <= start + LONGEST:
            raise ValidationError({"to": f"send a time after from, at most {LONGEST.days} days later"})
        ((_, schedule),) = rosters.followed([_schedule(request, pk)], Span(start, end))
        found = [asdict(shift) for shift in oncall.shifts(schedule, Span(start, end))]
        return Response(ShiftsAnswer({"shifts": found}).data)


class ShiftCalendar(APIView):
    """The shifts of the next weeks as an iCalendar file."""

    policy_resource = "on_call"

    @extend_schema(responses={(200, "text/calendar"): OpenApiTypes.STR})
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        refuse_unknown(request, set())
        row, now = _schedule(request, pk), timezone.now()
        answer = HttpResponse(rosters.calendar(row, now), content_type="text/calendar; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="on-call.ics"'
        return answer


class OverrideSerializer(StrictSerializer):
    schedule_id = serializers.PrimaryKeyRelatedField(source="schedule", queryset=OnCallSchedule.objects.all())
    person = PersonField()

    class Meta:
        model = OnCallOverride
        fields = ["id", "schedule_id", "person", "starts_at", "ends_at", "comment", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


class OverrideFilters(filters.FilterSet):
    schedule = filters.UUIDFilter(field_name="schedule_id")
    person = filters.CharFilter(field_name="person__username")
    # `from` is a word of Python's own.
    locals()["from"] = since("ends_at")
    to = until("starts_at")

    class Meta:
        model = OnCallOverride
        fields: list[str] = []


class Overrides(Resources):
    """List overrides, those that overlap from…to where given; make one."""

    policy_resource, listed_as = "on_call", "overrides"
    rows = OnCallOverride.objects.select_related("person").order_by("-starts_at")
    serializer_class = OverrideSerializer
    filterset_class = OverrideFilters


class OverrideView(Resource):
    """One override: read, change, remove."""

    policy_resource = "on_call"
    rows = OnCallOverride.objects.select_related("person")
    serializer_class = OverrideSerializer


class ContactSerializer(StrictSerializer):
    class Meta:
        model = ContactPreference
        fields = ["channels", "minimum_severity", "quiet_hours"]


class MyContact(APIView):
    """How the caller is reached: channels, from which severity on, and quiet hours."""

    policy_resource = "contact_preferences"

    @extend_schema(responses={200: ContactSerializer})
    def get(self, request: Request) -> Response:
        refuse_unknown(request, set())
        return Response(ContactSerializer(_mine(request, Verb.READ)).data)

    @extend_schema(request=ContactSerializer, responses={200: ContactSerializer})
    def put(self, request: Request) -> Response:
        with transaction.atomic():
            body = ContactSerializer(_mine(request, Verb.CHANGE), data=request.data, partial=True)
            body.is_valid(raise_exception=True)
            body.save()
        return Response(body.data)


def _mine(request: Request, verb: Verb) -> ContactPreference:
    """The caller's own row, or a new one. Of two first changes at once the second waits for the first."""
    assert isinstance(request.user, User)
    if verb is Verb.CHANGE:
        User.objects.select_for_update().get(pk=request.user.pk)
    rows = policy.permitted(request.user, verb, "contact_preferences", ContactPreference.objects.all())
    return rows.filter(user=request.user).first() or ContactPreference(user=request.user)
