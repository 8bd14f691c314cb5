"""How JSON bodies are read: bounded, and what PostgreSQL could not store is refused before anything is done with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

from wedsync_monitor import secrets

_LARGEST_INTEGER = 2**63 - 1


class TooLarge(APIException):
    """The body is longer than this installation takes."""

    status_code = 413
    default_detail = "Send a shorter body."


class StorableJSONParser(JSONParser):
    """JSON without NUL characters, lone surrogates and numbers beyond 64 bits, and neither endless nor deep."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"Send at most {limit} bytes in one request.")
        try:
            body = json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite, parse_int=_bounded)
            json.dumps(body, ensure_ascii=False).encode()
            holds_nul = secrets.holds_text(body, "\0")
        except RecursionError as error:
            raise ParseError("Send JSON that is nested less deeply.") from error
        except UnicodeError as error:
            raise ParseError("Send Unicode text in UTF-8, without lone surrogates.") from error
        except ValueError as error:
            raise ParseError(f"Send usable JSON: {error}.") from error
        if holds_nul:
            raise ParseError("Send text without NUL characters.")
        return body


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not a number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large for a 64-bit float")
    return number


def _bounded(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > _LARGEST_INTEGER:
        raise ValueError(f"the whole number {text[:40]} has more than 64 bits")
    return int(text)
