"""JSON paths as far as checks need them: `$.data.items[0].name`, `[-1]`, `['a key']`, `[*]`, `.*`. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MAX_FOUND = 10_000
_PART = re.compile(
    r"""\.(?P<name>[^.\[\]'"*\s]+) | \[(?P<index>-?[0-9]{1,9})\] | (?P<all>\.\*|\[\*\])
    | \[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]""",
    re.VERBOSE,
)

Part = str | int | None


@lru_cache(maxsize=1024)
def parsed(path: str) -> tuple[Part, ...]:
    """Names, indexes, and None for all. Raises ValueError."""
    text = path.strip()
    text = text[1:] if text.startswith("$") else text if text.startswith("[") else f".{text}"
    parts: list[Part] = []
    place = 0
    while place < len(text):
        match = _PART.match(text, place)
        if match is None:
            raise ValueError(
                f"the JSON path {path!r} cannot be read from {text[place:]!r} on: send $.a.b[0] or $.a[*].b"
            )
        found = match.groupdict()
        index = found["index"]
        parts.append(None if found["all"] else int(index) if index else found["name"] or found["key"] or "")
        place = match.end()
    return tuple(parts)


def find(document: Any, path: str) -> list[Any]:
    """Every value at `path`, at most MAX_FOUND. Raises ValueError for a path that cannot be read."""
    found = [document]
    for part in parsed(path):
        found = [inner for value in found for inner in _inside(value, part)][:MAX_FOUND]
    return found


def _inside(value: Any, part: Part) -> list[Any]:
    if part is None:
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if isinstance(part, int):
        fits = isinstance(value, list) and -len(value) <= part < len(value)
        return [value[part]] if fits else []
    return [value[part]] if isinstance(value, dict) and part in value else []
