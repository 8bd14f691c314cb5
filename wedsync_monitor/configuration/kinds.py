"""How files write the rows of one table: an app says it in its `configuration.py`, on top of what its API says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import DateTimeField, ForeignKey, JSONField, Model, QuerySet

from wedsync_monitor.structured import StructuredField
from wedsync_monitor.web.resources import StrictSerializer

# What a column has where a file does not say it; a column without it must be written.
REQUIRED = object()


@dataclass(frozen=True)
class Reference:
    """A field that names rows of `model` by `column` in files, and by their ids in the API; `many` is a list."""

    field: str
    model: type[Model]
    column: str
    many: bool = False

    @property
    def noun(self) -> str:
        return str(self.model._meta.verbose_name)


@dataclass(frozen=True)
class Column:
    """A field of a file: `api` is its name in the serializer, `stored` in the table, `attribute` that of its value."""

    field: str
    api: str
    stored: str
    attribute: str
    default: Any
    structure: Any = None
    reference: Reference | None = None
    is_moment: bool = False

    def otherwise(self) -> Any:
        """What it has where a file leaves it out."""
        return self.default() if callable(self.default) else self.default


@dataclass(frozen=True)
class Kind:
    """Rows of one table: `section` of a file, whose entries are keyed by the column `name`.

    `serializer` is that of the API: its writable fields are the file's, but `left_out`, and what it checks is checked.
    `current` says which rows are configuration and not history.
    `refusals` are what deleting a row may raise, with a sentence for people.
    """

    section: str
    resource: str
    serializer: type[StrictSerializer]
    name: str
    references: Mapping[str, Reference] = dataclasses.field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    current: Callable[[QuerySet[Any], datetime], QuerySet[Any]] = lambda rows, now: rows
    refusals: tuple[type[Exception], ...] = ()

    @property
    def model(self) -> type[Model]:
        model: type[Model] = self.serializer.Meta.model  # type: ignore[attr-defined]
        return model

    @cached_property
    def columns(self) -> dict[str, Column]:
        """By their names in files, in the order that the API has them."""
        offered = self.serializer().fields.items()
        skipped = self.left_out | {self.name}
        found = (_column(self, name, one) for name, one in offered if not one.read_only and name not in skipped)
        return {column.field: column for column in found}


def _column(kind: Kind, name: str, offered: Any) -> Column:
    stored: Any = kind.model._meta.get_field(offered.source)
    reference = kind.references.get(name)
    default = stored.get_default if stored.has_default() else None if stored.null else REQUIRED
    structure = stored.structure if isinstance(stored, StructuredField) else None
    attribute = stored.attname if isinstance(stored, ForeignKey | JSONField) else stored.name
    is_moment = isinstance(stored, DateTimeField)
    field = reference.field if reference else name
    return Column(field, name, stored.name, attribute, default, structure, reference, is_moment)
