"""Values of declared structures in their one short writing: in declared order, without what is as by default.

msgspec's own omit_defaults asks whether a value is the default object itself, and so keeps a 300 that was read.
Pure: no Django.
"""

from __future__ import annotations

from typing import Any

import msgspec


def brief(structure: Any, value: Any) -> Any:
    """`value`, plain data, as `structure` has it. Raises msgspec.ValidationError where it does not fit."""
    return _plain(msgspec.convert(value, structure))


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        tag = {config.tag_field: config.tag} if config.tag_field else {}
        told = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(value))
        return tag | {field.encode_name: _plain(one) for field, one in told if one != _default(field)}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
