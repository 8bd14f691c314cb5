"""What list filters share: spans of time by `from` and `to`."""

from __future__ import annotations

from django_filters import rest_framework as filters


def since(field: str) -> filters.IsoDateTimeFilter:
    """`?from=`: rows at that moment or later."""
    return filters.IsoDateTimeFilter(field_name=field, lookup_expr="gte")


def until(field: str) -> filters.IsoDateTimeFilter:
    """`?to=`: rows before that moment."""
    return filters.IsoDateTimeFilter(field_name=field, lookup_expr="lt")
