"""How JSON bodies are read: what PostgreSQL could not store is refused before anything is done with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from wedsync_monitor import secrets


class StorableJSONParser(JSONParser):
    """JSON without NUL characters, lone surrogates and numbers beyond float64, and not nested without end."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            body = super().parse(stream, media_type, parser_context)
            json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
            holds_nul = secrets.holds_text(body, "\0")
        except RecursionError as error:
            raise ParseError("Send JSON that is nested less deeply.") from error
        except ValueError as error:
            raise ParseError("Send Unicode text and numbers that a 64-bit float can hold.") from error
        if holds_nul:
            raise ParseError("Send text without NUL characters.")
        return body
