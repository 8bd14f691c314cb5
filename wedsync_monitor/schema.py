"""How the specification's columns are written as Django fields: the small vocabulary that every models.py shares."""

from __future__ import annotations

import copy
import itertools
import uuid
from typing import Any

from django import forms
from django.contrib.postgres.functions import RandomUUID
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

# A unique name is in a B-tree, whose entries are bounded; no name of anything is longer.
MAX_NAME_LENGTH = 200


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


def text_options(column: models.Field[Any, Any]) -> dict[str, Any]:
    """What a text column asks of its form field: an empty one means NULL where it may, and a name is bounded."""
    if not isinstance(column, models.TextField) or column.choices:
        return {}
    options: dict[str, Any] = {"empty_value": None} if column.null else {}
    return options | ({"max_length": MAX_NAME_LENGTH} if column.unique else {})


def formfield(column: models.Field[Any, Any], **options: Any) -> forms.Field | None:
    """How ModelForms make the form field of `column` (their formfield_callback)."""
    return column.formfield(**(text_options(column) | options))


class ColumnCheck(models.CheckConstraint):
    """The database's own check of one column; in forms its complaint stands next to that column."""

    def __init__(self, *, column: str, **options: Any):
        self.column = column
        super().__init__(**options)

    def validate(self, *args: Any, **options: Any) -> None:
        try:
            super().validate(*args, **options)
        except ValidationError as error:
            raise ValidationError({self.column: error}) from error

    def clone(self) -> ColumnCheck:
        return copy.copy(self)

    def deconstruct(self) -> Any:
        """Migrations know it as Django's."""
        _, args, kwargs = super().deconstruct()
        return "django.db.models.CheckConstraint", args, kwargs


def one_of(table: str, column: str, choices: type[models.TextChoices]) -> ColumnCheck:
    """The database's own check that `column` of `table` holds one of `choices`."""
    return ColumnCheck(
        column=column,
        condition=models.Q(**{f"{column}__in": choices.values}),
        name=f"{table}_{column}_known",
        violation_error_message=f"{column} must be one of: {', '.join(choices.values)}.",
    )


def in_range(table: str, column: str, low: float | None = None, high: float | None = None) -> ColumnCheck:
    """The database's own check that low <= `column` <= high; a bound of None is open."""
    bounds = {f"{column}__gte": low, f"{column}__lte": high}
    text = f"at least {low}" if high is None else f"at most {high}" if low is None else f"from {low} to {high}"
    return ColumnCheck(
        column=column,
        condition=models.Q(**{key: bound for key, bound in bounds.items() if bound is not None}),
        name=f"{table}_{column}_range",
        violation_error_message=f"{column} must be {text}.",
    )


def free_name(model: type[models.Model], column: str, wanted: str) -> str:
    """`wanted`, or with a number behind it where another row has that name already."""
    taken = set(model._default_manager.filter(**{f"{column}__startswith": wanted}).values_list(column, flat=True))
    numbered = (f"{wanted}-{number}" for number in itertools.count(2))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)
