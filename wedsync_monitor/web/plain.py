"""REST views of a plain configuration table: list, create, read, change, delete, without rules of their own."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer


def views_of(
    rows: QuerySet[Any], resource: str, plural: str, serializer: type[StrictSerializer], filterset: Any = None
) -> tuple[type[Resources], type[Resource]]:
    """List and detail views of `rows`; the list has the envelope {plural: [...]}."""
    name = rows.model.__name__
    shared = {"policy_resource": resource, "serializer_class": serializer, "rows": rows}
    listing = {"listed_as": plural, "filterset_class": filterset, "__doc__": f"List and create {plural}."}
    many = type(f"{name}List", (Resources,), {**shared, **listing})
    one = type(f"{name}Detail", (Resource,), {**shared, "__doc__": f"One of the {plural}."})
    return many, one
