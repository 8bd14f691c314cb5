"""What to send where a value does not fit a structure: the fields or values that there are at that place. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import inspect

_STEP = re.compile(r"\.(?P<field>[^.\[]+)|\[(?P<place>\d+|\.\.\.)\]")
_AT = " - at `$"


def advised(structure: Any, value: Any, complaint: str) -> str:
    """msgspec's complaint of `value`, with what may stand there where it does not say so itself."""
    fault, at, path = complaint.partition(_AT)
    if fault.startswith("Invalid "):
        known, advice = _values(_types_at(structure, value, path)), "send one of"
    elif fault.startswith("Object contains unknown field"):
        known, advice = _fields(_types_at(structure, value, path)), "the fields are"
    else:
        return complaint
    return f"{fault}; {advice}: {', '.join(dict.fromkeys(known))}{at}{path}" if known else complaint


def _types_at(structure: Any, value: Any, path: str) -> list[inspect.Type]:
    """What `structure` has at msgspec's `path` (`[0].operator`)."""
    found = _options(inspect.type_info(structure), value)
    for step in _STEP.finditer(path.rstrip("`")):
        found = [one for kind in found for one in _inside(kind, step["field"])]
        value = _part(value, step["field"], step["place"])
        found = [one for kind in found for one in _options(kind, value)]
    return found


def _options(kind: inspect.Type, value: Any) -> list[inspect.Type]:
    """The types that `kind` is made of; of tagged ones that which the value's tag names, where it names one."""
    if isinstance(kind, inspect.Metadata):
        return _options(kind.type, value)
    if not isinstance(kind, inspect.UnionType):
        return [kind]
    parts = [part for one in kind.types for part in _options(one, value)]
    given = value if isinstance(value, dict) else {}
    named: list[inspect.Type] = [
        one for one in parts if isinstance(one, inspect.StructType) and one.tag == given.get(one.tag_field, one)
    ]
    return named or parts


def _inside(kind: inspect.Type, field: str | None) -> list[inspect.Type]:
    """The type of a field of a structure, or of what a list or mapping holds."""
    if isinstance(kind, inspect.StructType):
        if field is not None and field == kind.tag_field:
            return [inspect.LiteralType((kind.tag,))]  # type: ignore[arg-type]
        return [one.type for one in kind.fields if one.encode_name == field]
    if isinstance(kind, inspect.DictType):
        return [kind.value_type]
    return [kind.item_type] if isinstance(kind, inspect.ListType | inspect.VarTupleType) else []


def _part(value: Any, field: str | None, place: str | None) -> Any:
    if isinstance(value, dict) and field is not None:
        return value.get(field)
    return value[int(place)] if isinstance(value, list) and place and place.isdigit() else None


def _values(kinds: Iterable[inspect.Type]) -> list[str]:
    found: list[str] = []
    for kind in kinds:
        if isinstance(kind, inspect.LiteralType):
            found += map(str, kind.values)
        elif isinstance(kind, inspect.EnumType):
            found += [str(one.value) for one in kind.cls]
    return found


def _fields(kinds: Iterable[inspect.Type]) -> list[str]:
    found: list[str] = []
    for kind in kinds:
        if isinstance(kind, inspect.StructType):
            found += ([kind.tag_field] if kind.tag_field else []) + [one.encode_name for one in kind.fields]
    return found
