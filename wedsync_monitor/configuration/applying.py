"""What files of configuration change: planned, or applied, all or nothing.

1. Every entry is compared with what is stored, in the names and defaults of files; what is equal is left alone.
2. What differs is written through the API's serializer: the same checks, the same audit entries, one transaction.
   What an entry refers to may be made by a later one: entries that were refused are tried again after the others,
   until none gets through any more.
3. With `prune`, rows of the sections that the files speak of and do not name are deleted.

A plan is the same, taken back at the end: it finds whatever applying would find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.db.models.deletion import ProtectedError
from rest_framework.exceptions import APIException, ValidationError

from wedsync_monitor import policy
from wedsync_monitor.configuration import documents, wanted
from wedsync_monitor.configuration.differences import Difference, differences
from wedsync_monitor.configuration.documents import Stored
from wedsync_monitor.configuration.entries import Entry, Problem, Refused, Said
from wedsync_monitor.configuration.kinds import Column, Kind
from wedsync_monitor.configuration.registry import kinds
from wedsync_monitor.models import User
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import as_api_exception, flatten


class Action(StrEnum):
    """What becomes of a row; `unlisted`: no file names it, and it stays."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    UNLISTED = "unlisted"


@dataclass(frozen=True)
class Change:
    """One row. Of a new one the differences are its fields."""

    section: str
    name: str
    action: Action
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Order:
    """Who wants what: `person` None is whoever may run commands on the machine. `variables` are what ${NAME} means."""

    said: Said
    prune: bool
    person: User | None
    now: datetime
    variables: Mapping[str, str] = field(default_factory=dict)


def plan(order: Order) -> list[Change]:
    """What applying would change. Raises Refused."""
    with transaction.atomic():
        changes = _carry_out(order)
        transaction.set_rollback(True)
    return changes


def apply(order: Order) -> list[Change]:
    """Change it, all or nothing, and say what. Raises Refused."""
    with transaction.atomic():
        return _carry_out(order)


@dataclass(frozen=True)
class _Step:
    """An entry that is not as it is stored; `row` None where it is new."""

    entry: Entry
    row: Model | None
    want: wanted.Wanted
    change: Change


def _carry_out(order: Order) -> list[Change]:
    spoken_of = [section for section in kinds() if section in order.said.sections]
    known = {section: documents.stored(kinds()[section], order.now, order.person) for section in spoken_of}
    changes: list[Change] = []
    steps: list[_Step] = []
    problems: list[Problem] = []
    for section, found in known.items():
        for step in _compared(order, section, found, problems):
            changes.append(step.change)
            if step.change.action is not Action.UNCHANGED:
                steps.append(step)
    if problems:
        raise Refused(problems)
    _write_all(order, steps)
    return sorted(changes + _rest(order, known), key=lambda one: (list(kinds()).index(one.section), one.name))


def _compared(order: Order, section: str, found: Stored, problems: list[Problem]) -> list[_Step]:
    steps = []
    entries = [entry for entry in order.said.entries if entry.kind.section == section]
    new = [entry.name for entry in entries if entry.name not in found.rows]
    finished = _finished(order, kinds()[section], new)
    for entry in entries:
        if entry.name in found.ambiguous:
            problems.append(entry.problem("several have this name; give each its own first"))
            continue
        row = found.rows.get(entry.name)
        try:
            steps.append(_step(order, entry, row, found.documents.get(entry.name), finished.get(entry.name, [])))
        except Refused as error:
            problems += error.problems
    return steps


def _finished(order: Order, kind: Kind, names: Sequence[str]) -> dict[str, list[tuple[Model, documents.Document]]]:
    """Rows that were configuration, such as windows that are over: an entry that still says the same is done."""
    if not names:
        return {}
    rows = list(documents.readable(kind, order.person).filter(**{f"{kind.name}__in": names}))
    found: dict[str, list[tuple[Model, documents.Document]]] = {}
    for row, document in zip(rows, documents.documents_of(kind, rows), strict=True):
        found.setdefault(getattr(row, kind.name), []).append((row, document))
    return found


def _step(order: Order, entry: Entry, row: Model | None, document: Any, finished: Any) -> _Step:
    for old, as_it_was in finished:
        want = wanted.wanted(entry, old, order.variables)
        if want.shown == as_it_was:
            return _Step(entry, old, want, Change(entry.kind.section, entry.name, Action.UNCHANGED))
    want = wanted.wanted(entry, row, order.variables)
    if row is None:
        change = Change(entry.kind.section, entry.name, Action.CREATE, differences({}, wanted.summary(entry, want)))
    else:
        found = differences(document, want.shown)
        change = Change(entry.kind.section, entry.name, Action.CHANGE if found else Action.UNCHANGED, found)
    return _Step(entry, row, want, change)


def _write_all(order: Order, steps: Sequence[_Step]) -> None:
    while steps:
        refused: list[tuple[_Step, Refused]] = []
        for step in steps:
            try:
                with transaction.atomic():
                    _write(order, step)
            except Refused as error:
                refused.append((step, error))
        if len(refused) == len(steps):
            raise Refused(problem for _, error in refused for problem in error.problems)
        steps = [step for step, _ in refused]


def _write(order: Order, step: _Step) -> None:
    entry, kind, row = step.entry, step.entry.kind, step.row
    try:
        _check_policy(order.person, Verb.CREATE if row is None else Verb.CHANGE, kind, row)
        held = None if row is None else kind.model._base_manager.select_for_update(no_key=True).get(pk=row.pk)
        fields = {name: kind.columns[name] for name in step.want.given}
        data = {column.api: _for_api(column, step.want.given[name]) for name, column in fields.items()}
        serializer = kind.serializer(instance=held, data=data | {kind.name: entry.name})
        serializer.is_valid(raise_exception=True)
        made = row is None and hasattr(kind.model, "created_by")
        serializer.save(**({"created_by": order.person} if made else {}))
    except kind.model.DoesNotExist as error:  # type: ignore[attr-defined]
        raise Refused([entry.problem("was deleted meanwhile; plan again")]) from error
    except (APIException, DjangoValidationError, IntegrityError) as error:
        raise Refused(_problems(entry, error)) from error


def _check_policy(person: User | None, verb: Verb, kind: Kind, row: Model | None) -> None:
    if person is None:
        return
    allowed = (
        policy.may(person, verb, kind.resource) if row is None else policy.may_row(person, verb, kind.resource, row)
    )
    if not allowed:
        raise ValidationError(f"the roles of {person} do not allow to {verb} {kind.resource.replace('_', ' ')}")


def _for_api(column: Column, value: Any) -> Any:
    """`value` with ids in the place of names."""
    reference = column.reference
    if reference is None or value is None:
        return value
    names = value if reference.many else [value]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValidationError({column.api: "write a list of names" if reference.many else "write a name"})
    rows = reference.model._default_manager.filter(**{f"{reference.column}__in": names})
    known = {name: str(pk) for pk, name in rows.values_list("pk", reference.column)}
    if strangers := [name for name in names if name not in known]:
        raise ValidationError({column.api: f"no {reference.noun} has the name {strangers[0][:80]!r}"})
    ids = [known[name] for name in names]
    return ids if reference.many else ids[0]


def _problems(entry: Entry, error: Exception) -> list[Problem]:
    told = as_api_exception(error)
    found = flatten(told.detail) if isinstance(told, APIException) else [{"field": "", "detail": str(told)}]
    return [entry.problem(one["detail"], entry.field_of(one["field"])) for one in found]


def _rest(order: Order, known: Mapping[str, Stored]) -> list[Change]:
    """The rows that no file names, those that refer to others before these."""
    named = {(entry.kind.section, entry.name) for entry in order.said.entries}
    changes, problems = [], []
    for section, found in reversed(list(known.items())):
        for name, row in found.rows.items():
            if (section, name) in named:
                continue
            changes.append(Change(section, name, Action.DELETE if order.prune else Action.UNLISTED))
            if order.prune:
                problems += _delete(order, kinds()[section], name, row)
    if problems:
        raise Refused(problems)
    return changes


def _delete(order: Order, kind: Kind, name: str, row: Model) -> list[Problem]:
    refusals: tuple[type[Exception], ...] = (ValidationError, ProtectedError, IntegrityError, *kind.refusals)
    try:
        with transaction.atomic():
            _check_policy(order.person, Verb.DELETE, kind, row)
            row.delete()
    except refusals as error:
        told = _problems(Entry("", kind, name, {}), error)
        return [replace(one, detail=f"cannot be deleted: {one.detail}") for one in told]
    return []
