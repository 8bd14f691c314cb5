"""Rules about what does not come in: assets that stopped sending a metric, never sent it, or are too few that do.

What came in during the last hour is known from what all rules read; only of assets that sent nothing in it, and where
a rule allows for a longer silence, is more looked up. New assets have a grace, and ephemeral ones that have left are
not missed. Data that comes in again ends the alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from alerts import rule_kinds, wording
from alerts.conditions import AbsenceConfig, MetricCondition
from alerts.findings import Answer, Mask, Round, terms_of
from alerts.lifecycle import Finding, Observation, Terms
from alerts.models import AlertInstance, AlertRule
from alerts.readings import LONGEST_KEPT, Window, window_of
from alerts.transitions import Subject
from assets.metrics import query
from assets.metrics.query import HOUR, SeriesSelector
from assets.metrics.samples import Series

NOW = timedelta(0)  # Silence lasts until now: nothing is gained by looking at an earlier end.


@dataclass(frozen=True)
class Question:
    """An absence rule as it is evaluated."""

    rule: AlertRule
    asked: AbsenceConfig
    terms: Terms
    lately: MetricCondition

    @property
    def rule_names(self) -> set[str]:
        return set()

    def windows(self) -> list[Window]:
        return [window_of(self.lately, NOW)]

    def answer(self, shared: Round, live: Sequence[AlertInstance]) -> Answer:
        return answer(self, shared, live)


def question_of(rule: AlertRule) -> Question:
    """`rule`, ready to be evaluated. Raises msgspec.ValidationError where it was stored unchecked."""
    asked = rule_kinds.absence_of(rule)
    seconds = min(asked.silent_seconds, int(LONGEST_KEPT.total_seconds()))
    lately = MetricCondition(asked.metric_name, "gte", 1, "count", seconds)
    return Question(rule, asked, terms_of(rule), lately)


def answer(question: Question, shared: Round, live: Sequence[AlertInstance]) -> Answer:
    """Judge one rule."""
    _, chosen = shared.chosen(question.rule.asset_filter)
    heard = chosen & shared.readings.column(question.lately, NOW).present
    ever = heard.copy()
    if (missing := chosen & ~heard).any():
        series = _series_of(question.asked.metric_name, missing, shared)
        ever |= _mask(series, shared)
        heard |= chosen & _mask(_heard_before(series, question.asked, shared.now), shared)
    if question.asked.when == "fewer_assets":
        return _of_all(question, chosen, heard, shared, live)
    return _of_each(question, chosen, heard, ever, shared, live)


def _series_of(metric_name: str, missing: Mask, shared: Round) -> list[Series]:
    """The metric's series of the assets that sent nothing lately; of many, all are read sooner than named."""
    ids = [shared.assets.ids[place] for place in np.flatnonzero(missing).tolist()]
    series = query.find_series(SeriesSelector((metric_name,), tuple(ids) if len(ids) <= 1000 else ()))
    wanted = set(ids)
    return [one for one in series if one.asset_id in wanted]


def _mask(series: Sequence[Series], shared: Round) -> Mask:
    found = np.zeros(len(shared.assets.ids), dtype=bool)
    found[[shared.places[one.asset_id] for one in series if one.asset_id in shared.places]] = True
    return found


def _heard_before(series: list[Series], asked: AbsenceConfig, now: datetime) -> list[Series]:
    """Those of `series` with a sample in the time that the rule allows, where that is longer than what is kept.

    Whole hours are told by their statistics, the part of an hour at the beginning by samples.
    """
    since = now - timedelta(seconds=asked.silent_seconds)
    if not series or now - since <= LONGEST_KEPT:
        return []
    whole = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
    ids, starts, _ = query.statistics_of(series, whole + timedelta(microseconds=1), now, "hour")
    heard = set(ids[starts >= whole.timestamp() * 1000].tolist())
    rest = [one for one in series if one.id not in heard]
    begun = query.read_series(rest, since, whole - timedelta(milliseconds=1))
    sizes: NDArray[np.int64] = np.diff(begun.offsets)
    heard |= {one.id for one, size in zip(begun.series, sizes.tolist(), strict=True) if size}
    return [one for one in series if one.id in heard]


def _of_each(
    question: Question, chosen: Mask, heard: Mask, ever: Mask, shared: Round, live: Sequence[AlertInstance]
) -> Answer:
    silent = _silent(question.asked, chosen, heard, ever, shared)
    held = {shared.places[alert.asset_id]: alert for alert in live if alert.asset_id in shared.places}
    concerned = set(np.flatnonzero(silent).tolist()) | {place for place in held if chosen[place]}
    found = [
        (_subject(question, place, bool(silent[place]), bool(ever[place]), shared), held.get(place))
        for place in sorted(concerned)
    ]
    told = {id(alert) for _, alert in found}
    orphans = [alert for alert in live if id(alert) not in told]
    return Answer(int(heard.sum()), found, orphans)


def _silent(asked: AbsenceConfig, chosen: Mask, heard: Mask, ever: Mask, shared: Round) -> Mask:
    missed = {"stopped": chosen & ~heard & ever, "never_seen": chosen & ~heard & ~ever}
    silent = missed.get(asked.when, chosen & ~heard)
    if silent.any():
        silent = silent & ~shared.surroundings.new(asked.grace_seconds) & ~shared.surroundings.departed
    return silent


def _subject(question: Question, place: int, silent: bool, ever: bool, shared: Round) -> Subject:
    rule, asked = question.rule, question.asked
    labels = {"metric_name": asked.metric_name}
    finding = Finding.BREACHED if silent else Finding.CLEARED
    observation = Observation(finding, shared.standing.reason(rule, place, labels))
    asset_id = shared.assets.ids[place]
    if not silent:
        return Subject(rule, asset_id, observation, question.terms)
    metric, name = wording.metric_title(asked.metric_name), shared.assets.names[place]
    since = f"has not come in for {wording.span(asked.silent_seconds)}" if ever else "has never come in"
    title = f"{metric} {since} from {name}"
    return _breach(question, asset_id, observation, title, None, {"ever_seen": ever})


def _of_all(question: Question, chosen: Mask, heard: Mask, shared: Round, live: Sequence[AlertInstance]) -> Answer:
    """One finding about all assets of the rule together."""
    rule, asked = question.rule, question.asked
    present, expected = int(heard.sum()), asked.expected_assets or 0
    held = next((alert for alert in live if alert.asset_id is None), None)
    orphans = [alert for alert in live if alert is not held]
    if present >= expected and held is None:
        return Answer(present, [], orphans)
    finding = Finding.BREACHED if present < expected else Finding.CLEARED
    observation = Observation(finding, shared.standing.reason_of_all(rule, chosen))
    if finding is Finding.CLEARED:
        return Answer(present, [(Subject(rule, None, observation, question.terms), held)], orphans)
    metric = wording.metric_title(asked.metric_name)
    title = f"{metric} comes in from {present} of {expected} expected assets"
    silent = np.flatnonzero(chosen & ~heard)[:20].tolist()
    named = {"silent_assets": [str(shared.assets.names[place]) for place in silent]}
    return Answer(present, [(_breach(question, None, observation, title, present, named), held)], orphans)


def _breach(
    question: Question,
    asset_id: UUID | None,
    observation: Observation,
    title: str,
    present: int | None,
    more: dict[str, Any],
) -> Subject:
    rule, asked = question.rule, question.asked
    context = {"metric_name": asked.metric_name, "labels": {}, "conditions": [wording.limits(rule)]} | more
    description = wording.explained(rule, title)
    expected = asked.expected_assets
    return Subject(
        rule,
        asset_id,
        observation,
        question.terms,
        title,
        description,
        None if present is None else float(present),
        None if expected is None else float(expected),
        context,
    )
