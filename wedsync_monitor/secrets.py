"""Secrets inside JSON values: sealed at rest (Fernet), masked wherever they would be shown."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

MASK = "********"
_SEALED = "sealed:v1:"


class Unreadable(Exception):
    """A sealed secret cannot be opened with this installation's key."""


def _fernet() -> Fernet:
    digest = hashlib.sha256(b"wedsync sealed secrets" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def seal_text(text: str) -> str:
    return text if text.startswith(_SEALED) else _SEALED + _fernet().encrypt(text.encode()).decode()


def open_text(text: str) -> str:
    """The clear text of a sealed string; other strings are answered as they are. Raises Unreadable."""
    if not text.startswith(_SEALED):
        return text
    try:
        return _fernet().decrypt(text[len(_SEALED) :].encode()).decode()
    except InvalidToken as error:
        raise Unreadable("a stored secret was sealed with another secret key; enter it again") from error


def _map_strings(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: _map_strings(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_strings(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def mask(value: Any) -> Any:
    """`value` as people, logs, audit rows and exports may see it."""
    return _map_strings(value, lambda text: MASK if text.startswith(_SEALED) else text)


def reveal(value: Any) -> Any:
    """`value` with every sealed string opened, for the code that uses it. Raises Unreadable."""
    return _map_strings(value, open_text)


def holds_mask(value: Any) -> bool:
    """Whether a string somewhere in `value` is the mask, sent back by a form or program that was shown it."""
    if isinstance(value, dict):
        return any(holds_mask(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_mask(item) for item in value)
    return bool(value == MASK)


def holds_sealed(value: Any) -> bool:
    """Whether a string somewhere in `value` is a secret as it is stored."""
    return holds_mask(mask(value))


def destinations(structure: Any, value: Any) -> dict[str, Any]:
    """Where the secrets of `value` go: the fields that `structure` declares as a Destination."""
    info = msgspec.inspect.type_info(structure)
    if not isinstance(info, msgspec.inspect.StructType) or not isinstance(value, dict):
        return {}
    return {
        field.encode_name: value.get(field.encode_name) or None for field in info.fields if _is_destination(field.type)
    }


def _is_destination(info: Any) -> bool:
    inner = info.item_type if isinstance(info, msgspec.inspect.ListType) else info
    return isinstance(inner, msgspec.inspect.Metadata) and bool((inner.extra or {}).get("destination"))


def holds_text(value: Any, part: str) -> bool:
    """Whether a string or key somewhere in `value` contains `part`."""
    if isinstance(value, dict):
        return any(part in str(key) or holds_text(item, part) for key, item in value.items())
    if isinstance(value, list):
        return any(holds_text(item, part) for item in value)
    return isinstance(value, str) and part in value


def restore_masked(value: Any, stored: Any) -> Any:
    """Put back what is `stored` at the same place wherever `value` still shows the mask.

    An item of a list gets the secrets of the stored item that is otherwise the same: a secret never moves to an item
    with, for instance, another address. Items that look the same keep theirs in order; where one of those is gone,
    nobody can say whose secret is left, and the mask stays.
    """
    if isinstance(value, dict):
        old = stored if isinstance(stored, dict) else {}
        return {key: restore_masked(item, old.get(key)) for key, item in value.items()}
    if isinstance(value, list):
        olds = stored if isinstance(stored, list) else []
        return [_restore_item(place, value, olds) for place in range(len(value))]
    return stored if value == MASK and stored is not None else value


def _restore_item(place: int, items: list[Any], olds: list[Any]) -> Any:
    item = items[place]
    if not holds_mask(item):
        return item
    alike = [old for old in olds if _looks_like(item, old)]
    if len(alike) > 1:
        same = [index for index, other in enumerate(items) if _looks_like(other, alike[0])]
        alike = [alike[same.index(place)]] if len(same) == len(alike) else []
    return restore_masked(item, alike[0] if alike else None)


def _looks_like(item: Any, old: Any) -> bool:
    return bool(_as_shown(item, old) == mask(old))


def _as_shown(item: Any, old: Any) -> Any:
    """`item` with the secrets that were entered anew masked too, where `old` has a secret at that place."""
    if isinstance(item, dict) and isinstance(old, dict):
        return {key: _as_shown(value, old.get(key)) for key, value in item.items()}
    if isinstance(item, list) and isinstance(old, list):
        return [_as_shown(value, old[place] if place < len(old) else None) for place, value in enumerate(item)]
    return MASK if isinstance(item, str) and isinstance(old, str) and old.startswith(_SEALED) else item


def seal(structure: Any, value: Any) -> Any:
    """Seal every string of `value` that `structure` declares as a Secret."""
    return map_secrets(structure, value, seal_text)


def map_secrets(structure: Any, value: Any, change: Callable[[str], str]) -> Any:
    """`value` with `change` applied to every string that `structure` declares as a Secret."""
    return _mapped(msgspec.inspect.type_info(structure), value, change)


def _mapped(info: Any, value: Any, change: Callable[[str], str]) -> Any:
    kind = msgspec.inspect
    if isinstance(info, kind.Metadata):
        if (info.extra or {}).get("secret") and isinstance(value, str):
            return change(value)
        return _mapped(info.type, value, change)
    if isinstance(info, kind.UnionType):
        return _mapped_union(info, value, change)
    if isinstance(info, kind.StructType) and isinstance(value, dict):
        types = {field.encode_name: field.type for field in info.fields}
        return {key: _mapped(types[key], item, change) if key in types else item for key, item in value.items()}
    if isinstance(info, kind.DictType) and isinstance(value, dict):
        return {key: _mapped(info.value_type, item, change) for key, item in value.items()}
    if isinstance(info, kind.ListType) and isinstance(value, list):
        return [_mapped(info.item_type, item, change) for item in value]
    return value


def _mapped_union(info: Any, value: Any, change: Callable[[str], str]) -> Any:
    for member in info.types:
        inner = member.type if isinstance(member, msgspec.inspect.Metadata) else member
        if isinstance(inner, msgspec.inspect.StructType):
            tag = value.get(inner.tag_field) if isinstance(value, dict) and inner.tag_field else None
            if tag == inner.tag:
                return _mapped(member, value, change)
        elif not isinstance(inner, msgspec.inspect.NoneType) and value is not None:
            return _mapped(member, value, change)
    return value
