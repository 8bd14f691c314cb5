"""Serializer parts that every API shares: structured columns, with the place of a mistake."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from wedsync_monitor import secrets
from wedsync_monitor.structured import problem_with

# msgspec ends its message with the place: "… - at `$[0].operator`".
_PLACE = re.compile(r"^(?P<problem>.*?) - at (?:`key` in )?`\$(?P<place>.*)`$", re.DOTALL)


class StructureField(serializers.JSONField):
    """A JSON column held to its declared structure; an error names the place, as in `conditions[0].operator`."""

    def __init__(self, *, structure: Any = None, **options: Any):
        self.structure = structure
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Any:
        if problem := problem_with(self.structure, data):
            raise ValidationError(placed(problem))
        if secrets.holds_mask(data) and self._is_new():
            raise ValidationError("send the secret itself instead of ********")
        return data

    def to_representation(self, value: Any) -> Any:
        return secrets.mask(value)

    def _is_new(self) -> bool:
        return getattr(self.parent, "instance", None) is None


def is_usual(moment: datetime) -> bool:
    """Whether `moment` is far enough from the ends of Python's calendar to compute with in every time zone."""
    return 1900 <= moment.year < 2200


class MomentField(serializers.DateTimeField):
    """A time in a year that one means."""

    def to_internal_value(self, value: Any) -> datetime:
        moment = super().to_internal_value(value)
        if not is_usual(moment):
            raise ValidationError("send a year from 1900 to 2199")
        return moment


def placed(problem: str) -> Any:
    """A structure's problem as DRF's error detail, below the place that it names."""
    found = _PLACE.match(problem)
    if not found:
        return [problem]
    place = found["place"].removeprefix(".")
    return {place: [found["problem"]]} if place else [found["problem"]]


class StructureFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Shows the declared structure in the OpenAPI schema."""

    target_class = StructureField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        template = "#/components/schemas/{name}"
        (shown,), parts = msgspec.json.schema_components((self.target.structure,), ref_template=template)
        for name, part in parts.items():
            component = ResolvedComponent(name, ResolvedComponent.SCHEMA, typed(part), f"structure {name}")  # type: ignore[no-untyped-call]
            auto_schema.registry.register_on_missing(component)
        return typed(shown)


def typed(part: Any) -> Any:
    """The same JSON Schema with a type beside every enumeration: they are all of texts, and readers look for it."""
    if isinstance(part, list):
        return [typed(one) for one in part]
    if not isinstance(part, dict):
        return part
    told = {name: typed(one) for name, one in part.items()}
    return told | {"type": "string"} if isinstance(told.get("enum"), list) else told
