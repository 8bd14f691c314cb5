"""An entry beside what is stored: what the API is given, and what would be different, with no secret shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wedsync_monitor import secrets
from wedsync_monitor.configuration.documents import Document, normal, short
from wedsync_monitor.configuration.entries import Entry, Problem, Refused
from wedsync_monitor.configuration.kinds import REQUIRED, Column

# What a secret is shown as that is not the one that is stored.
ANOTHER = f"{secrets.MASK} (another)"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Wanted:
    """`given` has the secrets themselves, `shown` is the document as it would be stored, with masks."""

    given: Document
    shown: Document


class _Unknown(LookupError):
    """No variable is called so."""


def wanted(entry: Entry, row: Any, variables: Mapping[str, str]) -> Wanted:
    """What `entry` asks for, beside `row` (None where there is none). Where a file has ${NAME} for a secret, it is
    the one of `variables`. Raises Refused."""
    given: Document = {}
    shown: Document = {}
    problems: list[Problem] = []
    for column in entry.kind.columns.values():
        value = entry.said.get(column.field, column.otherwise())
        if value is REQUIRED:
            continue
        try:
            given[column.field] = _filled(column, value, variables)
        except _Unknown as error:
            problems.append(entry.problem(str(error), column.field))
            continue
        shown[column.field] = normal(column, _masked(column, given[column.field], row))
    if problems:
        raise Refused(problems)
    return Wanted(given, shown)


def summary(entry: Entry, want: Wanted) -> Document:
    """What a new row would be, without what is as by default."""
    return short(entry.kind, want.shown)


def _filled(column: Column, value: Any, variables: Mapping[str, str]) -> Any:
    """`value` with the variables' values at the places of secrets."""

    def fill(said: str) -> str:
        named = _VARIABLE.fullmatch(said)
        if named is None:
            return said
        if named[1] not in variables:
            where = "in the environment" if variables else "here: variables are read by manage.py config alone"
            raise _Unknown(f"no variable {named[1]} is set {where}; set it, or write the secret or {secrets.MASK}")
        return variables[named[1]]

    return value if column.structure is None else secrets.map_secrets(column.structure, value, fill)


def _masked(column: Column, given: Any, row: Any) -> Any:
    """`given` with its secrets masked: those that are stored as MASK, others as ANOTHER."""
    if column.structure is None:
        return given
    masked = secrets.map_secrets(column.structure, given, lambda _: secrets.MASK)
    stored = None if row is None else getattr(row, column.attribute)
    return _compared(given, masked, secrets.restore_masked(masked, stored), row is None)


def _compared(given: Any, masked: Any, kept: Any, is_new: bool) -> Any:
    if isinstance(given, dict):
        return {key: _compared(given[key], masked[key], kept[key], is_new) for key in given}
    if isinstance(given, list):
        return [_compared(*three, is_new) for three in zip(given, masked, kept, strict=True)]
    if masked == given or is_new:
        return masked
    return secrets.MASK if _opens(kept, given) else ANOTHER


def _opens(kept: Any, given: str) -> bool:
    try:
        return bool(kept != secrets.MASK and secrets.open_text(kept) == given)
    except secrets.Unreadable:
        return False
