"""Hours of the week on the wall clock of a named zone, and days off. Pure: no Django, no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from alerts.suppression.recurrence import Span

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
# Days off in a row after which hours are taken never to come.
_LONGEST_BREAK = 400


@dataclass(frozen=True)
class Hours:
    """From `start` to `end` on `days` (0 is Monday); an end at or before the start is on the next day."""

    zone: str = "UTC"
    days: frozenset[int] = frozenset(range(7))
    start: time = time()
    end: time = time()

    def spans(self, within: Span) -> Iterator[Span]:
        """Those that overlap `within`, in order; the last of a day may begin before `within` does."""
        zone = ZoneInfo(self.zone)
        day = within.start.astimezone(zone).date() - _DAY
        last = within.end.astimezone(zone).date()
        while day <= last:
            span = self._on(day, zone)
            if day.weekday() in self.days and span.overlaps(within):
                yield span
            day += _DAY

    def _on(self, day: date, zone: ZoneInfo) -> Span:
        end_day = day if self.end > self.start else day + _DAY
        return Span(_instant(day, self.start, zone), _instant(end_day, self.end, zone))

    def __contains__(self, moment: datetime) -> bool:
        return next(self.spans(Span(moment, moment + timedelta(microseconds=1))), None) is not None

    def over_at(self, moment: datetime) -> datetime:
        """`moment` where it is not within the hours, else when they end; `moment` itself where they never do."""
        over = moment
        for span in self.spans(Span(moment, moment + 9 * _DAY)):
            if over not in span:
                return over
            over = span.end
        return over if over < moment + 8 * _DAY else moment

    def next_moment(self, moment: datetime) -> datetime:
        """`moment` where it is within the hours, else when they come next."""
        span = next(self.spans(Span(moment, moment + 9 * _DAY)), None)
        return moment if span is None else max(span.start, moment)


@dataclass(frozen=True)
class WorkingTime:
    """Hours without the days off, which begin and end at midnight of their own zone."""

    hours: Hours = Hours()
    days_off: frozenset[date] = frozenset()
    days_off_zone: str = "UTC"

    def next_moment(self, moment: datetime) -> datetime:
        """`moment` where it is working time, else when that comes next; `moment` itself where it never comes, because
        somebody has to be told."""
        candidate = moment
        for _ in range(_LONGEST_BREAK):
            candidate = self.hours.next_moment(candidate)
            over = self._day_off_ends(candidate)
            if over is None:
                return candidate
            candidate = over
        return moment

    def _day_off_ends(self, moment: datetime) -> datetime | None:
        zone = ZoneInfo(self.days_off_zone)
        day = moment.astimezone(zone).date()
        return _instant(day + _DAY, time(), zone) if day in self.days_off else None


def hours_of(zone: str, days: list[Day], start: str | None, end: str | None) -> Hours:
    """Hours as people write them: no days mean all of them, no times the whole day."""
    chosen = frozenset(WEEK.index(day) for day in days) or frozenset(range(7))
    return Hours(zone, chosen, _clock(start), _clock(end))


def _clock(text: str | None) -> time:
    return time.fromisoformat(text) if text else time()


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone).astimezone(UTC)
