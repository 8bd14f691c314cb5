"""Matchers of silences: comparisons with an alert's labels, as Alertmanager has them. Pure: no Django."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import re2
from msgspec import Meta


class Matcher(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """One comparison. A label that an alert does not have counts as empty; a pattern matches the whole value."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    value: Annotated[str, Meta(max_length=500)]
    is_regex: bool = False
    is_equal: bool = True

    def matches(self, labels: Mapping[str, str]) -> bool:
        own = labels.get(self.name, "")
        same = bool(_pattern(self.value).fullmatch(own)) if self.is_regex else own == self.value
        return same is self.is_equal

    @property
    def text(self) -> str:
        """As people write it: severity=~"high|critical"."""
        sign = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
        return f'{self.name}{sign[self.is_regex, self.is_equal]}"{self.value}"'


Matchers = Annotated[list[Matcher], Meta(min_length=1, max_length=20)]


def matches(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether all of `matchers` match."""
    return all(one.matches(labels) for one in matchers)


def matchers_of(stored: Sequence[Mapping[str, Any]]) -> tuple[Matcher, ...]:
    return tuple(msgspec.convert(one, Matcher) for one in stored)


def problem_with(matchers: Sequence[Matcher]) -> str | None:
    """Why a silence may not have `matchers`; None where it may."""
    for one in matchers:
        try:
            _pattern(one.value if one.is_regex else "")
        except re2.error as error:
            return f"{one.text}: this is not a regular expression in RE2's syntax: {_said(error)}"
    if matches(matchers, {}):
        return "these match every alert, also those of tomorrow; send at least one matcher that asks for a label"
    return None


def _said(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)


@lru_cache(maxsize=4096)
def _pattern(text: str) -> Any:
    # RE2 takes time linear in the text whatever the pattern: people's patterns cannot stall the evaluator.
    options = re2.Options()
    options.log_errors, options.max_mem = False, 1 << 20
    return re2.compile(text, options)
