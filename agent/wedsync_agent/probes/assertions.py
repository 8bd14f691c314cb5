"""What is expected of an answer, and in which words it is told where it is not so. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import msgspec
import re2

from wedsync_agent.checks import Assertion, Extraction
from wedsync_agent.probes import jsonpath
from wedsync_agent.probes.base import Trouble

Fill = Callable[[str], str]
_SHOWN = 120


@lru_cache(maxsize=4096)
def pattern(text: str) -> Any:
    """An RE2 pattern: linear in time whatever is written. Raises Trouble."""
    options = re2.Options()
    options.log_errors, options.max_mem = False, 1 << 20
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise Trouble("configuration", f"the pattern {text[:100]!r} cannot be read: {error}") from error


class Seen:
    """An answer as expectations look at it; the body is unpacked and read only where one asks for it."""

    def __init__(self, status: int, headers: Mapping[str, str], unpack: Callable[[], bytes], took: Callable[[], float]):
        self.status, self.headers = status, headers
        self._unpack, self._took = unpack, took

    @cached_property
    def body(self) -> str:
        return self._unpack().decode("utf-8", "replace")

    @cached_property
    def document(self) -> Any:
        try:
            return msgspec.json.decode(self._unpack())
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Trouble("expectation", f"the body is not JSON: {error}") from error

    def values(self, source: str, path: str) -> list[Any]:
        """What there is: none, one, or what a JSON path finds."""
        if source == "json":
            return _found(self.document, path)
        if source == "header":
            value = self.headers.get(path.lower())
            return [] if value is None else [value]
        if source == "time_ms":
            return [self._took()]
        return [self.body if source == "body" else self.status]


def _found(document: Any, path: str) -> list[Any]:
    try:
        return jsonpath.find(document, path)
    except ValueError as error:
        raise Trouble("configuration", str(error)) from error


def status_failure(status: int, expected: Sequence[int | str], otherwise: str) -> str | None:
    """Why `status` is not among the expected codes and ranges (`200-299`, `2xx`), of which one is enough."""
    ranges = expected or [otherwise]
    if any(_covers(one, status) for one in ranges):
        return None
    return f"status {status}, expected {' or '.join(map(str, ranges))}"


@lru_cache(maxsize=4096)
def _covers(expected: int | str, status: int) -> bool:
    if isinstance(expected, int):
        return status == expected
    if expected.endswith("xx"):
        return status // 100 == int(expected[0])
    least, _, most = expected.partition("-")
    return int(least) <= status <= int(most)


def content_failure(seen: Seen, content: str) -> str | None:
    return None if not content or content in seen.body else f"the body does not contain {_shown(content)}"


def failures(seen: Seen, assertions: Sequence[Assertion], fill: Fill) -> list[str]:
    """A sentence for each assertion that does not hold."""
    told = []
    for one in assertions:
        try:
            said = failure(seen, one, fill)
        except Trouble as trouble:
            if trouble.problem != "expectation":
                raise
            said = trouble.sentence
        if said and said not in told:
            told.append(said)
    return told


def failure(seen: Seen, one: Assertion, fill: Fill) -> str | None:
    """Why the assertion does not hold, or None where it does."""
    wanted = fill(one.value) if isinstance(one.value, str) else one.value
    found = seen.values(one.source, one.path)
    name = {"header": f"header {one.path}", "json": one.path, "body": "the body", "time_ms": "the time in ms"}.get(
        one.source, one.source
    )
    if one.op in ("exists", "missing"):
        holds = bool(found) == (one.op == "exists")
        return None if holds else f"{name} is {'missing' if one.op == 'exists' else 'there'}"
    if not found:
        return f"{name} is missing"
    compare = _OPERATIONS[one.op.removeprefix("not_")]
    fits = [compare(value, wanted) for value in found]
    if one.op.startswith("not_"):
        return None if not any(fits) else f"{name} {_WORDS[one.op]} {_shown(wanted)}"
    if any(fits):
        return None
    expected = " ".join(filter(None, ("expected", _WORDS[one.op], _shown(wanted))))
    return f"{name}: {expected}" if one.source == "body" else f"{name} is {_shown(found[0])}, {expected}"


def _equals(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, (int, float)) and isinstance(wanted, str):
        return str(value) == wanted
    return bool(value == wanted)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(_equals(item, wanted) for item in value)
    return _text(wanted) in _text(value)


def _matches(value: Any, wanted: Any) -> bool:
    return pattern(_text(wanted)).search(_text(value)) is not None


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) or value is None else float(value)
    except (ValueError, TypeError):
        return None


def _greater(value: Any, wanted: Any) -> bool:
    return _compared(value, wanted) > 0


def _less(value: Any, wanted: Any) -> bool:
    return _compared(value, wanted) < 0


def _compared(value: Any, wanted: Any) -> float:
    limit, number = _number(wanted), _number(value)
    if limit is None:
        raise Trouble("configuration", f"greater and less compare with a number; {wanted!r} is none")
    return 0.0 if number is None else number - limit


_OPERATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": _equals,
    "contains": _contains,
    "matches": _matches,
    "greater": _greater,
    "less": _less,
}
_WORDS = {
    "equals": "", "contains": "to contain", "matches": "to match", "greater": "more than", "less": "less than",
    "not_equals": "is", "not_contains": "contains", "not_matches": "matches",
}  # fmt: skip


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def extracted(seen: Seen, one: Extraction) -> str:
    """The value to keep. Raises Trouble where there is none."""
    if one.source == "body":
        match = pattern(one.path).search(seen.body)
        found = [] if match is None else [match.group(1) if match.re.groups else match.group(0)]
    else:
        found = seen.values(one.source, one.path)
    if not found or found[0] is None:
        raise Trouble("expectation", f"nothing to extract as {one.name}: {one.source} {one.path} is not there")
    return _text(found[0])
