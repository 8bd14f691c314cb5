"""Rows as files write them: by name, what is as by default left out, secrets masked; and all of it as one file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Model, QuerySet
from rest_framework.exceptions import ValidationError

from wedsync_monitor import policy, secrets
from wedsync_monitor.configuration import text
from wedsync_monitor.configuration.brief import brief
from wedsync_monitor.configuration.kinds import REQUIRED, Column, Kind
from wedsync_monitor.configuration.registry import kinds
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.serializers import MomentField

Document = dict[str, Any]
Names = Mapping[tuple[type[Model], str], str]


@dataclass(frozen=True)
class Stored:
    """The rows of a kind with their documents. `ambiguous` are names that several rows have: files cannot mean them."""

    rows: Mapping[str, Model]
    documents: Mapping[str, Document]
    ambiguous: frozenset[str]


def readable(kind: Kind, person: User | None) -> QuerySet[Any]:
    """The rows that `person` may read; all of them for None."""
    rows = kind.model._default_manager.all()
    return rows if person is None else policy.permitted(person, Verb.READ, kind.resource, rows)


def stored(kind: Kind, now: datetime, person: User | None) -> Stored:
    """The rows of `kind` that are configuration now, in the order of their names; of `person` (None: of everybody)
    those that they may read."""
    # Not sorted by the database: its order of letters is that of its own locale.
    rows = sorted(kind.current(readable(kind, person), now), key=lambda row: getattr(row, kind.name))
    grouped: dict[str, list[Model]] = defaultdict(list)
    for row in rows:
        grouped[getattr(row, kind.name)].append(row)
    single = {name: found[0] for name, found in grouped.items() if len(found) == 1}
    documents = dict(zip(single, documents_of(kind, list(single.values())), strict=True))
    return Stored(single, documents, frozenset(grouped) - frozenset(single))


def documents_of(kind: Kind, rows: Sequence[Model]) -> list[Document]:
    """Every column of each row, by the names that files have for them."""
    columns = kind.columns.values()
    return written(kind, [{column.field: getattr(row, column.attribute) for column in columns} for row in rows])


def written(kind: Kind, values: Sequence[Document]) -> list[Document]:
    """Values by the names of their fields, as the tables have them, as files write them. Some may be missing."""
    names = _names(kind, values)
    return [
        {name: _as_written(column, found[name], names) for name, column in kind.columns.items() if name in found}
        for found in values
    ]


def _names(kind: Kind, values: Sequence[Document]) -> Names:
    """The names behind the ids in `values`: one query for each kind of reference."""
    found: dict[tuple[type[Model], str], str] = {}
    for column in kind.columns.values():
        if (reference := column.reference) is None:
            continue
        ids = {str(one) for value in values for one in _listed(value.get(column.field))}
        if ids:
            rows = reference.model._default_manager.filter(pk__in=ids).values_list("pk", reference.column)
            found |= {(reference.model, str(pk)): name for pk, name in rows}
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _as_written(column: Column, value: Any, names: Names) -> Any:
    if (reference := column.reference) is not None and value is not None:
        # What is gone keeps its id: nothing else is known of it.
        named = [names.get((reference.model, str(one)), str(one)) for one in _listed(value)]
        return named if reference.many else named[0]
    if isinstance(value, datetime):
        return _moment_text(value)
    if isinstance(value, UUID | Decimal):
        return str(value)
    return normal(column, secrets.mask(value)) if column.structure is not None else value


def normal(column: Column, value: Any) -> Any:
    """`value` in the one writing that files have of it; as it is, where it does not fit."""
    if column.structure is not None and value is not None:
        try:
            return brief(column.structure, value)
        except msgspec.ValidationError:
            return value
    if column.is_moment and isinstance(value, str):
        try:
            return _moment_text(MomentField().run_validation(value))
        except ValidationError:
            return value
    return value


def _moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def short(kind: Kind, document: Document) -> Document:
    """A document without what is as by default."""
    defaults = {column.field: column.otherwise() for column in kind.columns.values()}
    return {name: value for name, value in document.items() if defaults[name] is REQUIRED or value != defaults[name]}


def exported(person: User | None, now: datetime, sections: Iterable[str] = ()) -> str:
    """The configuration that `person` may read (None: all of it) as YAML, or only these `sections` of it."""
    wanted = set(sections) or set(kinds())
    data: dict[str, Any] = {}
    left_out = []
    for section, kind in kinds().items():
        if section not in wanted or not (person is None or policy.may(person, Verb.READ, kind.resource)):
            continue
        found = stored(kind, now, person)
        data[section] = {name: short(kind, document) for name, document in found.documents.items()}
        left_out += [f"# Left out, since several have this name: {section} {name!r}\n" for name in found.ambiguous]
    return "".join(sorted(left_out)) + text.written(data)
