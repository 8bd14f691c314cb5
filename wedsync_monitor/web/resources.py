"""What REST resources share: rows by policy, strict serializers, filters that refuse what they do not know."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from rest_framework import generics, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from wedsync_monitor import policy, secrets
from wedsync_monitor.structured import StructuredField
from wedsync_monitor.web.pagination import EnvelopePagination
from wedsync_monitor.web.permissions import verb_of

_ALWAYS_KNOWN = {"page", "page_size", "ordering", "format"}


class StrictFilters(filters.DjangoFilterBackend):
    """Refuses query parameters that the view does not know: a filter that is mistyped must not show everything."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        filterset = getattr(view, "filterset_class", None)
        known = set(filterset.base_filters) if filterset else set()
        known |= _ALWAYS_KNOWN | set(getattr(view, "more_parameters", ()))
        if unknown := sorted(set(request.query_params) - known):
            raise ValidationError(
                {name: f"not known here; send one of: {', '.join(sorted(known))}" for name in unknown}
            )
        rows: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return rows


class RowsByPolicy:
    """Gives a generic view only the rows on which the caller may use the verb of the request."""

    policy_resource: str
    filter_backends = (StrictFilters,)
    pagination_class = EnvelopePagination
    rows: QuerySet[Any]

    def get_queryset(self) -> QuerySet[Any]:
        request: Request = self.request  # type: ignore[attr-defined]
        verb = verb_of(self, request.method or "")
        # Whoever may see a row but not use the verb on it gets 403 from the permission and not 404 from here.
        readable = policy.Verb.READ if verb in policy.MANAGE and verb != policy.Verb.READ else verb
        return policy.permitted(request.user, readable or policy.Verb.READ, self.policy_resource, self.rows.all())


class Resources(RowsByPolicy, generics.ListCreateAPIView):  # type: ignore[type-arg]
    """A list with its envelope, and creation; `created_by` is the caller."""

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        model = serializer.Meta.model  # type: ignore[attr-defined]
        owner = {"created_by": self.request.user} if hasattr(model, "created_by") else {}
        serializer.save(**owner)


class Resource(RowsByPolicy, generics.RetrieveUpdateDestroyAPIView):  # type: ignore[type-arg]
    """One row. PUT changes the fields that are sent, as PATCH does (the specification's Partial)."""

    lookup_field = "pk"

    def put(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.partial_update(request, *args, **kwargs)


class StrictSerializer(serializers.ModelSerializer[Any]):
    """Refuses unknown fields, runs the model's own checks, and never shows a secret."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise ValidationError(dict.fromkeys(unknown, "not known here; leave it out"))
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        row = self.instance if self.instance is not None else self.Meta.model()
        kept = {name: getattr(row, name) for name in attrs} if isinstance(row, Model) and row.pk else {}
        assert isinstance(row, Model)
        for name, value in attrs.items():
            setattr(row, name, value)
        try:
            row.clean()
            row.validate_constraints(exclude=[name for name in ("id",) if self.instance is None])
        except DjangoValidationError as error:
            for name, value in kept.items():
                setattr(row, name, value)
            raise ValidationError(error.message_dict if hasattr(error, "error_dict") else error.messages) from error
        return attrs

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        for field in instance._meta.concrete_fields if isinstance(instance, Model) else ():
            if isinstance(field, StructuredField) and field.name in shown:
                shown[field.name] = secrets.mask(shown[field.name])
        return shown
