"""What list filters share: spans of time by `from` and `to`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django_filters import fields
from django_filters import rest_framework as filters

from wedsync_monitor.web.serializers import is_usual


class MomentFormField(fields.IsoDateTimeField):
    """ISO 8601 within the years that all parts of the system can compute with."""

    def to_python(self, value: Any) -> datetime | None:
        refused = forms.ValidationError("send a year from 1900 to 2199")
        try:
            moment: datetime | None = super().to_python(value)
        except OverflowError as error:
            raise refused from error
        if moment is not None and not is_usual(moment):
            raise refused
        return moment


class MomentFilter(filters.IsoDateTimeFilter):
    field_class: type[forms.Field] = MomentFormField


def since(field: str) -> Any:
    """`?from=`: rows at that moment or later."""
    return MomentFilter(field_name=field, lookup_expr="gte")


def until(field: str) -> Any:
    """`?to=`: rows before that moment."""
    return MomentFilter(field_name=field, lookup_expr="lt")
