"""The last periods of a check as bars: what each saw, and the shapes that draw them. Pure: no Django, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PERIODS = 90
_HEIGHT = 20


class Tone(StrEnum):
    """What a period saw."""

    GOOD = "good"
    MIXED = "mixed"
    BAD = "bad"
    MAINTENANCE = "maintenance"


# Heights tell the tones apart where colours do not.
_TALL: Mapping[Tone, int] = {Tone.GOOD: 12, Tone.MIXED: 16, Tone.BAD: 20, Tone.MAINTENANCE: 6}
_WORDS: Mapping[Tone, str] = {
    Tone.GOOD: "good",
    Tone.MIXED: "with some failures",
    Tone.BAD: "failed",
    Tone.MAINTENANCE: "in maintenance",
}


@dataclass(frozen=True)
class Period:
    """How many results of a period counted, how many of them succeeded, and whether it was in planned maintenance."""

    total: int
    good: int
    is_maintained: bool = False

    @property
    def tone(self) -> Tone:
        if self.is_maintained:
            return Tone.MAINTENANCE
        if self.good == self.total:
            return Tone.GOOD
        return Tone.MIXED if self.good else Tone.BAD


def end_of_last(last: datetime | None, every: timedelta, now: datetime) -> datetime:
    """Where the newest period ends. Results that come regularly lie in the middle of their periods."""
    if last is None:
        return now
    first = last + every / 2
    return first + math.ceil(max((now - first) / every, 0)) * every


@dataclass(frozen=True)
class Bars:
    """Bars by tone as SVG paths, 180 × 20, and the same in words."""

    paths: tuple[tuple[str, str], ...]
    text: str


def drawn(periods: Mapping[int, Period]) -> Bars:
    """The bars of periods by their age: 0 is the newest, and stands at the right."""
    paths: dict[Tone, list[str]] = {tone: [] for tone in Tone}
    for age, period in periods.items():
        if 0 <= age < PERIODS:
            tall = _TALL[period.tone]
            paths[period.tone].append(f"M{2 * (PERIODS - 1 - age)} {_HEIGHT - tall}h1.4v{tall}h-1.4z")
    counts = [f"{len(found)} {_WORDS[tone]}" for tone, found in paths.items() if found]
    empty = PERIODS - sum(map(len, paths.values()))
    counts += [f"{empty} without a result"] if empty else []
    text = f"The last {PERIODS} periods: {', '.join(counts)}"
    return Bars(tuple((str(tone), "".join(found)) for tone, found in paths.items() if found), text)
