"""Who is on call: layers of rotations on the wall clock of a zone, and overrides. Pure: no Django, no clock.

A layer hands over from person to person every day, week or so many hours, always at the same time of the wall clock;
it may be restricted to hours of the week. Where several layers have somebody on call the last one counts, and an
override counts over all layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from alerts.conditions import Clock
from alerts.hours import Day, Hours, hours_of
from alerts.suppression.recurrence import Span

LENGTHS_HOURS = {"daily": 24, "weekly": 168}
WallTime = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d$")]
# How far around a moment the shift that it falls into is followed.
AROUND = timedelta(days=14)


class Restriction(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The layer has somebody on call only on these days (none: all) from `start` to `end`."""

    days: list[Day] = []
    start: Clock | None = None
    end: Clock | None = None


class Layer(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One rotation: `users` take turns from `starts_at` on, the wall-clock time of the first hand-over and so of each.

    `rotation_hours` goes with the rotation "custom".
    """

    users: Annotated[list[str], Meta(min_length=1, max_length=100)]
    starts_at: WallTime
    rotation: Literal["daily", "weekly", "custom"] = "weekly"
    rotation_hours: Annotated[int, Meta(ge=1, le=8760)] | None = None
    ends_at: WallTime | None = None
    restriction: Restriction | None = None


Layers = Annotated[list[Layer], Meta(min_length=1, max_length=20)]


class Unusable(Exception):
    """A schedule that cannot be followed; the text says what to send instead."""


@dataclass(frozen=True)
class Override:
    """`person` is on call for that time, whoever else would be."""

    person: str
    span: Span


@dataclass(frozen=True)
class Schedule:
    zone: str
    layers: Sequence[Layer]
    overrides: Sequence[Override] = ()


@dataclass(frozen=True)
class Shift:
    """From when until when one person is on call, and whether by an override."""

    person: str
    start: datetime
    end: datetime
    overridden: bool = False


def check(layers: Iterable[Layer]) -> None:
    """Raise Unusable where a layer says something that cannot be followed."""
    for number, layer in enumerate(layers):
        if (layer.rotation == "custom") != (layer.rotation_hours is not None):
            raise Unusable(f"layers[{number}]: send rotation_hours with the rotation custom, and only with it")
        try:
            begins = datetime.fromisoformat(layer.starts_at)
            ends = datetime.fromisoformat(layer.ends_at) if layer.ends_at else None
        except ValueError as error:
            raise Unusable(f"layers[{number}]: {error}; send a time such as 2026-06-01T09:00") from error
        if not 1970 <= begins.year < 2200:
            raise Unusable(f"layers[{number}]: send a starts_at from 1970 to 2199")
        if ends is not None and ends <= begins:
            raise Unusable(f"layers[{number}]: send an ends_at after starts_at")


def on_call(schedule: Schedule, at: datetime) -> Shift | None:
    """Who is on call at `at`, and how long that shift lasts, AROUND at most; None where nobody is."""
    within = Span(at - AROUND, at + AROUND)
    return next((one for one in shifts(schedule, within) if one.start <= at < one.end), None)


def shifts(schedule: Schedule, within: Span) -> list[Shift]:
    """The shifts that overlap `within`, cut to it, in order; neighbours of the same person are one."""
    within = Span(within.start.astimezone(UTC), within.end.astimezone(UTC))
    layered = [list(_of_layer(layer, schedule.zone, within)) for layer in schedule.layers]
    over = [Shift(one.person, one.span.start, one.span.end, True) for one in schedule.overrides]
    found: list[Shift] = []
    for shift in [*(one for layer in layered for one in layer), *over]:
        found = _laid_over(found, _cut(shift, within))
    return _joined(sorted(found, key=lambda one: one.start))


def _of_layer(layer: Layer, zone_name: str, within: Span) -> Iterator[Shift]:
    """The layer's turns that overlap `within`."""
    zone = ZoneInfo(zone_name)
    first = datetime.fromisoformat(layer.starts_at)
    length = timedelta(hours=layer.rotation_hours or LENGTHS_HOURS[layer.rotation])
    ends = _instant(datetime.fromisoformat(layer.ends_at), zone) if layer.ends_at else None
    # A turn earlier than the wall clock says: an hour may be repeated at its start.
    turn = max((_wall(within.start, zone) - first) // length - 1, 0)
    while (start := _instant(first + turn * length, zone)) < within.end and (ends is None or start < ends):
        end = _instant(first + (turn + 1) * length, zone)
        span = Span(start, end if ends is None else min(end, ends))
        for part in _restricted(layer.restriction, zone_name, span):
            if part.overlaps(within):
                yield Shift(layer.users[turn % len(layer.users)], part.start, part.end)
        turn += 1


def _restricted(restriction: Restriction | None, zone: str, span: Span) -> Iterator[Span]:
    if restriction is None:
        yield span
        return
    hours: Hours = hours_of(zone, restriction.days, restriction.start, restriction.end)
    for part in hours.spans(span):
        yield Span(max(part.start, span.start), min(part.end, span.end))


def _laid_over(below: list[Shift], top: Shift) -> list[Shift]:
    """`below` with `top` in place of what it covers."""
    if top.start >= top.end:
        return below
    left: list[Shift] = []
    for one in below:
        if one.end <= top.start or one.start >= top.end:
            left.append(one)
            continue
        if one.start < top.start:
            left.append(Shift(one.person, one.start, top.start, one.overridden))
        if one.end > top.end:
            left.append(Shift(one.person, top.end, one.end, one.overridden))
    return [*left, top]


def _cut(shift: Shift, within: Span) -> Shift:
    start, end = max(shift.start, within.start), min(shift.end, within.end)
    return Shift(shift.person, start, end, shift.overridden)


def _joined(ordered: Iterable[Shift]) -> list[Shift]:
    found: list[Shift] = []
    for one in ordered:
        last = found[-1] if found else None
        if last and (last.end, last.person, last.overridden) == (one.start, one.person, one.overridden):
            found[-1] = Shift(last.person, last.start, one.end, last.overridden)
        else:
            found.append(one)
    return found


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """A time that the clocks jump over is taken as if they had not jumped yet; of one that comes twice the first."""
    return wall.replace(tzinfo=zone).astimezone(UTC)
