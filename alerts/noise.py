"""The noise of a rule: what it may make, and which other term would have made less of it and lost nothing. Pure.

A term is one number of the rule: its first condition's threshold, how many breaches in a row open an alert, or for how
long an alert must be clear to end. A rule that was tried with another term has lost an alert that people acted on where
none would have opened on that asset between its beginning and what they did: one that had been open for long would have
told nobody of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import numpy as np

from alerts import conditions
from alerts.rehearsal import Episode

WEEK = timedelta(days=7)
Field = Literal["threshold", "consecutive_breaches", "keep_firing_seconds"]
Lives = Mapping[UUID, Sequence[Episode]]
# What is tried; thresholds beside these shares of the present one are those that alerts stood at.
_FURTHER, _AMONG = (0.025, 0.05, 0.1, 0.2), (0.25, 0.5, 0.75, 0.9)
_IN_A_ROW, _HOLDS = (2, 3, 5, 10), (300, 900, 1800)


@dataclass(frozen=True)
class Change:
    """Another value of a term of a rule."""

    field: Field
    value: float
    instead_of: float

    @property
    def text(self) -> str:
        if self.field == "threshold":
            return f"{self.value:g} instead of {self.instead_of:g}"
        if self.field == "consecutive_breaches":
            return f"{self.value:g} breaches in a row instead of {self.instead_of:g}"
        return f"{self.value / 60:g} min without a breach before it ends instead of {self.instead_of / 60:g}"


@dataclass(frozen=True)
class Acted:
    """An alert that a person acknowledged or resolved, and when."""

    asset_id: UUID | None
    began: datetime
    acted_at: datetime


@dataclass(frozen=True)
class Tried:
    """How many alerts there would have been with the change."""

    change: Change
    fired: int


def terms_of(metric_conditions: Sequence[Mapping[str, Any]], threshold_config: Mapping[str, Any]) -> dict[Field, float]:
    """The terms of a rule; without a threshold where it compares nothing."""
    found: dict[Field, float] = {"threshold": metric_conditions[0]["threshold"]} if metric_conditions else {}
    return found | {
        "consecutive_breaches": threshold_config.get("consecutive_breaches", 1),
        "keep_firing_seconds": threshold_config.get("keep_firing_seconds", 0),
    }


def columns_with(
    change: Change, metric_conditions: Sequence[Mapping[str, Any]], threshold_config: Mapping[str, Any]
) -> dict[str, Any]:
    """The columns of the rule that the change is made in."""
    if change.field == "threshold":
        first, *rest = metric_conditions
        return {"metric_conditions": [{**first, "threshold": change.value}, *rest]}
    # What is no whole number is refused by the rule's own check.
    value = int(change.value) if change.value.is_integer() else change.value
    return {"threshold_config": {**threshold_config, change.field: value}}


def candidates(
    terms: Mapping[Field, float], compare: conditions.Operator | None, seen: Sequence[float]
) -> list[Change]:
    """What to try, of each term the mildest first. `compare`: of the condition, None where its threshold is not asked;
    `seen`: the values at which alerts stood."""
    thresholds = _thresholds(terms["threshold"], conditions.worse(compare), seen) if compare else []
    found = [Change("threshold", value, terms["threshold"]) for value in thresholds]
    for field, values in (("consecutive_breaches", _IN_A_ROW), ("keep_firing_seconds", _HOLDS)):
        found += [Change(field, float(value), terms[field]) for value in values if value > terms[field]]  # type: ignore[arg-type,index]
    return found


def _thresholds(now: float, direction: int, seen: Sequence[float]) -> list[float]:
    if not direction:
        return []
    among = np.quantile(seen, _AMONG if direction > 0 else [1 - one for one in _AMONG]).tolist() if seen else []
    wanted = [now + direction * share * abs(now) for share in _FURTHER] + among
    rounded = {_rounded(value, direction) for value in wanted if math.isfinite(value)}
    return sorted((value for value in rounded if direction * (value - now) > 0), key=lambda value: direction * value)


def _rounded(value: float, direction: int) -> float:
    """To three digits, away from what is good."""
    if not value:
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{(math.ceil if direction > 0 else math.floor)(round(value / unit, 6)) * unit:.6g}")


def lost(acted: Sequence[Acted], lives: Lives, tolerance: timedelta) -> int:
    """How many of `acted` there would not have been in time, up to `tolerance`."""
    return sum(not _is_kept(one, lives, tolerance) for one in acted)


def _is_kept(one: Acted, lives: Lives, tolerance: timedelta) -> bool:
    episodes = lives.get(one.asset_id, ()) if one.asset_id else ()
    return any(one.began - tolerance <= episode.opened_at <= one.acted_at + tolerance for episode in episodes)


def allowed(budget: int, fired: int, acted: int, days: int) -> float:
    """So many alerts there may be in `days`: those that people acted on and the budget, without one half of them."""
    return acted + budget * days / 7 if budget else max(fired / 2, acted)


def best(tried: Sequence[Tried], fired: int, limit: float) -> list[Tried]:
    """Of each term the mildest change that stays within `limit`, or else the one with the fewest alerts; those that
    stay within it first. `tried` has of each term the mildest first."""
    found = []
    for field in dict.fromkeys(one.change.field for one in tried):
        own = [one for one in tried if one.change.field == field and one.fired < fired]
        fitting = [one for one in own if one.fired <= limit]
        found += fitting[:1] or sorted(own, key=lambda one: one.fired)[:1]
    return sorted(found, key=lambda one: one.fired > limit)
