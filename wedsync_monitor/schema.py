"""How the specification's columns are written as Django fields: the small vocabulary that every models.py shares."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


def uuid_key() -> models.UUIDField[Any, Any]:
    """A UUID primary key that PostgreSQL also fills in for rows written by plain SQL."""
    return models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False)


def created_at() -> models.DateTimeField[Any, Any]:
    return models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)


def updated_at() -> models.DateTimeField[Any, Any]:
    return models.DateTimeField(auto_now=True, db_default=Now())


def fixed(value: Any) -> dict[str, Any]:
    """The same default in Python and in the database."""
    return {"default": value, "db_default": value}


def choice(choices: type[models.TextChoices], default: Any = None, **options: Any) -> models.TextField[Any, Any]:
    """A TEXT column of declared values; pair it with `one_of` in Meta.constraints."""
    if default is not None:
        options |= fixed(str(default))
    return models.TextField(choices=choices.choices, **options)


def empty_is_null(column: models.Field[Any, Any], field: forms.Field | None) -> forms.Field | None:
    """`column`'s form `field`, where an empty text means NULL if the column may be NULL."""
    if column.null and isinstance(field, forms.CharField):
        field.empty_value = None
    return field


def formfield(column: models.Field[Any, Any], **options: Any) -> forms.Field | None:
    """How ModelForms make the form field of `column` (their formfield_callback)."""
    return empty_is_null(column, column.formfield(**options))


def one_of(table: str, column: str, choices: type[models.TextChoices]) -> models.CheckConstraint:
    """The database's own check that `column` of `table` holds one of `choices`."""
    return models.CheckConstraint(
        condition=models.Q(**{f"{column}__in": choices.values}),
        name=f"{table}_{column}_known",
        violation_error_message=f"{column} must be one of: {', '.join(choices.values)}.",
    )


def in_range(table: str, column: str, low: float | None = None, high: float | None = None) -> models.CheckConstraint:
    """The database's own check that low <= `column` <= high; a bound of None is open."""
    bounds = {f"{column}__gte": low, f"{column}__lte": high}
    text = f"at least {low}" if high is None else f"at most {high}" if low is None else f"from {low} to {high}"
    return models.CheckConstraint(
        condition=models.Q(**{key: bound for key, bound in bounds.items() if bound is not None}),
        name=f"{table}_{column}_range",
        violation_error_message=f"{column} must be {text}.",
    )
