"""When a cron expression fires next, on the wall clock of a time zone.

Fields are parsed by Celery; what is here is the calendar. As with Vixie cron, a day fits where either of day of month
and day of week does if both are restricted. A wall time that the clock skips in spring fires as much later; one that
comes twice in autumn fires at the first: nothing is expected twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from celery.schedules import ParseException, crontab

# From one 29 February to the next there are at most eight years.
_HORIZON_DAYS = 8 * 366 + 1
_SUNDAY = re.compile(r"^7$|-7$")


class BadCron(ValueError):
    """The expression cannot be used; the text says what to send instead."""


@dataclass(frozen=True)
class Cron:
    """A parsed expression: when it fires, as sets."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    any_day: bool
    any_weekday: bool

    def fits(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day and by_weekday if self.any_day or self.any_weekday else by_day or by_weekday

    def moments(self, day: date, zone: ZoneInfo) -> list[datetime]:
        """When it fires on `day`, in UTC, in order."""
        walls = (time(hour, minute) for hour in self.hours for minute in self.minutes)
        return sorted({datetime.combine(day, wall, zone).astimezone(UTC) for wall in walls})


@lru_cache(maxsize=1000)
def parse(expression: str) -> Cron:
    """Five fields: minute, hour, day of month, month, day of week. Raises BadCron."""
    fields = expression.split()
    if len(fields) != 5:
        raise BadCron("send five fields: minute, hour, day of month, month, day of week")
    try:
        found = crontab.from_string(" ".join([*fields[:4], _with_sunday_as_zero(fields[4])]))
    except (ValueError, ParseException) as error:
        raise BadCron(f"this is no cron expression: {error}") from error
    return Cron(
        tuple(sorted(found.minute)),
        tuple(sorted(found.hour)),
        frozenset(found.day_of_month),
        frozenset(found.month_of_year),
        frozenset(found.day_of_week),
        fields[2].startswith("*"),
        fields[4].startswith("*"),
    )


def _with_sunday_as_zero(field: str) -> str:
    """Cron knows Sunday as 7 too; Celery does not."""
    return ",".join(_SUNDAY.sub(lambda end: "0" if end[0] == "7" else "-6,0", part) for part in field.split(","))


def next_after(expression: str, zone: ZoneInfo, moment: datetime) -> datetime:
    """The first time after `moment` at which it fires, in UTC. Raises BadCron, also where it never does."""
    cron = parse(expression)
    # The day before: what the clock skipped late on it fires after midnight.
    first = moment.astimezone(zone).date() - timedelta(days=1)
    found = next((fires for fires in _from(cron, first, zone) if fires > moment), None)
    if found is None:
        raise BadCron("there is no such day")
    return found


def _from(cron: Cron, first: date, zone: ZoneInfo) -> Iterator[datetime]:
    days = (first + timedelta(days=number) for number in range(_HORIZON_DAYS))
    for day in days:
        if cron.fits(day):
            yield from cron.moments(day, zone)
