"""Evaluation of due rules: claim, read what is new once for all, judge each rule over all series, apply what was found.

A rule that fails says so on its row, is pushed ahead, and does not stop the others.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

from alerts import absence, anomaly_rules, claims, composite, findings, profiles, transitions
from alerts.claims import Claim, Claims
from alerts.findings import Answer, Round
from alerts.lifecycle import State
from alerts.models import AlertInstance, AlertRule, AlertType
from alerts.readings import Readings, Window
from alerts.selection import AssetTable, active_assets
from alerts.suppression import standing
from alerts.surroundings import Surroundings
from alerts.transitions import Ending, Outcome, Subject

log = logging.getLogger(__name__)
SWITCHED_OFF = "The rule was switched off."
NOT_COVERED = "The asset is no longer covered by the rule."


class Question(Protocol):
    """A rule as it is evaluated, of whichever type."""

    @property
    def rule(self) -> AlertRule: ...

    @property
    def rule_names(self) -> set[str]: ...

    def windows(self) -> list[Window]: ...

    def answer(self, shared: Round, live: Sequence[AlertInstance]) -> Answer: ...


EVALUATED: dict[str, Callable[[AlertRule], Question]] = {
    AlertType.THRESHOLD: findings.question_of,
    AlertType.ANOMALY: anomaly_rules.question_of,
    AlertType.ABSENCE: absence.question_of,
    AlertType.COMPOSITE: composite.question_of,
}


@dataclass
class Report:
    """What one round of evaluation did."""

    rules: int = 0
    series: int = 0
    messages_due: int = 0
    seconds: float = 0.0


@dataclass
class _Plan:
    """What all rules of a round ask to be written."""

    found: list[tuple[Subject, AlertInstance | None]] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)

    def add(self, rule: AlertRule, given: Answer, reason: str) -> None:
        for subject, _ in given.found if rule.profile else ():
            subject.context["profile"] = rule.profile
        self.found += given.found
        self.endings += [Ending(alert, rule, reason) for alert in given.orphans]


def evaluate_due(now: datetime) -> Report:
    """Evaluate every rule that is due at `now`."""
    began = time.perf_counter()
    claims.begin_new_rules(now)
    taken = Claims(claims.take_due(now))
    report = Report()
    if taken.by_rule:
        _evaluate(taken, now, report)
    report.seconds = time.perf_counter() - began
    return report


def _evaluate(taken: Claims, now: datetime, report: Report) -> None:
    stored = AlertRule.objects.filter(pk__in=list(taken.by_rule))
    rules = {rule.pk: _guarded(taken.by_rule[rule.pk], partial(profiles.applied, rule, now)) or rule for rule in stored}
    # A rule that was deleted since it was claimed took its row along.
    taken = Claims(claim for claim in taken.by_rule.values() if claim.rule_id in rules)
    live = _live(list(rules))
    plan, questions = _Plan(), _questions(taken, rules, live)
    shared = _share(taken, questions, now)
    for rule_id, claim in taken.by_rule.items():
        if question := questions.get(rule_id):
            given = _guarded(claim, partial(question.answer, shared, live[rule_id]))
            if given is not None:
                claim.series_seen, claim.said = given.series_seen, given.state or question.rule.profile
                plan.add(question.rule, given, NOT_COVERED)
        elif not claim.error:
            rule = rules[rule_id]
            plan.add(rule, Answer(0, [], live[rule_id]), rule.profile or SWITCHED_OFF)
            claim.said = rule.profile
    _write(plan, taken, now, report)
    taken.finish({rule_id: rule.evaluation_frequency for rule_id, rule in rules.items()}, now)
    report.rules = len(taken.by_rule)
    report.series = sum(claim.series_seen or 0 for claim in taken.by_rule.values())


def _live(rule_ids: Sequence[UUID]) -> dict[UUID, list[AlertInstance]]:
    found: dict[UUID, list[AlertInstance]] = defaultdict(list)
    for alert in AlertInstance.objects.filter(alert_rule__in=rule_ids).exclude(status=State.RESOLVED):
        found[alert.alert_rule_id].append(alert)
    return found


def _questions(
    taken: Claims, rules: dict[UUID, AlertRule], live: dict[UUID, list[AlertInstance]]
) -> dict[UUID, Question]:
    """The rules that are evaluated, as they are understood; what is wrong with one is on its claim."""
    found = {}
    for rule_id, claim in taken.by_rule.items():
        rule = rules[rule_id]
        if rule.is_enabled:
            question = _guarded(claim, partial(EVALUATED[rule.alert_type], rule))
            if question is not None:
                found[rule_id] = question
    return found


def _share(taken: Claims, questions: dict[UUID, Question], now: datetime) -> Round:
    """What all rules share. Those whose samples cannot be read are taken out of `questions`; their claims say why."""
    assets = active_assets()
    try:
        readings = _readings(questions.values(), assets, now)
    except Exception:
        log.exception("what the rules read could not be read at once; each tries for itself")
        for rule_id, question in list(questions.items()):
            if _guarded(taken.by_rule[rule_id], partial(_readings, [question], assets, now)) is None:
                del questions[rule_id]
        readings = _readings(questions.values(), assets, now)
    places: dict[UUID | None, int] = {asset_id: place for place, asset_id in enumerate(assets.ids)}
    named = {name for question in questions.values() for name in question.rule_names}
    around = Surroundings(assets, now, named)
    return Round(now, assets, readings, standing.at(now, assets), places, around)


def _readings(questions: Iterable[Question], assets: AssetTable, now: datetime) -> Readings:
    return Readings({window for question in questions for window in question.windows()}, assets, now)


_T = TypeVar("_T")


def _guarded(claim: Claim, work: Callable[[], _T]) -> _T | None:
    """What fails is written on its rule, and the others go on."""
    began = time.perf_counter()
    try:
        return work()
    except Exception as error:
        log.exception("rule %s could not be evaluated", claim.rule_id)
        claim.error = f"{type(error).__name__}: {error}"[:1000]
        return None
    finally:
        claim.duration_ms += (time.perf_counter() - began) * 1000


def _write(plan: _Plan, taken: Claims, now: datetime, report: Report) -> None:
    began = time.perf_counter()
    outcome = Outcome()
    transitions.observe(plan.found, now, taken.standing, outcome)
    transitions.end_orphans(plan.endings, now, taken.standing, outcome)
    report.messages_due = outcome.messages
    for rule_id, problem in outcome.failures.items():
        taken.by_rule[rule_id].error = problem[:1000]
    # Rules are written together: each is charged by its rows.
    rows = [subject.rule.pk for subject, _ in plan.found] + [ending.rule.pk for ending in plan.endings]
    each_ms = (time.perf_counter() - began) * 1000 / max(len(rows), 1)
    for rule_id in rows:
        taken.by_rule[rule_id].duration_ms += each_ms
