"""Evaluation of due rules: one read of samples for all of them, NumPy over assets and conditions, then the lifecycle.

A rule's row of RuleEvaluation is locked while it is evaluated and moved ahead in the same transaction: two evaluators
never take the same rule, and one that dies leaves it due. What was missed meanwhile is made up once.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
from assets.metrics.samples import Samples, Series, nothing

log = logging.getLogger(__name__)
# How long before a window the last sample of a counter is looked for: as long as the window, within these.
LOOK_BACK, LONGEST_LOOK_BACK = timedelta(minutes=5), timedelta(hours=1)
# A longer window is sized up by what this much of it holds before it is read.
PROBE = timedelta(minutes=10)
MOST_SAMPLES = 5_000_000


@dataclass
class Report:
    """What one round of evaluation did."""

    rules: int = 0
    series: int = 0
    messages_due: int = 0
    seconds: float = 0.0


class TooMuch(Exception):
    """A condition asks for more samples than are read in one round; the text says what to change."""


@dataclass(frozen=True)
class Window:
    """The samples of all conditions over one length of time; they share the work."""

    samples: Samples
    start_ms: int
    end_ms: int
    owner: NDArray[np.int64]  # of each series: the place of its asset, -1 where it is not active
    names: NDArray[np.object_]
    places: Mapping[int, int]  # of each series, by its id
    too_much: Mapping[str, str]  # metrics that were not read, and why
    _found: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def aggregate(self, how: str) -> NDArray[np.float64]:
        """Each series aggregated; what overflows is infinite and so no value."""
        if how not in self._found:
            with np.errstate(over="ignore", invalid="ignore"):
                self._found[how] = self.samples.aggregate(how, self.start_ms, self.end_ms)
        return self._found[how]

    def series_of(self, metric_name: str) -> NDArray[np.int64]:
        """The places of a metric's series. Raises TooMuch."""
        if why := self.too_much.get(metric_name):
            raise TooMuch(why)
        return np.flatnonzero((self.names == metric_name) & (self.owner >= 0))


@dataclass(frozen=True)
class Round:
    """What all due rules share."""

    now: datetime
    assets: AssetTable
    windows: Mapping[int, Window]  # by their length in seconds
    coverage: Coverage


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
    """Read what the rules need, once: the metrics of each length of window, so that a long one is not read for all."""
    assets = active_assets()
    wanted: dict[int, set[str]] = defaultdict(set)
    for condition in (condition for rule in rules for condition in rule.metric_conditions):
        wanted[condition.get("time_window", 300)].add(condition["metric_name"])
    places = {asset_id: place for place, asset_id in enumerate(assets.ids)}
    windows = {seconds: _window(names, seconds, places, now) for seconds, names in wanted.items()}
    return Round(now, assets, windows, suppression.covered(now))


def _window(names: set[str], seconds: int, places: Mapping[UUID, int], now: datetime) -> Window:
    too_much = _too_much(names, seconds, now)
    read = tuple(sorted(names - too_much.keys()))
    # A counter's rate needs the sample before the window, however slowly it reports.
    start = now - timedelta(seconds=seconds) - min(max(timedelta(seconds=seconds), LOOK_BACK), LONGEST_LOOK_BACK)
    samples = query.read(SeriesSelector(read), start, now).rates() if read else nothing()
    end_ms = int(now.timestamp() * 1000)
    return Window(
        samples,
        end_ms - seconds * 1000,
        end_ms,
        np.array([places.get(series.asset_id, -1) for series in samples.series], dtype=np.int64),
        np.array([series.metric_name for series in samples.series], dtype=object),
        {series.id: place for place, series in enumerate(samples.series)},
        too_much,
    )


def _too_much(names: set[str], seconds: int, now: datetime) -> dict[str, str]:
    """The metrics of which a long window holds more samples than memory should, by what they reported lately."""
    if seconds <= PROBE.total_seconds():
        return {}
    lately = query.read(SeriesSelector(tuple(sorted(names))), now - PROBE, now)
    expected: dict[str, float] = defaultdict(float)
    for series, count in zip(lately.series, np.diff(lately.offsets).tolist(), strict=True):
        expected[series.metric_name] += count * seconds / PROBE.total_seconds()
    return {
        name: f"{name} over {wording.span(seconds)} is about {number:,.0f} samples, of which at most {MOST_SAMPLES:,} "
        "are read in one evaluation: shorten time_window"
        for name, number in expected.items()
        if number > MOST_SAMPLES
    }


def _judge(rule: AlertRule, shared: Round, live: list[AlertInstance], evaluation: RuleEvaluation) -> int:
    """Apply one rule to its assets; answers how many messages became due."""
    if not rule.is_enabled or rule.alert_type != AlertType.THRESHOLD:
        return transitions.end_orphans(live, "The rule was switched off.", shared.now)
    chosen = shared.assets.select(rule.asset_filter)
    judged = [_Judged(condition, rule, shared) for condition in rule.metric_conditions]
    evaluation.last_series_seen = int(sum(len(one.series) for one in judged))
    breached = chosen & np.logical_and.reduce([one.breached for one in judged])
    held = {alert.asset_id: alert for alert in live}
    places = {asset_id: place for place, asset_id in enumerate(shared.assets.ids)}
    concerned = {shared.assets.ids[place] for place in np.flatnonzero(breached)}
    concerned |= {asset_id for asset_id in held if asset_id in places and chosen[places[asset_id]]}
    found = (
        (_subject(rule, judged, asset_id, places[asset_id], shared, held.get(asset_id)), held.get(asset_id))
        for asset_id in concerned
    )
    told = transitions.observe(found, terms_of(rule), shared.now)
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
        self.window = shared.windows[self.condition.time_window]
        self.series = self.window.series_of(self.condition.metric_name)
        values = self.window.aggregate(self.condition.aggregation)[self.series]
        counts = self.window.aggregate("count")[self.series]
        values = np.where((counts > 0) & np.isfinite(values), values, np.nan)
        owner = self.window.owner[self.series]
        size = len(shared.assets.ids)
        breaching = conditions.breaches(values, self.condition.operator, self.condition.threshold)
        self.breached = np.bincount(owner, weights=breaching, minlength=size) > 0
        self.present = np.bincount(owner, weights=~np.isnan(values), minlength=size) > 0
        unrecovered = breaching | self._unrecovered(values)
        self.unrecovered = np.bincount(owner, weights=unrecovered, minlength=size) > 0
        self._values = values
        self._without = np.zeros(len(self.window.places), dtype=bool)
        self._without[self.series] = np.isnan(values)
        self._breaching = self._by_owner(breaching, owner)
        self._worst = self._worst_of(breaching, owner, size)

    @staticmethod
    def _is_first(rule: AlertRule, condition: dict[str, object]) -> bool:
        return condition is rule.metric_conditions[0]

    def _unrecovered(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self.recovery is None:
            return np.zeros(len(values), dtype=bool)
        return conditions.breaches(values, self.condition.operator, self.recovery)

    def _by_owner(self, breaching: NDArray[np.bool_], owner: NDArray[np.int64]) -> dict[int, list[int]]:
        """The ids of each asset's breaching series."""
        ids: dict[int, list[int]] = defaultdict(list)
        for one in np.flatnonzero(breaching).tolist():
            ids[int(owner[one])].append(self.window.samples.series[self.series[one]].id)
        return ids

    def _worst_of(self, breaching: NDArray[np.bool_], owner: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """Of each asset the worst of its series that have a value, one that breaches before others; -1 without any."""
        known = np.flatnonzero(~np.isnan(self._values))
        direction = conditions.worse(self.condition.operator) or 1
        ranked = known[np.lexsort((self._values[known] * direction, breaching[known], owner[known]))]
        worst = np.full(size, -1, dtype=np.int64)
        worst[owner[ranked]] = ranked
        return worst

    def worst(self, place: int) -> tuple[Series, float] | None:
        """The worst series of the asset at `place`, and its value; None without data."""
        best = self._worst[place]
        if best < 0:
            return None
        return self.window.samples.series[self.series[best]], float(self._values[best])

    def breaching(self, place: int) -> list[int]:
        """The ids of the series of the asset at `place` for which the condition holds."""
        return self._breaching.get(place, [])

    def without_data(self, ids: Sequence[int]) -> list[int]:
        """Those of `ids` that are the condition's own and have no value in its window."""
        places = {one: self.window.places.get(one) for one in ids}
        return [one for one, place in places.items() if place is not None and self._without[place]]


def _finding(judged: list[_Judged], place: int, breached_before: Sequence[int]) -> Finding:
    """All conditions must hold to breach; one that is recovered ends it; without data nothing is known.

    A condition is recovered once every series that breached has been seen to recover: one that stopped reporting has
    not, however well the others of its asset are.
    """
    if all(one.breached[place] for one in judged):
        return Finding.BREACHED
    known = [bool(one.present[place]) and not one.without_data(breached_before) for one in judged]
    if any(is_known and not one.unrecovered[place] for one, is_known in zip(judged, known, strict=True)):
        return Finding.CLEARED
    return Finding.BETWEEN if all(known) else Finding.MISSING


def _subject(
    rule: AlertRule, judged: list[_Judged], asset_id: UUID, place: int, shared: Round, alert: AlertInstance | None
) -> Subject:
    worst = judged[0].worst(place)
    series, value = worst or (None, None)
    name = str(shared.assets.names[place])
    title, description = wording.describe(rule, judged[0].condition, name, value, series)
    honours_windows = rule.suppression_config.get("maintenance_windows", True)
    before = alert.context_data.get("breaching_series", []) if alert else []
    finding = _finding(judged, place, before)
    observation = Observation(finding, bool(honours_windows and asset_id in shared.coverage))
    breaching = {one for condition in judged for one in condition.breaching(place) + condition.without_data(before)}
    context = {
        "metric_name": judged[0].condition.metric_name,
        "labels": dict(series.labels) if series else {},
        "unit": series.metric_unit if series else "",
        "conditions": [wording.condition_text(one.condition) for one in judged],
        "breaching_series": sorted(breaching),
    }
    return Subject(rule, asset_id, observation, title, description, value, judged[0].condition.threshold, context)
