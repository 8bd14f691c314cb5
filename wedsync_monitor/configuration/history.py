"""What a configured row has been: its versions from the audit trail, with authors and differences, and restoring one.

A version is the row as an audit entry left it (of a deletion: as it was before). It is found by taking back, from the
row as it is now, what later entries say. Secrets are in no history: a restored version has those that are stored now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import CharField, Exists, OuterRef, QuerySet
from django.db.models.functions import Cast
from django.http import Http404

from wedsync_monitor import audit, secrets
from wedsync_monitor.configuration.differences import Difference, differences
from wedsync_monitor.configuration.documents import Document, short, written
from wedsync_monitor.configuration.kinds import Kind
from wedsync_monitor.models import AuditAction, AuditEntry, User


@dataclass(frozen=True)
class Version:
    """An audit entry, and what it changed in the names of files."""

    entry: AuditEntry
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Restored:
    """`left_out` says what could not be brought back."""

    row: Any
    left_out: tuple[str, ...]


def entries(kind: Kind, pk: UUID) -> QuerySet[AuditEntry]:
    """The audit entries of a row, newest first."""
    return AuditEntry.objects.filter(table_name=kind.model._meta.db_table, object_id=str(pk)).order_by("-at", "-id")


def deleted(kind: Kind) -> QuerySet[AuditEntry]:
    """The last deletions of rows that are not there, newest first."""
    own = AuditEntry.objects.filter(table_name=kind.model._meta.db_table, action=AuditAction.DELETE)
    again = own.filter(object_id=OuterRef("object_id"), id__gt=OuterRef("id"))
    ids = kind.model._default_manager.annotate(text=Cast("pk", CharField())).filter(text=OuterRef("object_id"))
    return own.exclude(Exists(again)).exclude(Exists(ids)).order_by("-at", "-id")


def versions(kind: Kind, page: Sequence[AuditEntry]) -> list[Version]:
    """What each of these entries changed; one query for each kind of row that they name."""
    sides = [_side(kind, entry, place) for entry in page for place in (0, 1)]
    told = written(kind, [columns for columns, _ in sides])
    full = [document | name for document, (_, name) in zip(told, sides, strict=True)]
    found = []
    for place, entry in enumerate(page):
        before, after = full[2 * place], full[2 * place + 1]
        if entry.action == AuditAction.CREATE:
            before, after = {}, _named(kind, after) | short(kind, _columns(kind, after))
        elif entry.action == AuditAction.DELETE:
            before, after = {}, {}
        found.append(Version(entry, differences(before, after)))
    return found


def _side(kind: Kind, entry: AuditEntry, place: int) -> tuple[Document, Document]:
    """What an entry says of before (0) or after (1): columns by the names of files, and the row's own name."""
    by_stored = {column.stored: column.field for column in kind.columns.values()}
    sides = {name: both[place] for name, both in entry.changes.items()}
    columns = {by_stored[name]: value for name, value in sides.items() if name in by_stored}
    return columns, {kind.name: sides[kind.name]} if kind.name in sides else {}


def _named(kind: Kind, document: Document) -> Document:
    return {kind.name: document[kind.name]} if kind.name in document else {}


def _columns(kind: Kind, document: Document) -> Document:
    return {name: value for name, value in document.items() if name in kind.columns}


def would_change(kind: Kind, pk: UUID, version: int) -> tuple[Difference, ...]:
    """What restoring `version` would change of the row as it is. Raises Http404 where it has no such version."""
    now, then = _now(kind, pk), _then(kind, pk, version)
    by_stored = {column.stored: column.field for column in kind.columns.values()}
    sides = [{by_stored[name]: value for name, value in side.items() if name in by_stored} for side in (now, then)]
    before, after = (
        document | _named(kind, side) for document, side in zip(written(kind, sides), (now, then), strict=True)
    )
    if not now:
        after = _named(kind, after) | short(kind, _columns(kind, after))
    return differences(before, after)


def restore(kind: Kind, pk: UUID, version: int, person: User) -> Restored:
    """Make the row what it was at `version`, or make it again where it is gone; an edit like any other.

    Raises Http404, and what the API's serializer raises for such a body. Items of lists, such as channels, whose secret
    is not stored any more are left out.
    """
    with transaction.atomic():
        row = kind.model._base_manager.select_for_update(no_key=True).filter(pk=pk).first()
        then = _then(kind, pk, version)
        stored = {column.stored: column for column in kind.columns.values()}
        data = {stored[name].api: value for name, value in then.items() if name in stored}
        left_out = _without_lost_secrets(data, row)
        serializer = kind.serializer(instance=row, data=data | {kind.name: then[kind.name]})
        serializer.is_valid(raise_exception=True)
        made = {} if row is not None else {"pk": pk}
        owned = {"created_by": person} if row is None and hasattr(kind.model, "created_by") else {}
        return Restored(serializer.save(**made, **owned), tuple(left_out))


def _now(kind: Kind, pk: UUID) -> dict[str, Any]:
    row = kind.model._default_manager.filter(pk=pk).first()
    return {} if row is None else audit.shown(row)


def _then(kind: Kind, pk: UUID, version: int) -> dict[str, Any]:
    """The stored columns as they were at `version`."""
    state = _now(kind, pk)
    later = entries(kind, pk).filter(id__gte=version).order_by("-id")
    for entry in later:
        if entry.id == version and entry.action != AuditAction.DELETE:
            return state
        state = state | {name: both[0] for name, both in entry.changes.items()}
        if entry.id == version:
            return state
    raise Http404


def _without_lost_secrets(data: Document, row: Any) -> list[str]:
    """Take the items out of the lists in `data` whose secrets are not with `row` (None: gone) any more; say which."""
    left_out = []
    for name, value in data.items():
        if not isinstance(value, list):
            continue
        stored = None if row is None else getattr(row, name, None)
        lost = [secrets.holds_mask([one]) for one in secrets.restore_masked(value, stored)]
        data[name] = [one for one, is_lost in zip(value, lost, strict=True) if not is_lost]
        kinds = [
            one.get("type", "item") if isinstance(one, dict) else "item"
            for one, gone in zip(value, lost, strict=True)
            if gone
        ]
        left_out += [f"{kind} in {name} is left out: no history has its secret. Add it again." for kind in kinds]
    return left_out
