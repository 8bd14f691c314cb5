"""The span of time that a request asks for: `from` and `to`, or a `range` that ends now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

RANGES = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
LONGEST = timedelta(days=400)


class BadSpan(ValueError):
    """The parameters do not make a span; `field` names the one at fault, the text says what to send."""

    def __init__(self, field: str, reason: str):
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True)
class Span:
    start: datetime
    end: datetime


def span_of(parameters: Mapping[str, str], now: datetime, default: str = "1h") -> Span:
    """The span that query parameters name. Raises BadSpan."""
    end = _moment(parameters, "to") or now
    start = _moment(parameters, "from")
    if start is None:
        name = parameters.get("range") or default
        if name not in RANGES:
            raise BadSpan("range", f"send one of: {', '.join(RANGES)}")
        start = end - RANGES[name]
    if start >= end:
        raise BadSpan("from", "send a time before `to`")
    if end - start > LONGEST:
        raise BadSpan("from", f"send at most {LONGEST.days} days")
    return Span(start, end)


def _moment(parameters: Mapping[str, str], name: str) -> datetime | None:
    text = parameters.get(name)
    if not text:
        return None
    try:
        # A plus sign that nobody escaped arrives as a space.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise BadSpan(name, "send ISO 8601, for example 2026-06-12T14:00:00Z") from error
    if moment.tzinfo is None:
        raise BadSpan(name, "send a time zone, for example Z")
    if not 1970 < moment.year < 2200:
        raise BadSpan(name, "send a year from 1971 to 2199")
    return moment
