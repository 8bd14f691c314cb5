"""REST: people's tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from wedsync_monitor import policy, tokens
from wedsync_monitor.models import ApiToken, TokenScope, User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import Resources, StrictBody


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token without its secret."""

    username = serializers.CharField(source="user.username")

    class Meta:
        model = ApiToken
        fields = [
            "id", "username", "label", "scope", "may_discover", "created_at", "expires_at", "revoked_at",
            "last_used_at",
        ]  # fmt: skip


class NewTokenSerializer(TokenSerializer):
    """A token with its secret, which is shown this once."""

    token = serializers.CharField()

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


class TokenBody(StrictBody):
    username = serializers.CharField(max_length=150)
    label = serializers.CharField(max_length=200)  # type: ignore[assignment]
    scope = serializers.ChoiceField(choices=TokenScope.choices, default=TokenScope.FULL)
    may_discover = serializers.BooleanField(
        default=False, help_text="Hosts that are unknown become assets when it sends their metrics."
    )
    lifetime_days = serializers.IntegerField(min_value=1, max_value=3650, default=tokens.LIFETIME.days)

    def validate_username(self, name: str) -> User:
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise ValidationError("nobody who may sign in has this name")
        return user


class TokenFilters(filters.FilterSet):
    username = filters.CharFilter(field_name="user__username")

    class Meta:
        model = ApiToken
        fields = ["scope"]


class Tokens(Resources):
    """List people's tokens; make one, whose secret is in this answer and never again."""

    policy_resource, listed_as = "tokens", "tokens"
    rows = ApiToken.objects.select_related("user").order_by("-created_at")
    serializer_class = TokenSerializer
    filterset_class = TokenFilters

    @extend_schema(request=TokenBody, responses={201: NewTokenSerializer})
    @transaction.atomic
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = TokenBody(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        lifetime = timedelta(days=wanted["lifetime_days"])
        secret = tokens.issue(
            wanted["username"], wanted["label"], timezone.now(), wanted["scope"], lifetime, wanted["may_discover"]
        )
        row = ApiToken.objects.select_related("user").get(digest=tokens.digest(secret))
        row.token = secret  # type: ignore[attr-defined]
        return Response(NewTokenSerializer(row).data, 201)


class Token(APIView):
    """Revoke a token, at once."""

    policy_resource = "tokens"

    @extend_schema(request=None, responses={204: None})
    @transaction.atomic
    def delete(self, request: Request, pk: UUID) -> Response:
        rows = policy.permitted(request.user, Verb.DELETE, "tokens", ApiToken.objects.filter(revoked_at=None))
        row = get_object_or_404(rows, pk=pk)
        row.revoked_at = timezone.now()
        row.save()
        return Response(status=204)
