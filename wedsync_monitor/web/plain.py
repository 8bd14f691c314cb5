"""REST views of a plain configuration table: list, create, read, change, delete, without rules of their own."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from rest_framework.request import Request
from rest_framework.response import Response

from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer


def views_of(
    model: type[Model], resource: str, plural: str, columns: list[str], read_only: list[str] | None = None
) -> tuple[type[Resources], type[Resource]]:
    """List and detail views of `model`; the list has the envelope {plural: [...]}."""
    name = model.__name__
    fixed = ["created_at", "updated_at", *(read_only or [])]
    meta = type("Meta", (), {"model": model, "fields": columns, "read_only_fields": [c for c in columns if c in fixed]})
    serializer = type(f"{name}Serializer", (StrictSerializer,), {"Meta": meta})

    def listed(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response({plural: self.get_serializer(page, many=True).data})

    shared = {"policy_resource": resource, "serializer_class": serializer, "rows": model._default_manager.all()}
    many = type(f"{name}List", (Resources,), {**shared, "list": listed, "__doc__": f"List and create {plural}."})
    one = type(f"{name}Detail", (Resource,), {**shared, "__doc__": f"One of the {plural}."})
    return many, one
