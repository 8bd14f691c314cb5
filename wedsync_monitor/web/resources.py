"""What REST resources share: rows by policy, strict serializers, filters that refuse what they do not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from django.db.models import DateTimeField, Model, QuerySet, TextField
from django_filters import rest_framework as filters
from rest_framework import generics, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from wedsync_monitor import policy, schema
from wedsync_monitor.structured import StructuredField
from wedsync_monitor.web.pagination import EnvelopePagination
from wedsync_monitor.web.permissions import verb_of
from wedsync_monitor.web.serializers import MomentField, StructureField

_PAGING = {"page_size", "format"}
_BOOLEANS = ("true", "false")


def refuse_unknown(request: Request, known: set[str]) -> None:
    """400 for query parameters that are not in `known`: one that is mistyped must not show everything."""
    if unknown := sorted(set(request.query_params) - known):
        raise ValidationError({name: f"not known here; send one of: {', '.join(sorted(known))}" for name in unknown})


class StrictFilters(filters.DjangoFilterBackend):
    """Refuses query parameters that the view does not know: a filter that is mistyped must not show everything."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        filterset = getattr(view, "filterset_class", None)
        known = set(filterset.base_filters) if filterset else set()
        paginator: Any = getattr(view, "paginator", None)
        by = getattr(paginator, "page_query_param", None) or getattr(paginator, "cursor_query_param", "page")
        known |= _PAGING | {by} | set(getattr(view, "more_parameters", ()))
        refuse_unknown(request, known)
        for name, declared in filterset.base_filters.items() if filterset else ():
            # Django's form takes a boolean that it does not understand for none at all.
            if isinstance(declared, filters.BooleanFilter) and request.query_params.get(name, "true") not in _BOOLEANS:
                raise ValidationError({name: "send true or false"})
        rows: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        # Pages need one order: rows that are equal in what they are sorted by are sorted by their key.
        return rows.order_by(*rows.query.order_by, "pk") if rows.query.order_by else rows


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


class Resources(RowsByPolicy, generics.ListCreateAPIView):  # type: ignore[type-arg,misc]
    """A list with its envelope, and creation; `created_by` is the caller.

    `listed_as` names the rows in the envelope, `envelope` what `around` adds beside them, with the types that the
    schema shows.
    """

    listed_as = ""
    envelope: Mapping[str, Any] = {}

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self.filter_queryset(self.get_queryset())
        page = self.paginate_queryset(rows) or []
        answer: Response = self.get_paginated_response({self.listed_as: self.shown(page), **self.around(rows)})
        return answer

    def shown(self, page: Sequence[Any]) -> Sequence[Any]:
        """The page's rows as the answer has them."""
        listed: Sequence[Any] = self.get_serializer(page, many=True).data
        return listed

    def around(self, rows: QuerySet[Any]) -> dict[str, Any]:
        """What stands beside the rows, over all that match."""
        return {}

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            return super().create(request, *args, **kwargs)

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        model = serializer.Meta.model  # type: ignore[attr-defined]
        owner = {"created_by": self.request.user} if hasattr(model, "created_by") else {}
        serializer.save(**owner)


class Resource(RowsByPolicy, generics.RetrieveUpdateDestroyAPIView):  # type: ignore[type-arg,misc]
    """One row. PUT changes the fields that are sent, as PATCH does (the specification's Partial).

    Changes of a row follow one another, each in a transaction with its audit entry: of two at once that both read the
    row before either was stored, one would be undone.
    """

    lookup_field = "pk"

    def _hold(self) -> None:
        rows = self.rows.model._base_manager.select_for_update().filter(pk=self.kwargs["pk"])
        rows.values_list("pk").first()

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            self._hold()
            return super().partial_update(request, *args, **kwargs)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            return super().destroy(request, *args, **kwargs)

    def put(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.partial_update(request, *args, **kwargs)


_EXACT: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], tuple[type, ...], str], ...] = (
    (serializers.BooleanField, (bool,), "send true or false"),
    (serializers.CharField, (str,), "send a text"),
    (serializers.IntegerField, (int,), "send a whole number"),
    (serializers.FloatField, (int, float), "send a number"),
)


def _fields_of(serializer: serializers.Serializer[Any]) -> str:
    """What may be sent, in words."""
    known = {name: field for name, field in serializer.fields.items() if not field.read_only}
    required = [name for name, field in known.items() if field.required and not serializer.partial]
    return f"The fields are: {', '.join(known)}" + (f"; required: {', '.join(required)}" if required else "")


def refuse_misfits(serializer: serializers.Serializer[Any], data: dict[str, Any]) -> None:
    """400 for fields that are not known, and for values of another JSON type that DRF would convert."""
    unknown = sorted(set(data) - set(serializer.fields))
    refused = dict.fromkeys(unknown, "not known here; leave it out")
    for name in unknown[:1]:
        refused[name] += f". {_fields_of(serializer)}"
    for name, value in data.items():
        for field, wanted, advice in _EXACT:
            if value is not None and isinstance(serializer.fields.get(name), field) and type(value) not in wanted:
                refused[name] = advice
    if refused:
        raise ValidationError(refused)


def _is_in_a_key(column: TextField[Any, Any]) -> bool:
    return column.unique or any(column.name in key.fields for key in column.model._meta.total_unique_constraints)


class StrictSerializer(serializers.ModelSerializer[Any]):
    """Refuses unknown fields, runs the model's own checks, and never shows a secret."""

    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {DateTimeField: MomentField}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            refuse_misfits(self, data)
        return super().to_internal_value(data)

    def build_standard_field(self, field_name: str, model_field: Any) -> Any:
        kind, options = super().build_standard_field(field_name, model_field)
        if isinstance(model_field, StructuredField):
            kept = {name: value for name, value in options.items() if name not in ("encoder", "decoder")}
            return StructureField, kept | {"structure": model_field.structure}
        if issubclass(kind, serializers.CharField) and _is_in_a_key(model_field):
            options.setdefault("max_length", schema.MAX_NAME_LENGTH)
        return kind, options

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        row = self.instance if self.instance is not None else self.Meta.model()  # type: ignore[misc]
        assert isinstance(row, Model)
        kept = {} if row._state.adding else {name: getattr(row, name) for name in attrs}
        for name, value in attrs.items():
            setattr(row, name, value)
        try:
            row.clean()
            row.validate_constraints(exclude=[name for name in ("id",) if self.instance is None])
        except DjangoValidationError as error:
            for name, value in kept.items():
                setattr(row, name, value)
            raise ValidationError(self._by_field(error)) from error
        return attrs

    def _by_field(self, error: DjangoValidationError) -> Any:
        """The model's complaints under the names that the body has for its columns."""
        if not hasattr(error, "error_dict"):
            return error.messages
        names = {field.source: name for name, field in self.fields.items()}
        found: dict[str, list[str]] = {}
        for column, texts in error.message_dict.items():
            for text in texts:
                # What the database's own checks say begins with their column (wedsync_monitor.schema).
                place = text.split(" ", 1)[0] if column == NON_FIELD_ERRORS else column
                found.setdefault(names.get(place, column), []).append(text)
        return found


class StrictBody(serializers.Serializer[Any]):
    """A request body of its own, as strict as those of rows."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            refuse_misfits(self, data)
        return super().to_internal_value(data)
