"""Evaluation of due rules: one read of samples for all of them, NumPy over assets and conditions, then the lifecycle.

A rule's row of RuleEvaluation is locked while it is evaluated and moved ahead in the same transaction: two evaluators
never take the same rule, and one that dies leaves it due. What was missed meanwhile is made up once.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from alerts import conditions, suppression, transitions, wording
from alerts.lifecycle import Finding, Observation, State, Terms
from alerts.models import AlertInstance, AlertRule, AlertType, RuleEvaluation
from alerts.selection import AssetTable, active_assets
from alerts.suppression import Coverage
from alerts.transitions import Subject
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from assets.metrics.samples import Samples, nothing

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What one round of evaluation did."""

    rules: int = 0
    series: int = 0
    messages_due: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Round:
    """What all due rules share."""

    now: datetime
    assets: AssetTable
    samples: Samples
    owner: NDArray[np.int64]  # of each series: the place of its asset, -1 where it is not active
    names: NDArray[np.object_]
    coverage: Coverage
    _windows: dict[tuple[str, int, int], NDArray[np.float64]] = field(default_factory=dict)

    def window(self, how: str, start_ms: int, end_ms: int) -> NDArray[np.float64]:
        """Each series aggregated over a window; rules with the same window share the work."""
        place = (how, start_ms, end_ms)
        if place not in self._windows:
            self._windows[place] = self.samples.aggregate(how, start_ms, end_ms)
        return self._windows[place]


def evaluate_due(now: datetime) -> Report:
    """Evaluate every rule that is due at `now`."""
    began = time.perf_counter()
    _begin_new_rules(now)
    report = Report()
    with transaction.atomic():
        due = list(
            RuleEvaluation.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("rule")
            .filter(next_evaluation_at__lte=now)
        )
        if due:
            _evaluate(due, now, report)
    report.seconds = time.perf_counter() - began
    return report


def _begin_new_rules(now: datetime) -> None:
    new = AlertRule.objects.filter(evaluation=None).values_list("pk", flat=True)
    rows = [RuleEvaluation(rule_id=rule_id, next_evaluation_at=now) for rule_id in new]
    if rows:
        RuleEvaluation.objects.bulk_create(rows, ignore_conflicts=True)


def _evaluate(due: list[RuleEvaluation], now: datetime, report: Report) -> None:
    rules = [evaluation.rule for evaluation in due]
    shared = _gather([rule for rule in rules if rule.is_enabled], now)
    live: dict[UUID, list[AlertInstance]] = defaultdict(list)
    for alert in AlertInstance.objects.filter(alert_rule__in=rules).exclude(status=State.RESOLVED):
        live[alert.alert_rule_id].append(alert)
    for evaluation in due:
        _evaluate_one(evaluation, shared, live[evaluation.rule_id], report)
    columns = [
        "next_evaluation_at",
        "last_evaluated_at",
        "last_duration_ms",
        "last_series_seen",
        "last_error",
    ]
    RuleEvaluation.objects.bulk_update(due, columns)


def _evaluate_one(evaluation: RuleEvaluation, shared: Round, live: list[AlertInstance], report: Report) -> None:
    """One rule, in a savepoint: what fails is written on the rule, and the others go on."""
    began, rule = time.perf_counter(), evaluation.rule
    try:
        with transaction.atomic():
            report.messages_due += _judge(rule, shared, live, evaluation)
        evaluation.last_error = not_evaluated(rule)
    except Exception as error:
        log.exception("rule %s could not be evaluated", rule.rule_name)
        evaluation.last_error = f"{type(error).__name__}: {error}"[:1000]
    evaluation.last_evaluated_at = shared.now
    evaluation.last_duration_ms = (time.perf_counter() - began) * 1000
    evaluation.next_evaluation_at = _next(evaluation.next_evaluation_at, rule.evaluation_frequency, shared.now)
    report.rules += 1
    report.series += evaluation.last_series_seen or 0


def not_evaluated(rule: AlertRule) -> str:
    """Why a rule is not evaluated, or nothing where it is."""
    if rule.alert_type == AlertType.THRESHOLD:
        return ""
    return f"not evaluated: rules of type {rule.alert_type} are stored only; choose type threshold to be alerted"


def _next(due_at: datetime, frequency_seconds: int, now: datetime) -> datetime:
    """The first multiple of the frequency after `now`: missed evaluations are not replayed."""
    step = timedelta(seconds=frequency_seconds)
    return due_at + step * (max(now - due_at, timedelta(0)) // step + 1)


def _gather(rules: Sequence[AlertRule], now: datetime) -> Round:
    """Read what the rules need, once: their metrics over the longest of their windows."""
    assets = active_assets()
    wanted = [condition for rule in rules for condition in rule.metric_conditions]
    names = tuple(sorted({condition["metric_name"] for condition in wanted}))
    longest = max((condition.get("time_window", 300) for condition in wanted), default=300)
    # A counter's rate needs the sample before the window.
    start = now - timedelta(seconds=longest + 60)
    samples = query.read(SeriesSelector(names), start, now) if names else nothing()
    samples = samples.rates()
    places = {asset_id: place for place, asset_id in enumerate(assets.ids)}
    owner = np.array([places.get(series.asset_id, -1) for series in samples.series], dtype=np.int64)
    series_names = np.array([series.metric_name for series in samples.series], dtype=object)
    return Round(now, assets, samples, owner, series_names, suppression.covered(now))


def _judge(rule: AlertRule, shared: Round, live: list[AlertInstance], evaluation: RuleEvaluation) -> int:
    """Apply one rule to its assets; answers how many messages became due."""
    if not rule.is_enabled or rule.alert_type != AlertType.THRESHOLD:
        return transitions.end_orphans(live, "The rule was switched off.", shared.now)
    chosen = shared.assets.select(rule.asset_filter)
    judged = [_Judged(condition, rule, shared) for condition in rule.metric_conditions]
    evaluation.last_series_seen = int(sum(len(one.series) for one in judged))
    breached = chosen & np.logical_and.reduce([one.breached for one in judged])
    terms, told = terms_of(rule), 0
    held = {alert.asset_id: alert for alert in live}
    places = {asset_id: place for place, asset_id in enumerate(shared.assets.ids)}
    concerned = {shared.assets.ids[place] for place in np.flatnonzero(breached)}
    concerned |= {asset_id for asset_id in held if asset_id in places and chosen[places[asset_id]]}
    for asset_id in concerned:
        subject = _subject(rule, judged, asset_id, places[asset_id], shared)
        told += transitions.observe(subject, held.get(asset_id), terms, shared.now)
    left = [alert for alert in live if alert.asset_id not in concerned]
    return told + transitions.end_orphans(left, "The asset is no longer covered by the rule.", shared.now)


def terms_of(rule: AlertRule) -> Terms:
    config = rule.threshold_config
    return Terms(
        config.get("consecutive_breaches", 1),
        timedelta(seconds=config.get("keep_firing_seconds", 0)),
        timedelta(seconds=rule.auto_resolve_timeout) if rule.auto_resolve_timeout else None,
        timedelta(seconds=max(3 * rule.evaluation_frequency, rule.evaluation_window)),
    )


class _Judged:
    """One condition over all assets: whether it holds, is recovered, has data, and the worst series of each asset."""

    def __init__(self, condition: dict[str, object], rule: AlertRule, shared: Round):
        self.condition = conditions.condition_of(condition)
        self.recovery = rule.threshold_config.get("recovery_threshold") if self._is_first(rule, condition) else None
        end_ms = int(shared.now.timestamp() * 1000)
        start_ms = end_ms - self.condition.time_window * 1000
        self.series = np.flatnonzero((shared.names == self.condition.metric_name) & (shared.owner >= 0))
        values = shared.window(self.condition.aggregation, start_ms, end_ms)[self.series]
        counts = shared.window("count", start_ms, end_ms)[self.series]
        values = np.where(counts > 0, values, np.nan)
        owner = shared.owner[self.series]
        size = len(shared.assets.ids)
        breaching = conditions.breaches(values, self.condition.operator, self.condition.threshold)
        self.breached = np.bincount(owner, weights=breaching, minlength=size) > 0
        self.present = np.bincount(owner, weights=~np.isnan(values), minlength=size) > 0
        unrecovered = breaching | self._unrecovered(values)
        self.unrecovered = np.bincount(owner, weights=unrecovered, minlength=size) > 0
        self._owner, self._values = owner, values

    @staticmethod
    def _is_first(rule: AlertRule, condition: dict[str, object]) -> bool:
        return condition is rule.metric_conditions[0]

    def _unrecovered(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self.recovery is None:
            return np.zeros(len(values), dtype=bool)
        return conditions.breaches(values, self.condition.operator, self.recovery)

    def worst(self, place: int) -> tuple[int, float] | None:
        """The place of the worst series of the asset at `place`, and its value; None without data."""
        own = np.flatnonzero((self._owner == place) & ~np.isnan(self._values))
        if not len(own):
            return None
        direction = conditions.worse(self.condition.operator) or 1
        best = own[np.argmax(self._values[own] * direction)]
        return int(self.series[best]), float(self._values[best])


def _finding(judged: list[_Judged], place: int) -> Finding:
    """All conditions must hold to breach; one that is recovered ends it; without data nothing is known."""
    if all(one.breached[place] for one in judged):
        return Finding.BREACHED
    if any(one.present[place] and not one.unrecovered[place] for one in judged):
        return Finding.CLEARED
    if all(one.present[place] for one in judged):
        return Finding.BETWEEN
    return Finding.MISSING


def _subject(rule: AlertRule, judged: list[_Judged], asset_id: UUID, place: int, shared: Round) -> Subject:
    worst = judged[0].worst(place)
    series = shared.samples.series[worst[0]] if worst else None
    value = worst[1] if worst else None
    name = str(shared.assets.names[place])
    title, description = wording.describe(rule, judged[0].condition, name, value, series)
    honours_windows = rule.suppression_config.get("maintenance_windows", True)
    observation = Observation(_finding(judged, place), bool(honours_windows and asset_id in shared.coverage))
    context = {
        "metric_name": judged[0].condition.metric_name,
        "labels": dict(series.labels) if series else {},
        "unit": series.metric_unit if series else "",
        "conditions": [wording.condition_text(one.condition) for one in judged],
    }
    return Subject(rule, asset_id, observation, title, description, value, judged[0].condition.threshold, context)
