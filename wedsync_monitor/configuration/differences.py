"""What is different between two values of JSON, place by place. Pure: no Django."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MISSING = object()
_LONGEST = 300


@dataclass(frozen=True)
class Difference:
    """`field` is a path such as metric_conditions[0].threshold; what is not there is MISSING."""

    field: str
    before: Any
    after: Any

    @property
    def old(self) -> str:
        return shown(self.before)

    @property
    def new(self) -> str:
        return shown(self.after)

    @property
    def as_json(self) -> dict[str, Any]:
        """For answers: what is not there is left out."""
        sides = {"before": self.before, "after": self.after}
        return {"field": self.field} | {name: value for name, value in sides.items() if value is not MISSING}


def differences(before: Any, after: Any, place: str = "") -> tuple[Difference, ...]:
    """Every place at which `after` is not as `before`, as deep as both are objects or lists."""
    return tuple(_found(before, after, place))


def _found(before: Any, after: Any, place: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            inner = f"{place}.{key}" if place else key
            yield from _found(before.get(key, MISSING), after.get(key, MISSING), inner)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (side[index] if index < len(side) else MISSING for side in (before, after))
            yield from _found(old, new, f"{place}[{index}]")
    elif type(before) is bool or type(after) is bool:
        # True is 1 in Python, and not in JSON.
        if before is not after:
            yield Difference(place, before, after)
    elif before != after:
        yield Difference(place, before, after)


def shown(value: Any) -> str:
    """A value in one line, as JSON; nothing where it is not there."""
    if value is MISSING:
        return "(not there)"
    text = value if isinstance(value, str) else json.dumps(_whole(value), ensure_ascii=False, default=str)
    text = " ".join(text.split()) or '""'
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _whole(value: Any) -> Any:
    """Whole numbers without a decimal point, as files write them."""
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
