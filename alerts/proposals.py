"""Better terms for a rule that is too noisy: found by trying some on stored history, kept with the rule, and applied.

A term is proposed only if all alerts of the span that people acknowledged or resolved would have opened in time too.
What was found counts until the rule is changed, and KEPT at most.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from alerts import budgets, conditions, noise, preview
from alerts.api import RuleSerializer
from alerts.models import AlertInstance, AlertRule, AlertType, RuleEvaluation
from alerts.noise import Acted, Change

KEPT = timedelta(days=1)
# The first of which the history is not too much.
_SPANS = (30, 7, 1)
_SEEN = 2000


class Refused(Exception):
    """Nothing can be proposed, or what was proposed does not fit the rule any more; the text says what to do."""


@dataclass(frozen=True)
class Proposal:
    """A change, the alerts that there would have been with it, and all of this in a sentence."""

    change: Change
    fired: int
    text: str


@dataclass(frozen=True)
class Found:
    """What trying said: `fired` alerts with the rule as it is, `acted` of the stored ones acted on; the best first.
    Where there is no proposal `reason` says why."""

    made_at: datetime
    days: int
    fired: int
    acted: int
    proposals: tuple[Proposal, ...] = ()
    reason: str = ""


def find(rule: AlertRule, now: datetime) -> Found:
    """Try other terms of `rule` on its history and keep what was found with the rule. Raises preview.Refused."""
    found = _find(rule, now)
    kept = {"proposals": msgspec.to_builtins(found)}
    RuleEvaluation.objects.update_or_create(
        rule=rule, defaults=kept, create_defaults=kept | {"next_evaluation_at": now}
    )
    return found


def known(rule: AlertRule, now: datetime) -> Found | None:
    """What was found last, as long as it counts; no query for a rule that was read with its evaluation."""
    evaluation = getattr(rule, "evaluation", None)
    if evaluation is None or not evaluation.proposals:
        return None
    try:
        found = msgspec.convert(evaluation.proposals, Found)
    except msgspec.ValidationError:  # kept by another release
        return None
    return found if max(rule.updated_at, now - KEPT) < found.made_at else None


def _find(rule: AlertRule, now: datetime) -> Found:
    compares = rule.alert_type == AlertType.THRESHOLD
    compare = conditions.condition_of(rule.metric_conditions[0]).operator if compares else None
    terms = noise.terms_of(rule.metric_conditions, rule.threshold_config)
    changes = noise.candidates(terms, compare, _seen(rule, now) if compare else [])
    versions = [rule, *(_changed(rule, one) for one in changes)]
    days, (as_it_is, *others) = _tried(versions, now)
    acted = _acted(rule, now - timedelta(days=days), now)
    fired = sum(map(len, as_it_is.values()))
    tolerance = timedelta(seconds=2 * rule.evaluation_frequency)
    said = Found(now, days, fired, len(acted))
    if number := noise.lost(acted, as_it_is, tolerance):
        reason = (
            f"{number} of the {len(acted)} alerts that people acted on cannot be found again in stored history, so "
            "nobody can say what another term would have lost."
        )
        return replace(said, reason=reason)
    safe = [
        noise.Tried(change, sum(map(len, lives.values())))
        for change, lives in zip(changes, others, strict=True)
        if not noise.lost(acted, lives, tolerance)
    ]
    best = noise.best(safe, fired, noise.allowed(rule.weekly_noise, fired, len(acted), days))
    proposals = tuple(Proposal(one.change, one.fired, _sentence(one, said)) for one in best)
    reason = (
        "" if proposals else "No other term that was tried makes fewer alerts and keeps those that people acted on."
    )
    return replace(said, proposals=proposals, reason=reason)


def _tried(versions: list[AlertRule], now: datetime) -> tuple[int, list[noise.Lives]]:
    for days in _SPANS[:-1]:
        try:
            return days, list(preview.lives_of(versions, days, now))
        except preview.Refused:
            continue
    return _SPANS[-1], list(preview.lives_of(versions, _SPANS[-1], now))


def _sentence(one: noise.Tried, said: Found) -> str:
    lost = {0: "nobody acted on one of them", 1: "the one that people acted on is not lost"}
    kept = lost.get(said.acted, f"none of the {said.acted} that people acted on is lost")
    return f"With {one.change.text}: {one.fired} instead of {said.fired} alerts in {said.days} days; {kept}."


def _changed(rule: AlertRule, change: Change) -> AlertRule:
    own = copy(rule)
    for column, value in noise.columns_with(change, rule.metric_conditions, rule.threshold_config).items():
        setattr(own, column, value)
    return own


def _alerts(rule: AlertRule, since: datetime) -> QuerySet[AlertInstance]:
    return AlertInstance.objects.filter(alert_rule=rule, first_triggered_at__gt=since).order_by("-first_triggered_at")


def _seen(rule: AlertRule, now: datetime) -> list[float]:
    rows = _alerts(rule, now - timedelta(days=_SPANS[0])).filter(trigger_value__isnull=False)
    return [value for value in rows.values_list("trigger_value", flat=True)[:_SEEN] if value is not None]


def _acted(rule: AlertRule, since: datetime, now: datetime) -> list[Acted]:
    rows = _alerts(rule, since).filter(budgets.by_people(), false_positive=False, first_triggered_at__lte=now)
    when = Coalesce(F("acknowledged_at"), F("resolved_at"))
    return [Acted(*row) for row in rows.annotate(when=when).values_list("asset_id", "first_triggered_at", "when")]


def apply(pk: UUID, change: Change) -> AlertRule:
    """Make `change` in the rule, an edit like any other. Raises Refused, AlertRule.DoesNotExist, and ValidationError of
    the API's serializer."""
    with transaction.atomic():
        rule = AlertRule.objects.select_for_update(no_key=True).get(pk=pk)
        present = noise.terms_of(rule.metric_conditions, rule.threshold_config).get(change.field)
        if present != change.instead_of:
            raise Refused("the rule was changed since this was proposed; ask for a proposal again")
        columns: dict[str, Any] = noise.columns_with(change, rule.metric_conditions, rule.threshold_config)
        serializer = RuleSerializer(rule, data=columns, partial=True)
        serializer.is_valid(raise_exception=True)
        saved: AlertRule = serializer.save()
        return saved


FIELDS: tuple[str, ...] = get_args(noise.Field)
