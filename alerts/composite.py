"""Rules over other things: metrics, other rules' open alerts and verdicts of checks, on an asset or on what it needs.

Each part is held, not held or unknown on each asset. Where what is unknown could turn the answer, data is missing: that
neither opens nor ends an alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts import findings, rule_kinds, wording
from alerts.conditions import CheckPart, CompositeConfig, MetricCondition, MetricPart, RulePart
from alerts.findings import Answer, Judged, Mask, Round
from alerts.lifecycle import Finding, Observation, Terms
from alerts.models import AlertInstance, AlertRule
from alerts.readings import Window, window_of
from alerts.rule_kinds import Part
from alerts.transitions import Subject

CHECK_UP, CHECK_LABEL = "check_up", "check"
HELD, NOT_HELD, UNKNOWN = 1, 0, -1
Truth = NDArray[np.int8]  # of each asset one of these


@dataclass(frozen=True)
class Question:
    """A composite rule as it is evaluated."""

    rule: AlertRule
    asked: CompositeConfig
    terms: Terms

    @property
    def rule_names(self) -> set[str]:
        return rule_kinds.named_rules(self.asked)

    def windows(self) -> list[Window]:
        delay = findings.delay_of(self.rule)
        return [window_of(asked, delay) for asked in map(_condition_of, self.asked.parts) if asked]

    def answer(self, shared: Round, live: Sequence[AlertInstance]) -> Answer:
        return answer(self, shared, live)


def question_of(rule: AlertRule) -> Question:
    """`rule`, ready to be evaluated. Raises msgspec.ValidationError where it was stored unchecked."""
    return Question(rule, rule_kinds.composite_of(rule), findings.terms_of(rule))


def _condition_of(part: Part) -> MetricCondition | None:
    if isinstance(part, CheckPart):
        return MetricCondition(CHECK_UP, "lt", 1, "last", part.time_window)  # type: ignore[arg-type]
    return part if isinstance(part, MetricPart) else None


def combined(asked: CompositeConfig, truths: Sequence[Truth]) -> Truth:
    """What `truths`, one for each part, say together of each asset; by Kleene's logic of three values."""
    held = np.sum([truth == HELD for truth in truths], axis=0)
    unknown = np.sum([truth == UNKNOWN for truth in truths], axis=0)
    needed = {"all": len(truths), "any": 1, "none": 1}.get(asked.require, asked.at_least or 1)
    enough = np.where(held >= needed, HELD, np.where(held + unknown < needed, NOT_HELD, UNKNOWN)).astype(np.int8)
    if asked.require != "none":
        return enough
    return np.where(enough == UNKNOWN, UNKNOWN, 1 - enough).astype(np.int8)


def answer(question: Question, shared: Round, live: Sequence[AlertInstance]) -> Answer:
    """Judge one rule. Raises readings.TooMuch and surroundings.Unknown."""
    _, chosen = shared.chosen(question.rule.asset_filter)
    seen = [_Seen(part, question.rule, shared) for part in question.asked.parts]
    verdict = combined(question.asked, [one.truth for one in seen])
    held = {shared.places[alert.asset_id]: alert for alert in live if alert.asset_id in shared.places}
    concerned = set(np.flatnonzero(chosen & (verdict == HELD)).tolist()) | {one for one in held if chosen[one]}
    found = [
        (_subject(question, seen, int(verdict[place]), place, shared, held.get(place)), held.get(place))
        for place in sorted(concerned)
    ]
    told = {id(alert) for _, alert in found}
    known = int(np.count_nonzero(chosen & (verdict != UNKNOWN)))
    return Answer(known, found, [alert for alert in live if id(alert) not in told])


class _Seen:
    """One part over all assets; with its series where it reads any."""

    def __init__(self, part: Part, rule: AlertRule, shared: Round):
        self.part = part
        self.judged: Judged | None = None
        if isinstance(part, RulePart):
            firing = shared.surroundings.firing(part.rule_name)
            held, known, reported = firing, np.ones(len(firing), dtype=bool), np.zeros(len(firing), dtype=bool)
        else:
            held, known, reported = self._of_series(part, rule, shared)
        if part.on == "upstream":
            # What has the metric and is silent leaves it open; what never had it, or nothing to need, does not.
            held, silent = (shared.surroundings.any_upstream(mask) for mask in (held, reported & ~known))
            known = ~silent
        self.truth = np.where(held, HELD, np.where(known, NOT_HELD, UNKNOWN)).astype(np.int8)

    def _of_series(self, part: MetricPart | CheckPart, rule: AlertRule, shared: Round) -> tuple[Mask, Mask, Mask]:
        """Assets on which it is held, that have a value, and that have a series."""
        condition = _condition_of(part)
        assert condition is not None
        column = shared.readings.column(condition, findings.delay_of(rule))
        if isinstance(part, CheckPart) and part.check_name:
            column = column.where(lambda series: series.labels.get(CHECK_LABEL) == part.check_name)
        self.judged = Judged(condition, column, None)
        return self.judged.breached, column.present, column.any(np.ones(len(column.owner), dtype=bool))

    def breaching(self, place: int) -> list[int]:
        return self.judged.details.breaching(place) if self.judged and self.part.on == "asset" else []

    def without_data(self, ids: Sequence[int]) -> list[int]:
        return self.judged.details.without_data(ids) if self.judged and ids else []


def _subject(
    question: Question, seen: Sequence[_Seen], verdict: int, place: int, shared: Round, alert: AlertInstance | None
) -> Subject:
    rule, asset_id = question.rule, shared.assets.ids[place]
    before = alert.context_data.get("breaching_series", []) if alert else []
    gone = {one for part in seen for one in part.without_data(before)}
    finding = {HELD: Finding.BREACHED, UNKNOWN: Finding.MISSING}.get(verdict, Finding.CLEARED)
    if finding is Finding.CLEARED and gone:
        # A series that stopped reporting while it breached has not recovered.
        finding = Finding.MISSING
    observation = Observation(finding, shared.standing.reason(rule, place, {}))
    if finding is not Finding.BREACHED:
        return Subject(rule, asset_id, observation, question.terms)
    hold = [wording.part_text(one.part) for one in seen if one.truth[place] == HELD]
    title = f"{rule.rule_name}: {len(hold)} of {len(seen)} hold on {shared.assets.names[place]}"
    context = _context(seen, hold, sorted({*gone, *(one for part in seen for one in part.breaching(place))}))
    description = wording.explained(rule, title)
    return Subject(rule, asset_id, observation, question.terms, title, description, float(len(hold)), None, context)


def _context(seen: Sequence[_Seen], hold: list[str], breaching: list[int]) -> dict[str, Any]:
    metrics = [one.judged.condition.metric_name for one in seen if one.judged and one.part.on == "asset"]
    return {
        "metric_name": metrics[0] if metrics else "",
        "labels": {},
        "conditions": [wording.part_text(one.part) for one in seen],
        "holding": hold,
        "breaching_series": breaching,
    }
