"""Secrets of a run: filled in where a text refers to them, hidden wherever they would come out again. Pure."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
_REFERENCE = re.compile(r"\{\{\s*secret:([^}\s]{1,200})\s*\}\}")
_TELLING = re.compile(r"auth|cookie|token|secret|session|password|api-?key|credential", re.IGNORECASE)


class Missing(Exception):
    """A text refers to what is not there."""


def is_telling(header: str) -> bool:
    """Whether a header of this name carries what gives access."""
    return _TELLING.search(header) is not None


class Vault:
    """The secrets that a run used so far."""

    __slots__ = ("_hidden", "_secrets")

    def __init__(self, secrets: Mapping[str, str]):
        self._secrets = secrets
        self._hidden: list[str] = []

    def fill(self, text: str) -> str:
        """`text` with the secrets that it refers to. Raises Missing."""
        return _REFERENCE.sub(self._named, text) if "{{" in text else text

    def _named(self, match: re.Match[str]) -> str:
        try:
            value = self._secrets[match[1]]
        except KeyError:
            raise Missing(f"no secret is called {match[1]!r}: add it, or correct the name in the check") from None
        self.hide(value)
        return value

    def hide(self, value: str) -> None:
        """From now on `value` is hidden, also as it stands in JSON, HTML and URLs."""
        shapes = {value, json.dumps(value)[1:-1], html.escape(value), quote(value, safe=""), quote_plus(value)}
        known = {*self._hidden, *shapes} - {""}
        self._hidden = sorted(known, key=len, reverse=True)

    def longest(self) -> int:
        return len(self._hidden[0]) if self._hidden else 0

    def clean(self, value: Any) -> Any:
        """`value` without secrets and without what PostgreSQL cannot store, in every string of it but keys."""
        if isinstance(value, str):
            return self._cleaned(value)
        if isinstance(value, dict):
            return {key: self.clean(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.clean(item) for item in value]
        return value

    def _cleaned(self, text: str) -> str:
        for hidden in self._hidden:
            if hidden in text:
                text = text.replace(hidden, MASK)
        if text.isascii():
            return text if "\0" not in text else text.replace("\0", "�")
        return text.replace("\0", "�").encode("utf-8", "replace").decode()
