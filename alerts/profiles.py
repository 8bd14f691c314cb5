"""Profiles of a rule: other thresholds, another severity, or nothing at all, by time of day, weekday and season.

The first profile that holds counts. Times and days are those of the wall clock of the profile's zone, whatever the
clocks do; hours that pass midnight belong to the day they begin on, dates are those of the moment itself.
`of_rule` is where further profiles, such as those of a calendar, would come in before the rule's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts import wording
from alerts.conditions import Profile
from alerts.hours import hours_of
from alerts.models import AlertRule
from alerts.suppression.recurrence import Span

_DAY = timedelta(days=1)


def of_rule(rule: AlertRule) -> list[Profile]:
    """In their order. Raises msgspec.ValidationError where they were stored unchecked."""
    return msgspec.convert(rule.profiles, list[Profile])


def applied(rule: AlertRule, now: datetime) -> AlertRule:
    """The rule as it is at `now`: itself, or a copy with what its profile says, which `profile` then names."""
    if not rule.profiles:
        return rule
    place = _current(msgspec.json.encode(rule.profiles), int(now.timestamp()) // 60)
    return rule if place is None else with_profile(rule, of_rule(rule)[place])


@lru_cache(maxsize=4096)
def _current(profiles: bytes, minute: int) -> int | None:
    """Profiles begin and end at whole minutes: the rounds of a minute share the answer."""
    found = places(msgspec.json.decode(profiles, type=list[Profile]), np.array([minute * 60_000]))
    return int(found[0]) if found[0] >= 0 else None


def places(profiles: Sequence[Profile], instants_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """(S,) Of each of the ascending instants which profile counts; -1 where none does."""
    found = np.full(len(instants_ms), -1, dtype=np.int64)
    for place, profile in reversed(list(enumerate(profiles))):
        found[_holds(profile, instants_ms)] = place
    return found


def _holds(profile: Profile, instants_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    first, last = (datetime.fromtimestamp(int(one) / 1000, UTC) for one in (instants_ms[0], instants_ms[-1]))
    within = Span(first, last + timedelta(milliseconds=1))
    hours = hours_of(profile.timezone, profile.days, profile.start, profile.end)
    held = _inside(instants_ms, list(hours.spans(within)))
    if profile.first_date is None:
        return held
    zone = ZoneInfo(profile.timezone)
    day, days = within.start.astimezone(zone).date(), []
    while day <= within.end.astimezone(zone).date():
        if in_season(day, profile.first_date, profile.last_date or profile.first_date):
            begin, end = (datetime.combine(one, time(), zone).astimezone(UTC) for one in (day, day + _DAY))
            days.append(Span(begin, end))
        day += _DAY
    return held & _inside(instants_ms, days)


def _inside(instants_ms: NDArray[np.int64], spans: Sequence[Span]) -> NDArray[np.bool_]:
    found = np.zeros(len(instants_ms), dtype=bool)
    for span in spans:
        begin, end = (int(one.timestamp() * 1000) for one in (span.start, span.end))
        found[np.searchsorted(instants_ms, begin) : np.searchsorted(instants_ms, end)] = True
    return found


def in_season(day: date, first: str, last: str) -> bool:
    """Whether `day` is from `first` to `last`, both included: dates, or days of every year (MM-DD), which may pass the
    end of the year."""
    if len(first) == len("2026-01-31"):
        return first <= day.isoformat() <= last
    own = f"{day:%m-%d}"
    return first <= own <= last if first <= last else own >= first or own <= last


def with_profile(rule: AlertRule, profile: Profile) -> AlertRule:
    """A copy of the rule that says what the profile says."""
    found = copy(rule)
    found.profile = told(rule, profile)
    found.is_enabled = rule.is_enabled and not profile.off
    found.severity = profile.severity or rule.severity
    conditions = [dict(one) for one in rule.metric_conditions]
    for condition, threshold in zip(conditions, profile.thresholds, strict=False):
        condition["threshold"] = threshold
    found.metric_conditions = conditions
    own = {name: getattr(profile, name) for name in ("consecutive_breaches", "recovery_threshold")}
    found.threshold_config = rule.threshold_config | {name: value for name, value in own.items() if value is not None}
    if profile.sensitivity:
        found.anomaly_config = rule.anomaly_config | {"sensitivity": profile.sensitivity}
    return found


def told(rule: AlertRule, profile: Profile) -> str:
    """What is different: "weekend profile: 95 instead of 80"."""
    parts = [
        f"{wording.number(threshold)} instead of {wording.number(condition['threshold'])}"
        for condition, threshold in zip(rule.metric_conditions, profile.thresholds, strict=False)
        if threshold != condition["threshold"]
    ]
    usual = {
        "severity": rule.severity,
        "consecutive_breaches": rule.threshold_config.get("consecutive_breaches", 1),
        "recovery_threshold": rule.threshold_config.get("recovery_threshold"),
        "sensitivity": rule.anomaly_config.get("sensitivity", "medium"),
    }
    for name, value in usual.items():
        own = getattr(profile, name)
        if own is not None and own != value:
            parts.append(f"{name.replace('_', ' ')} {own}" + (f" instead of {value}" if value is not None else ""))
    return f"{profile.name} profile: {'off' if profile.off else ', '.join(parts) or 'as always'}"
