"""What a rule finds: each condition compared over all series at once; in words only where an asset is concerned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from alerts import conditions, wording
from alerts.conditions import MetricCondition
from alerts.flapping import Marks
from alerts.lifecycle import Finding, Observation, Terms
from alerts.models import AlertInstance, AlertRule, AlertType
from alerts.readings import Column, Readings, Window, window_of
from alerts.selection import AssetTable
from alerts.suppression.standing import Standing
from alerts.surroundings import Surroundings
from alerts.transitions import Subject
from assets.metrics.samples import Series

Mask = NDArray[np.bool_]
_FLAPPING = (("high", Marks.high), ("low", Marks.low))


@dataclass(frozen=True)
class Question:
    """A rule as it is evaluated."""

    rule: AlertRule
    conditions: tuple[MetricCondition, ...]
    terms: Terms
    delay: timedelta
    recovery: float | None  # replaces the first condition's threshold where it is asked what is over

    def windows(self) -> list[Window]:
        return [window_of(condition, self.delay) for condition in self.conditions]

    @property
    def rule_names(self) -> set[str]:
        """The other rules that it asks about."""
        return set()

    def answer(self, shared: Round, live: Sequence[AlertInstance]) -> Answer:
        return answer(self, shared, live)


def question_of(rule: AlertRule) -> Question:
    """`rule`, ready to be evaluated. Raises msgspec.ValidationError where it was stored unchecked."""
    return Question(
        rule,
        tuple(conditions.condition_of(stored) for stored in rule.metric_conditions),
        terms_of(rule),
        delay_of(rule),
        rule.threshold_config.get("recovery_threshold"),
    )


def delay_of(rule: AlertRule) -> timedelta:
    """How long before now the windows of `rule` end."""
    delay = rule.threshold_config.get("evaluation_delay_seconds")
    return timedelta(seconds=settings.EVALUATION_DELAY_SECONDS if delay is None else delay)


def terms_of(rule: AlertRule) -> Terms:
    config = rule.threshold_config
    return Terms(
        config.get("consecutive_breaches", 1),
        timedelta(seconds=config.get("keep_firing_seconds", 0)),
        timedelta(seconds=rule.auto_resolve_timeout) if rule.auto_resolve_timeout else None,
        timedelta(seconds=max(3 * rule.evaluation_frequency, rule.evaluation_window)),
        _marks_of(rule),
    )


def _marks_of(rule: AlertRule) -> Marks | None:
    """When alerts of `rule` flap; None where they do not. What others report comes when they like."""
    high, low = (rule.threshold_config.get(f"flapping_{name}_percent", usual) for name, usual in _FLAPPING)
    if not high or rule.alert_type == AlertType.EXTERNAL:
        return None
    return Marks(timedelta(seconds=rule.evaluation_frequency), high, low)


@dataclass
class Round:
    """What all due rules share."""

    now: datetime
    assets: AssetTable
    readings: Readings
    standing: Standing
    places: Mapping[UUID | None, int]  # of the active assets, by their ids
    surroundings: Surroundings
    _chosen: dict[bytes, Mask] = field(default_factory=dict)
    _seen: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def chosen(self, asset_filter: dict[str, Any]) -> tuple[bytes, Mask]:
        """A name of the filter, and the assets that it selects; rules with the same one share the work."""
        key = msgspec.json.encode(asset_filter, order="deterministic")
        if key not in self._chosen:
            self._chosen[key] = self.assets.select(asset_filter)
        return key, self._chosen[key]

    def seen(self, column: Column, key: bytes, chosen: Mask) -> int:
        """How many series of the chosen assets have a value."""
        if (id(column), key) not in self._seen:
            known = chosen[column.owner] & ~np.isnan(column.values)
            self._seen[id(column), key] = int(np.count_nonzero(known))
        return self._seen[id(column), key]


@dataclass
class Answer:
    """What a rule found: the assets that are concerned, and live alerts that it no longer asks for."""

    series_seen: int
    found: list[tuple[Subject, AlertInstance | None]]
    orphans: list[AlertInstance]
    state: str = ""  # what else the rule says of itself, such as that it learns


def answer(question: Question, shared: Round, live: Sequence[AlertInstance]) -> Answer:
    """Judge one rule. Raises readings.TooMuch."""
    key, chosen = shared.chosen(question.rule.asset_filter)
    judged = [
        Judged(condition, shared.readings.column(condition, question.delay), None if number else question.recovery)
        for number, condition in enumerate(question.conditions)
    ]
    seen = sum(shared.seen(one.column, key, chosen) for one in judged)
    quiet = not all(one.any_breaching for one in judged)
    if quiet and not live:
        return Answer(seen, [], [])
    breached = np.zeros(len(chosen), dtype=bool) if quiet else chosen.copy()
    for one in () if quiet else judged:
        breached &= one.breached
    held = {shared.places[alert.asset_id]: alert for alert in live if alert.asset_id in shared.places}
    concerned = set(np.flatnonzero(breached).tolist())
    concerned |= {place for place in held if chosen[place]}
    found = []
    for place in sorted(concerned):
        alert = held.get(place)
        found.append((_subject(question, judged, place, shared, alert), alert))
    told = {id(alert) for _, alert in found}
    return Answer(seen, found, [alert for alert in live if id(alert) not in told])


class Judged:
    """One condition over all series."""

    def __init__(self, condition: MetricCondition, column: Column, recovery: float | None):
        self.condition, self.column, self._recovery = condition, column, recovery
        self.breaching = conditions.breaches(column.values, condition.operator, condition.threshold)
        self.any_breaching = bool(self.breaching.any())
        self._details: _Details | None = None

    @property
    def breached(self) -> Mask:
        """Of each asset whether the condition holds for one of its series."""
        return self.column.any(self.breaching)

    @property
    def details(self) -> _Details:
        """What is asked of single assets: most evaluations concern none."""
        if self._details is None:
            self._details = _Details(self.condition, self.column, self.breaching, self._recovery)
        return self._details


class _Details:
    """One condition by asset: whether it is recovered, the series that breach, and the worst."""

    def __init__(self, condition: MetricCondition, column: Column, breaching: Mask, recovery: float | None):
        self.column = column
        self.breached = column.any(breaching)
        unrecovered = breaching
        if recovery is not None:
            unrecovered = breaching | conditions.breaches(column.values, condition.operator, recovery)
        self.unrecovered = column.any(unrecovered)
        self._worst = self._worst_of(breaching, conditions.worse(condition.operator) or 1)
        self._breaching: dict[int, list[int]] = {}
        for one in np.flatnonzero(breaching).tolist():
            self._breaching.setdefault(int(column.owner[one]), []).append(column.of(one).id)

    def _worst_of(self, breaching: Mask, direction: int) -> NDArray[np.int64]:
        """Of each asset the worst of its series that have a value, one that breaches before others; -1 without any."""
        values, owner = self.column.values, self.column.owner
        known = np.flatnonzero(~np.isnan(values))
        ranked = known[np.lexsort((values[known] * direction, breaching[known], owner[known]))]
        worst = np.full(self.column.assets, -1, dtype=np.int64)
        worst[owner[ranked]] = ranked
        return worst

    def worst(self, place: int) -> tuple[Series, float] | None:
        """The worst series of the asset at `place`, and its value; None without data."""
        best = int(self._worst[place])
        return None if best < 0 else (self.column.of(best), float(self.column.values[best]))

    def breaching(self, place: int) -> list[int]:
        """The ids of the series of the asset at `place` for which the condition holds."""
        return self._breaching.get(place, [])

    def without_data(self, ids: Sequence[int]) -> list[int]:
        """Those of `ids` that are the condition's own and have no value in its window."""
        places = ((one, self.column.by_id.get(one)) for one in ids)
        return [one for one, place in places if place is not None and np.isnan(self.column.values[place])]


def _finding(judged: Sequence[_Details], place: int, breached_before: Sequence[int]) -> Finding:
    """All conditions must hold to breach; one that is recovered ends it; without data nothing is known.

    A condition is recovered once every series that breached has been seen to recover: one that stopped reporting has
    not, however well the others of its asset are.
    """
    if all(one.breached[place] for one in judged):
        return Finding.BREACHED
    known = [bool(one.column.present[place]) and not one.without_data(breached_before) for one in judged]
    if any(is_known and not one.unrecovered[place] for one, is_known in zip(judged, known, strict=True)):
        return Finding.CLEARED
    return Finding.BETWEEN if all(known) else Finding.MISSING


def _subject(
    question: Question, judged: Sequence[Judged], place: int, shared: Round, alert: AlertInstance | None
) -> Subject:
    rule, first = question.rule, question.conditions[0]
    details = [one.details for one in judged]
    series, value = details[0].worst(place) or (None, None)
    before = alert.context_data.get("breaching_series", []) if alert else []
    asset_id = shared.assets.ids[place]
    labels = {"metric_name": first.metric_name} | (dict(series.labels) if series else {})
    observation = Observation(_finding(details, place, before), shared.standing.reason(rule, place, labels))
    if observation.finding is not Finding.BREACHED:
        # Only a breach is put in words: what an alert says of itself stays what it was.
        return Subject(rule, asset_id, observation, question.terms)
    title, description = wording.describe(rule, first, str(shared.assets.names[place]), value, series)
    breaching = {one for each in details for one in each.breaching(place) + each.without_data(before)}
    context = {
        "metric_name": first.metric_name,
        "labels": dict(series.labels) if series else {},
        "unit": series.metric_unit if series else "",
        "conditions": [wording.condition_text(one) for one in question.conditions],
        "breaching_series": sorted(breaching),
    }
    return Subject(rule, asset_id, observation, question.terms, title, description, value, first.threshold, context)
