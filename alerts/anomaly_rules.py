"""Rules about what is unusual: a metric outside of its expected band, or a surprise for the detector that follows it.

Each series is judged by itself, by what is stored of it and nothing later. A series that is not known for the days that
the rule asks for is learnt and pages nobody; the rule says so.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from alerts import findings, learning, rule_kinds, wording
from alerts.anomaly.bands import Band, Surprises
from alerts.conditions import AnomalyConfig, MetricCondition
from alerts.findings import Answer, Mask, Round
from alerts.lifecycle import Finding, Observation, Terms
from alerts.models import AlertInstance, AlertRule
from alerts.readings import Column, Window, window_of
from alerts.transitions import Subject


@dataclass(frozen=True)
class Question:
    """An anomaly rule as it is evaluated."""

    rule: AlertRule
    asked: AnomalyConfig
    terms: Terms
    delay: timedelta

    @property
    def rule_names(self) -> set[str]:
        return set()

    @property
    def conditions(self) -> tuple[MetricCondition]:
        """What is watched, with nothing that it is compared with."""
        return (MetricCondition(self.asked.metric_name, "gt", 0, self.asked.aggregation, self.asked.time_window),)

    def windows(self) -> list[Window]:
        return [window_of(condition, self.delay) for condition in self.conditions]

    def answer(self, shared: Round, live: Sequence[AlertInstance]) -> Answer:
        return answer(self, shared, live)


def question_of(rule: AlertRule) -> Question:
    """`rule`, ready to be evaluated. Raises msgspec.ValidationError or ValueError where it was stored unchecked."""
    asked = rule_kinds.anomaly_of(rule)
    if asked.aggregation not in rule_kinds.WITH_A_BAND:
        raise ValueError(f"of {asked.aggregation} no band is known: choose avg, max or min")
    return Question(rule, asked, findings.terms_of(rule), findings.delay_of(rule))


def answer(question: Question, shared: Round, live: Sequence[AlertInstance]) -> Answer:
    """Judge one rule. Raises readings.TooMuch and learning.TooMany."""
    _, chosen = shared.chosen(question.rule.asset_filter)
    column = shared.readings.column(question.conditions[0], question.delay).part(chosen)
    seen = _judge(question, column, shared.now - question.delay)
    breached = column.any(seen.breached)
    held = {shared.places[alert.asset_id]: alert for alert in live if alert.asset_id in shared.places}
    concerned = set(np.flatnonzero(breached).tolist()) | {place for place in held if chosen[place]}
    found = [(_subject(question, seen, place, shared, held.get(place)), held.get(place)) for place in sorted(concerned)]
    told = {id(alert) for _, alert in found}
    known = int(np.count_nonzero(~np.isnan(column.values)))
    return Answer(known, found, [alert for alert in live if id(alert) not in told], seen.state)


@dataclass(frozen=True)
class _Judged:
    """The metric of a rule over all its series."""

    column: Column
    band: Band
    surprises: Surprises
    breached: Mask
    state: str

    @cached_property
    def of_asset(self) -> dict[int, list[int]]:
        """The series of each asset, those first that are the furthest off for how far is usual."""
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.abs(self.column.values - self.band.expected) / (self.band.upper - self.band.lower)
        rank = np.where(np.isnan(off), 0.0, off) + self.surprises.score
        found: dict[int, list[int]] = defaultdict(list)
        for one in np.lexsort((-rank, ~self.breached)).tolist():
            found[int(self.column.owner[one])].append(one)
        return found


def _judge(question: Question, column: Column, now: datetime) -> _Judged:
    asked, rule = question.asked, question.rule
    series = [column.of(place) for place in range(len(column.places))]
    learner = learning.of_this_process().of(rule.pk, question.conditions[0], asked.baseline_days, now)
    learner.advance(series, now)
    band, ready = learner.band(asked.sensitivity, now)
    surprises = learner.surprises(now, timedelta(seconds=rule.evaluation_frequency))
    unusual = band.unusual(column.values, surprises, asked.sensitivity, asked.direction)
    state = state_of(ready, learner.hours.days(), asked.baseline_days, learner.caught_up)
    return _Judged(column, band, surprises, unusual & ready & ~np.isnan(column.values), state)


def state_of(ready: Mask, days: learning.Floats, needed: int, caught_up: bool) -> str:
    """What the rule says of what it knows: empty where it knows enough of every series."""
    if ready.all() and len(ready):
        return "" if caught_up else "reading history: the expected band judges already, the detector not yet"
    known = int(days[~ready].max(initial=0))
    text = f"learning, {min(known, needed)} of {needed} days"
    return text if not ready.any() else f"{text} on {np.count_nonzero(~ready):,} of {len(ready):,} series"


def _subject(question: Question, seen: _Judged, place: int, shared: Round, alert: AlertInstance | None) -> Subject:
    rule, asset_id = question.rule, shared.assets.ids[place]
    finding = _finding(seen, place, alert)
    own = seen.of_asset.get(place, [])
    labels = {"metric_name": question.asked.metric_name} | (dict(seen.column.of(own[0]).labels) if own else {})
    observation = Observation(finding, shared.standing.reason(rule, place, labels))
    if finding is not Finding.BREACHED:
        return Subject(rule, asset_id, observation, question.terms)
    return _breach(question, observation, seen, own, place, shared)


def _finding(seen: _Judged, place: int, alert: AlertInstance | None) -> Finding:
    """A series that stopped reporting while it was unusual has not become usual."""
    own, values = seen.of_asset.get(place, []), seen.column.values
    if own and seen.breached[own[0]]:
        return Finding.BREACHED
    before = alert.context_data.get("breaching_series", []) if alert else []
    gone = {seen.column.of(one).id for one in own if np.isnan(values[one])} & set(before)
    known = any(not np.isnan(values[one]) for one in own)
    return Finding.CLEARED if known and not gone else Finding.MISSING


def _breach(
    question: Question, observation: Observation, seen: _Judged, own: Sequence[int], place: int, shared: Round
) -> Subject:
    rule, asked, worst = question.rule, question.asked, own[0]
    series, value = seen.column.of(worst), float(seen.column.values[worst])
    low, middle, high = (float(one[worst]) for one in (seen.band.lower, seen.band.expected, seen.band.upper))
    score = float(seen.surprises.score[worst])
    at = shared.now - question.delay
    name = str(shared.assets.names[place])
    title, text = wording.unusual(asked.metric_name, name, series, value, at, (low, high), score)
    crossed = high if value > high else low if value < low else None
    context: dict[str, Any] = {
        "metric_name": asked.metric_name,
        "labels": dict(series.labels),
        "unit": series.metric_unit,
        "series_id": series.id,
        "conditions": [wording.limits(rule)],
        "breaching_series": sorted(seen.column.of(one).id for one in own if seen.breached[one]),
        "expected": {"lower": _finite(low), "middle": _finite(middle), "upper": _finite(high)},
        "score": round(score, 2),
        "why": text,
    }
    description = wording.explained(rule, f"{title}: {text}")
    return Subject(
        rule, shared.assets.ids[place], observation, question.terms, title, description, value, crossed, context
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
