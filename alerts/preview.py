"""What a rule would have done over stored history: when it would have fired, on what, for how long, and who is told.

It is judged at every evaluation that there would have been, as if all samples had come in in time, and with no window,
silence or acknowledgement. An asset is judged by its series that have a value: that a series stopped while it breached
is seen where it was the only one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from alerts import (
    anomaly_history,
    anomaly_rules,
    conditions,
    findings,
    naming,
    notification,
    profiles,
    readings,
    rehearsal,
)
from alerts.lifecycle import Event
from alerts.models import AlertRule, AlertType
from alerts.rehearsal import Episode
from alerts.selection import AssetTable, active_assets
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from assets.metrics.samples import Series
from assets.metrics.windows import Grid

# What is judged at one instant is a window of a series. More in all are refused, each counted once for every minute
# of its length, and so many are in memory at a time.
MOST_WORK, AT_A_TIME = 300_000_000, 2_000_000
# Of anomaly rules the detector is given no more points, of some 25 µs each.
MOST_POINTS = 250_000
LISTED = 200
Mask = NDArray[np.bool_]


Question = findings.Question | anomaly_rules.Question
_QUESTIONS: dict[str, Callable[[AlertRule], Question]] = {
    AlertType.THRESHOLD: findings.question_of,
    AlertType.ANOMALY: anomaly_rules.question_of,
}
TRIED = frozenset(_QUESTIONS)  # types of rules


class Refused(Exception):
    """The rule cannot be tried; the text says what to send instead."""


@dataclass(frozen=True)
class Fired:
    """One alert that there would have been; it lasts where it has no end."""

    asset_name: str
    opened_at: datetime
    ended_at: datetime | None
    seconds: float
    told: bool


@dataclass(frozen=True)
class Preview:
    """`fired` alerts in `days` on `assets` assets; the newest are listed. `messages` is by channel; `chart` is, of an
    anomaly rule, what was expected of one series (anomaly_history.drawn): of the asset that fired last, if one did."""

    days: int
    since: datetime
    until: datetime
    series: int
    fired: int
    assets: int
    firing_seconds: float
    messages: list[tuple[str, int]]
    alerts: list[Fired]
    chart: dict[str, Any] | None = None

    @property
    def message_count(self) -> int:
        return sum(number for _, number in self.messages)


def of_rule(rule: AlertRule, days: int, now: datetime) -> Preview:
    """Try `rule`, which need not be stored, on the last `days` days. Raises Refused."""
    if rule.alert_type not in _QUESTIONS:
        raise Refused(f"only threshold and anomaly rules can be tried on history, not type {rule.alert_type}")
    question: Question = _QUESTIONS[rule.alert_type](rule)
    grid = _grid(question, days, now)
    assets = active_assets()
    series = _series(question, assets)
    _refuse_too_much(question, series, grid)
    variants = _variants(rule, question, grid)
    counts = np.choose(variants.of, [one.terms.consecutive_breaches if one else 1 for one in variants.questions])
    found = {
        asset: lived
        for asset, codes in _judged(variants, series, grid)
        if (lived := rehearsal.episodes(codes, grid.instants(), question.terms, counts))
    }
    summed_up = _summed_up(rule, days, grid, assets, found, len(series))
    if series and isinstance(question, anomaly_rules.Question):
        last = max(found, key=lambda asset: found[asset][-1].opened_at, default=series[0].asset_id)
        shown = next(one for one in series if one.asset_id == last)
        return replace(summed_up, chart=anomaly_history.drawn(question, shown, summed_up.since, summed_up.until))
    return summed_up


@dataclass(frozen=True)
class _Variants:
    """The rule as its profiles have it, None where one switches it off, and which of them holds at each instant."""

    questions: list[Question | None]
    of: NDArray[np.int64]


def _variants(rule: AlertRule, question: Question, grid: Grid) -> _Variants:
    known = profiles.of_rule(rule)
    held, place = np.unique(profiles.places(known, grid.instants()), return_inverse=True)
    questions: list[Question | None] = []
    for one in held.tolist():
        own = profiles.with_profile(rule, known[one]) if one >= 0 else None
        off = own is not None and known[one].off
        questions.append(None if off else question if own is None else _QUESTIONS[rule.alert_type](own))
    return _Variants(questions, place.astype(np.int64))


def _grid(question: Question, days: int, now: datetime) -> Grid:
    end = int((now - question.delay).timestamp() * 1000)
    step = question.rule.evaluation_frequency * 1000
    return Grid(end - days * 86_400_000 // step * step, end, step, 1)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _series(question: Question, assets: AssetTable) -> list[Series]:
    """The series that the rule asks for, of the assets that it is about."""
    chosen = assets.select(question.rule.asset_filter)
    ids = {asset for asset, one in zip(assets.ids, chosen.tolist(), strict=True) if one}
    named = tuple(ids) if len(ids) <= 1000 else ()
    names = tuple(sorted({one.metric_name for one in question.conditions}))
    found = query.find_series(SeriesSelector(names, named)) if ids else []
    return [one for one in found if one.asset_id in ids]


def _refuse_too_much(question: Question, series: Sequence[Series], grid: Grid) -> None:
    number = Counter(one.metric_name for one in series)
    work = sum(number[one.metric_name] * max(one.time_window / 60, 1) for one in question.conditions)
    if work * len(grid) > MOST_WORK:
        raise Refused(
            f"{len(series):,} series at {len(grid):,} evaluations are more than can be tried at once: send fewer days, "
            "a narrower asset_filter, a longer evaluation_frequency or a shorter time_window"
        )
    if isinstance(question, anomaly_rules.Question) and anomaly_history.points(len(series), grid) > MOST_POINTS:
        raise Refused(
            f"{len(series):,} series over so many days are more than the detector can follow at once: send fewer days "
            "or a narrower asset_filter"
        )


def _judged(variants: _Variants, series: Sequence[Series], grid: Grid) -> list[tuple[UUID, rehearsal.Codes]]:
    """What would have been found on each asset at each instant of `grid`, of assets that ever breached. Some assets at
    a time, so that memory is bounded."""
    by_asset: dict[UUID, list[Series]] = defaultdict(list)
    for one in series:
        by_asset[one.asset_id].append(one)
    found = []
    for part in _parts(list(by_asset), by_asset, max(AT_A_TIME // max(len(grid), 1), 1)):
        own = [one for asset in part for one in by_asset[asset]]
        off = np.full((len(part), len(grid)), rehearsal.CLEARED, dtype=np.int8)
        told = [off if one is None else _judge(one, part, own, grid) for one in variants.questions]
        codes = np.choose(variants.of, told)
        breached = (codes == rehearsal.BREACHED).any(axis=1)
        found += [(part[place], codes[place]) for place in np.flatnonzero(breached).tolist()]
    return found


def _parts(ids: Sequence[UUID], by_asset: dict[UUID, list[Series]], most: int) -> list[list[UUID]]:
    parts: list[list[UUID]] = []
    size = most
    for asset in ids:
        if size + len(by_asset[asset]) > most:
            parts.append([])
            size = 0
        parts[-1].append(asset)
        size += len(by_asset[asset])
    return parts


def _judge(question: Question, ids: Sequence[UUID], series: list[Series], grid: Grid) -> rehearsal.Codes:
    """(assets, S) What would have been found on each asset at each instant."""
    if isinstance(question, anomaly_rules.Question):
        return _unusual(question, ids, series, grid)
    shape = len(ids), len(grid)
    breached, cleared, known = np.ones(shape, bool), np.zeros(shape, bool), np.ones(shape, bool)
    for number, condition in enumerate(question.conditions):
        own = [one for one in series if one.metric_name == condition.metric_name]
        recovery = None if number else question.recovery
        held, unrecovered, present = _condition(condition, recovery, own, ids, grid)
        breached &= held
        cleared |= present & ~unrecovered
        known &= present
    codes = np.full(shape, rehearsal.MISSING, dtype=np.int8)
    codes[known] = rehearsal.BETWEEN
    codes[cleared] = rehearsal.CLEARED
    codes[breached] = rehearsal.BREACHED
    return codes


def _unusual(
    question: anomaly_rules.Question, ids: Sequence[UUID], series: list[Series], grid: Grid
) -> rehearsal.Codes:
    seen = anomaly_history.of_series(question, series, grid)
    breached, known = (_any_of(mask, series, ids) for mask in (seen.unusual, ~np.isnan(seen.values)))
    codes = np.where(breached, rehearsal.BREACHED, np.where(known, rehearsal.CLEARED, rehearsal.MISSING))
    return codes.astype(np.int8)


def _any_of(mask: Mask, series: Sequence[Series], ids: Sequence[UUID]) -> Mask:
    """Of each asset at each instant whether it is so for one of its series."""
    places = {asset: place for place, asset in enumerate(ids)}
    found = np.zeros((len(ids), mask.shape[1]), dtype=bool)
    for row, one in zip(mask, series, strict=True):
        found[places[one.asset_id]] |= row
    return found


def _condition(
    condition: conditions.MetricCondition,
    recovery: float | None,
    series: list[Series],
    ids: Sequence[UUID],
    grid: Grid,
) -> tuple[Mask, Mask, Mask]:
    """Of each asset at each instant: whether the condition holds, whether it is not recovered, whether it has data."""
    values = readings.over_grid(condition, series, grid)
    breaching = conditions.breaches(values, condition.operator, condition.threshold)
    unrecovered = breaching
    if recovery is not None:
        unrecovered = breaching | conditions.breaches(values, condition.operator, recovery)
    held, is_not_over, present = (_any_of(mask, series, ids) for mask in (breaching, unrecovered, ~np.isnan(values)))
    return held, is_not_over, present


def _summed_up(
    rule: AlertRule, days: int, grid: Grid, assets: AssetTable, found: dict[UUID, list[Episode]], series: int
) -> Preview:
    names = dict(zip(assets.ids, assets.names.tolist(), strict=True))
    instants = grid.instants()
    since, until = _moment(int(instants[0])), _moment(int(instants[-1]))
    quiet = timedelta(seconds=rule.suppression_config.get("suppression_period", 0))
    fired: list[Fired] = []
    told: list[Episode] = []
    for asset, lived in found.items():
        ended: datetime | None = None
        for one in lived:
            is_told = ended is None or one.opened_at - ended >= quiet
            lasted = (one.ended_at or until) - one.opened_at
            fired.append(Fired(str(names[asset]), one.opened_at, one.ended_at, lasted.total_seconds(), is_told))
            told += [one] if is_told else []
            ended = one.ended_at
    fired.sort(key=lambda one: one.opened_at, reverse=True)
    messages = [(naming.shown_channel(one), _messages(one, told)) for one in rule.notification_channels]
    seconds = sum(one.seconds for one in fired)
    return Preview(days, since, until, series, len(fired), len(found), seconds, messages, fired[:LISTED])


def _messages(channel: dict[str, Any], told: Sequence[Episode]) -> int:
    """How many messages the channel would have been sent."""
    kinds = {Event.RESOLVED.value, *notification.FOR_PEOPLE, *notification.FOR_SYSTEMS.get(channel["type"], ())}
    return sum(event.value in kinds for one in told for event in one.events)
