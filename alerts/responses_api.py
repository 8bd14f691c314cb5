"""REST: what people do with alerts besides acknowledging and resolving, and the same with many at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import listing, responses, transitions
from alerts.api import AcknowledgeBody, AlertSerializer, Deed, ResolveBody
from alerts.models import AlertInstance, AlertStatus
from wedsync_monitor import policy
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import StrictBody
from wedsync_monitor.web.serializers import MomentField


class PersonField(serializers.SlugRelatedField[User]):
    """A person, by user name."""

    def __init__(self, **options: Any):
        super().__init__(slug_field="username", queryset=User.objects.filter(is_active=True), **options)

    def to_internal_value(self, data: Any) -> User:
        if not isinstance(data, str) or "\0" in data:
            raise ValidationError("send a user name")
        return super().to_internal_value(data)


class SnoozeBody(StrictBody):
    until = MomentField()
    note = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class AssignBody(StrictBody):
    assignee = PersonField(allow_null=True)


class CommentBody(StrictBody):
    comment = serializers.CharField(max_length=5000)


@extend_schema(request=SnoozeBody, responses={200: AlertSerializer})
class Snooze(Deed):
    """Tell nobody of an alert until a time; then it comes back by itself."""

    policy_verbs = {"POST": Verb.ACKNOWLEDGE}
    verb, body = Verb.ACKNOWLEDGE, SnoozeBody

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        responses.snooze(pk, request.user, said["until"], said.get("note", ""), timezone.now())  # type: ignore[arg-type]


@extend_schema(request=AssignBody, responses={200: AlertSerializer})
class Assign(Deed):
    """Give an alert to a person, or (null) to nobody."""

    policy_verbs = {"POST": Verb.ACKNOWLEDGE}
    verb, body = Verb.ACKNOWLEDGE, AssignBody

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        responses.assign(pk, request.user, said["assignee"], timezone.now())  # type: ignore[arg-type]


@extend_schema(request=CommentBody, responses={200: AlertSerializer})
class Comment(Deed):
    """Write something on an alert's timeline."""

    policy_verbs = {"POST": Verb.ACKNOWLEDGE}
    verb, body = Verb.ACKNOWLEDGE, CommentBody

    def do(self, request: Request, pk: UUID, said: dict[str, Any]) -> None:
        responses.comment(pk, request.user, said["comment"], timezone.now())  # type: ignore[arg-type]


Do = Callable[[UUID], AlertInstance]


def _acknowledging(person: User, said: dict[str, Any], now: datetime) -> Do:
    note, minutes = said.get("acknowledgment_note", ""), said.get("estimated_resolution_time")
    return lambda pk: transitions.acknowledge(pk, person, note, minutes, now)


def _resolving(person: User, said: dict[str, Any], now: datetime) -> Do:
    more = {name: said[name] for name in ("root_cause", "remediation_applied") if name in said}
    kind, notes = said["resolution_type"], said["resolution_notes"]
    return lambda pk: transitions.resolve(pk, person, kind, notes, now, **more)


def _snoozing(person: User, said: dict[str, Any], now: datetime) -> Do:
    return partial(responses.snooze, person=person, until=said["until"], note=said.get("note", ""), now=now)


def _assigning(person: User, said: dict[str, Any], now: datetime) -> Do:
    return partial(responses.assign, person=person, assignee=said["assignee"], now=now)


ACTIONS: dict[str, tuple[Verb, type[StrictBody], Callable[[User, dict[str, Any], datetime], Do]]] = {
    "acknowledge": (Verb.ACKNOWLEDGE, AcknowledgeBody, _acknowledging),
    "resolve": (Verb.RESOLVE, ResolveBody, _resolving),
    "snooze": (Verb.ACKNOWLEDGE, SnoozeBody, _snoozing),
    "assign": (Verb.ACKNOWLEDGE, AssignBody, _assigning),
}


class BulkBody(StrictBody):
    """Which alerts, by `ids` or by a `filter` with the parameters of the list, and what is done with them: `details`
    is the body of that action on one alert."""

    action = serializers.ChoiceField(choices=list(ACTIONS))
    ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, min_length=1, max_length=responses.MOST_AT_ONCE
    )
    filter = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField(max_length=200), max_length=20),
        required=False,
        allow_empty=False,
        help_text="Each parameter of the list with its values.",
    )
    details = serializers.DictField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in attrs) == ("filter" in attrs):
            raise ValidationError({"ids": "send either ids or a filter"})
        return attrs


class RefusedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    reason = serializers.CharField()


class BulkAnswer(serializers.Serializer[Any]):
    done = serializers.ListField(child=serializers.UUIDField())
    refused = RefusedSerializer(many=True)


class Bulk(APIView):
    """Do the same with many alerts, each in its own transaction; says which were refused and why."""

    policy_resource = "alerts"
    policy_verbs = {"POST": Verb.ACKNOWLEDGE}

    @extend_schema(request=BulkBody, responses={200: BulkAnswer})
    def post(self, request: Request) -> Response:
        body = BulkBody(data=request.data)
        body.is_valid(raise_exception=True)
        verb, details, prepare = ACTIONS[body.validated_data["action"]]
        said = details(data=body.validated_data.get("details", {}))
        if not said.is_valid():
            raise ValidationError({"details": said.errors})
        rows = policy.permitted(request.user, verb, "alerts", AlertInstance.objects.all())
        asked = body.validated_data
        ids = _matching(rows, asked["filter"]) if "filter" in asked else _reached(rows, asked["ids"])
        outcome = responses.each(ids, prepare(request.user, said.validated_data, timezone.now()))  # type: ignore[arg-type]
        missing = dict.fromkeys(set(asked.get("ids", ())) - set(ids), responses.NO_SUCH_ALERT)
        refused = [{"id": pk, "reason": reason} for pk, reason in (outcome.refused | missing).items()]
        return Response(BulkAnswer({"done": outcome.done, "refused": refused}).data)


def _reached(rows: QuerySet[AlertInstance], ids: list[UUID]) -> list[UUID]:
    """Those of `ids` that the person may reach, in their order."""
    found = set(rows.filter(pk__in=ids).values_list("pk", flat=True))
    return [pk for pk in dict.fromkeys(ids) if pk in found]


def _matching(rows: QuerySet[AlertInstance], asked: dict[str, list[str]]) -> list[UUID]:
    """The live alerts that a filter finds, oldest first."""
    known = listing.AlertFilters.base_filters
    if unknown := sorted(set(asked) - set(known)):
        raise ValidationError({"filter": f"{unknown[0][:80]} is not known here; send some of: {', '.join(known)}"})
    sent = QueryDict(mutable=True)
    for name, values in asked.items():
        sent.setlist(name, values)
    found = listing.AlertFilters(sent, queryset=rows.exclude(status=AlertStatus.RESOLVED))
    if not found.is_valid():
        raise ValidationError({"filter": found.errors})
    ids = list(found.qs.order_by("first_triggered_at").values_list("pk", flat=True)[: responses.MOST_AT_ONCE + 1])
    if len(ids) > responses.MOST_AT_ONCE:
        raise ValidationError({"filter": f"more than {responses.MOST_AT_ONCE} alerts match; narrow it"})
    return ids
