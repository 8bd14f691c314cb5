"""Parameters of the Prometheus HTTP API: times, steps, and the instants that they make. Pure: no Django."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from assets.metrics.promql.lexing import BadQuery, is_duration, milliseconds
from assets.metrics.samples import Ints

LOOKBACK_MS = 5 * 60_000
MAX_POINTS = 11_000
# Samples have no negative times; before 2200 all parts of the system can compute.
_EARLIEST_MS, _LATEST_MS = 0, 7_258_118_400_000
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")


def moment(given: Mapping[str, str], name: str, default_ms: int | None = None) -> int:
    """A time as milliseconds since 1970: seconds with decimals, or RFC 3339. Raises BadQuery."""
    text = given.get(name, "")
    if not text:
        if default_ms is None:
            raise BadQuery(f'invalid parameter "{name}": send seconds since 1970 or RFC 3339')
        return default_ms
    found = _seconds(text)
    if found is None or not _EARLIEST_MS <= found * 1000 <= _LATEST_MS:
        raise BadQuery(
            f'invalid parameter "{name}": cannot parse {text[:40]!r} to a valid timestamp; '
            "send seconds since 1970 or RFC 3339"
        )
    return math.floor(found * 1000 + 0.5)


def _seconds(text: str) -> float | None:
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC).timestamp()
        found = float(text)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def duration(given: Mapping[str, str], name: str, default_ms: int | None = None) -> int:
    """A duration as milliseconds: seconds, or like 5m. Raises BadQuery."""
    text = given.get(name, "")
    if not text and default_ms is not None:
        return default_ms
    if is_duration(text):
        found = float(milliseconds(text))
    else:
        found = (_seconds(text) or 0) * 1000 if text[:1].isdigit() or text[:1] == "." else 0
    if not 1 <= found <= _LATEST_MS:
        raise BadQuery(f'invalid parameter "{name}": {text[:40]!r} is no duration above 0; send seconds or one like 5m')
    return round(found)


def instants(given: Mapping[str, str]) -> Ints:
    """`start`, `start` + `step`, … until `end`. Raises BadQuery."""
    start, end, step = moment(given, "start"), moment(given, "end"), duration(given, "step")
    if end < start:
        raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
    if (end - start) // step >= MAX_POINTS:
        raise BadQuery(
            f"exceeded maximum resolution of {MAX_POINTS:,} points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return np.arange(start, end + 1, step, dtype=np.int64)


_ESCAPED = re.compile(r"__|_([0-9a-fA-F]{1,6})_")


def label(text: str) -> str:
    """A label's name as it stands in a path: names with other characters are escaped as U__http_2e_method. Raises
    BadQuery."""
    if text.startswith("U__"):
        text = _ESCAPED.sub(lambda found: _character(found[1]) if found[1] else "_", text[3:])
    if not text or "\0" in text or len(text) > 200:
        raise BadQuery(f"invalid label name: {text[:40]!r}")
    return text


def _character(code: str) -> str:
    number = int(code, 16)
    return "" if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF else chr(number)
