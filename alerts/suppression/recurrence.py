"""When a window happens: once, or again and again by an RFC 5545 RRULE on the wall clock of a named zone. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrulestr

# Finer rules make no windows that people work in, and counting them out from years ago would take seconds.
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = re.compile(r"[A-Z]+=[A-Z0-9,+-]+(;[A-Z]+=[A-Z0-9,+-]+)*")
# Days counted out one by one until one fits: a rule that never fits would be followed to the year 9999.
_SLOW = {
    "DAILY": ("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYEASTER"),
    "WEEKLY": ("BYMONTHDAY", "BYYEARDAY", "BYEASTER"),
}
_UNTIL = re.compile(r"(?<=UNTIL=)(\d{8}T\d{6})Z")
_DAY = timedelta(days=1)


class Unusable(Exception):
    """The rule or the zone cannot be followed; the text says what to send instead."""


@dataclass(frozen=True, order=True)
class Span:
    """From `start` up to, and without, `end`; both with a time zone."""

    start: datetime
    end: datetime

    def __contains__(self, moment: object) -> bool:
        return isinstance(moment, datetime) and self.start <= moment < self.end

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Schedule:
    """The first occurrence, and how it comes again: never where `rrule` is empty.

    Start and length are taken on the wall clock of `zone`: a window from 2 to 4 o'clock stays one when the clocks
    change. A time that the clocks jump over is taken as if they had not jumped yet; of a time that comes twice the
    first counts (RFC 5545, section 3.3.5).
    """

    first: Span
    rrule: str = ""
    zone: str = "UTC"

    def occurrences(self, within: Span) -> list[Span]:
        """Those that overlap `within`, in order. Raises Unusable."""
        if not self.rrule:
            return [self.first] if self.first.overlaps(within) else []
        return [span for span in _near(self, within.start, within.end) if span.overlaps(within)]

    def current(self, now: datetime) -> Span | None:
        """The occurrence that runs at `now`. Raises Unusable."""
        # By the day, so that the many evaluations of a day count the rule out once.
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        spans = _near(self, day, day + _DAY) if self.rrule else [self.first]
        return next((span for span in spans if now in span), None)

    def following(self, now: datetime) -> Span | None:
        """The first occurrence that begins after `now`. Raises Unusable."""
        if not self.rrule:
            return self.first if self.first.start > now else None
        naive = now.astimezone(zone_of(self.zone)).replace(tzinfo=None)
        spans = (_span(self, start) for start in _rule(self).xafter(naive - _DAY, count=None))
        return next((span for span in islice(spans, 10) if span.start > now), None)

    def check(self) -> None:
        """Raise Unusable where the schedule never happens or cannot be followed."""
        if self.rrule and next(_starts(self), None) is None:
            raise Unusable("this rule never happens; check its parts, and that UNTIL is not before the start")


@lru_cache(maxsize=4096)
def _near(schedule: Schedule, begin: datetime, end: datetime) -> tuple[Span, ...]:
    zone = zone_of(schedule.zone)
    length = _wall(schedule.first.end, zone) - _wall(schedule.first.start, zone)
    starts = _rule(schedule).between(_wall(begin, zone) - length - _DAY, _wall(end, zone) + _DAY, inc=True)
    return tuple(_span(schedule, start) for start in starts)


def _span(schedule: Schedule, start: datetime) -> Span:
    """The occurrence that begins at the naive wall-clock time `start`."""
    zone = zone_of(schedule.zone)
    length = _wall(schedule.first.end, zone) - _wall(schedule.first.start, zone)
    begin, end = start.replace(tzinfo=zone).astimezone(UTC), (start + length).replace(tzinfo=zone).astimezone(UTC)
    # Where the clocks go back between start and end the wall clock may show a span that is over before it begins.
    return Span(begin, end if end > begin else begin + length)


def _starts(schedule: Schedule) -> Iterator[datetime]:
    return iter(_rule(schedule))


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone `name`. Raises Unusable."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Unusable(f"{name[:80]!r} is not a time zone; send an IANA name such as Europe/Berlin") from error


@lru_cache(maxsize=1024)
def _rule(schedule: Schedule) -> Any:
    zone = zone_of(schedule.zone)
    text = schedule.rrule.strip().upper().removeprefix("RRULE:")
    _check_parts(text)
    try:
        local = _UNTIL.sub(lambda until: _local(until[1], zone), text)
        return rrulestr(local, dtstart=_wall(schedule.first.start, zone))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise Unusable(f"this is not an RRULE of RFC 5545: {error}") from error


def _check_parts(text: str) -> None:
    if not _PARTS.fullmatch(text):
        raise Unusable("send an RRULE of RFC 5545 such as FREQ=WEEKLY;BYDAY=SU")
    parts = dict(part.split("=", 1) for part in text.split(";"))
    frequency = parts.get("FREQ", "")
    if frequency not in FREQUENCIES:
        raise Unusable(f"send an RRULE with FREQ={', '.join(FREQUENCIES[:-1])} or {FREQUENCIES[-1]}")
    if slow := [name for name in _SLOW.get(frequency, ()) if name in parts]:
        raise Unusable(f"{slow[0]} goes with FREQ=MONTHLY or YEARLY")
    if not parts.get("INTERVAL", "1").strip("0"):
        raise Unusable("send an INTERVAL of at least 1")


def _local(until: str, zone: ZoneInfo) -> str:
    moment = datetime.strptime(until, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return _wall(moment, zone).strftime("%Y%m%dT%H%M%S")
