"""Secrets of a run: filled in where a text refers to them, hidden wherever they would come out again. Pure."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
_REFERENCE = re.compile(r"\{\{\s*(?:secret:(?P<secret>[^}\s]{1,200})|(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99}))\s*\}\}")
# Shorter values of headers and cookies (`X-Auth-Mode: on`, `lang=en`) give no access, and would blot out what they have
# in common with other texts.
SHORTEST_TELLING = 6
_TELLING = re.compile(r"auth|cookie|token|secret|session|password|api-?key|credential", re.IGNORECASE)


class Missing(Exception):
    """A text refers to what is not there."""


def is_telling(header: str) -> bool:
    """Whether a header of this name carries what gives access."""
    return _TELLING.search(header) is not None


class Vault:
    """The secrets that a run used so far, and the variables that texts may refer to; None where they may not."""

    __slots__ = ("_hidden", "_secrets", "variables")

    def __init__(self, secrets: Mapping[str, str]):
        self._secrets = secrets
        self._hidden: list[str] = []
        self.variables: dict[str, str] | None = None

    def fill(self, text: str) -> str:
        """`text` with what it refers to, in one pass: what is filled in is not looked at again, or a target could ask
        for secrets. Raises Missing."""
        return _REFERENCE.sub(self._named, text) if "{{" in text else text

    def _named(self, match: re.Match[str]) -> str:
        secret, name = match["secret"], match["name"]
        if secret is not None:
            if secret not in self._secrets:
                raise Missing(f"no secret is called {secret!r}: add it, or correct the name in the check")
            self.hide(self._secrets[secret])
            return self._secrets[secret]
        if self.variables is None:
            return match[0]
        if name not in self.variables:
            raise Missing(f"no step before extracts {name!r}")
        return self.variables[name]

    def hide(self, value: str) -> None:
        """From now on `value` is hidden, also as it stands in JSON, HTML and URLs."""
        shapes = {value, json.dumps(value)[1:-1], html.escape(value), quote(value, safe=""), quote_plus(value)}
        known = {*self._hidden, *shapes} - {""}
        self._hidden = sorted(known, key=len, reverse=True)

    def hidden(self) -> tuple[str, ...]:
        return tuple(self._hidden)

    def longest(self) -> int:
        return len(self._hidden[0]) if self._hidden else 0

    def clean(self, value: Any) -> Any:
        """`value` without secrets and without what PostgreSQL cannot store, in every string of it but keys."""
        kind = type(value)
        if kind is str:
            return self._cleaned(value)
        if kind is dict:
            return {key: self.clean(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return [self.clean(item) for item in value]
        return value

    def _cleaned(self, text: str) -> str:
        for hidden in self._hidden:
            text = text.replace(hidden, MASK)
        if "\0" in text:
            text = text.replace("\0", "\ufffd")
        return text if text.isascii() else text.encode("utf-8", "replace").decode()
