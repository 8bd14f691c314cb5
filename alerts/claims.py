"""Which rules are due, and who evaluates them.

1. An evaluator takes due rules by moving them ahead by LEASE: no other takes them meanwhile, and if it dies they are
   due again soon. What was missed is made up once.
2. Whatever it writes for a rule, it writes in a transaction in which the claim is locked and still stands: a rule that
   was changed or deleted meanwhile is left to its next evaluation.
3. At the end the rule is moved to its next regular time, unless it was changed meanwhile and so is due at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection, transaction

from alerts.models import AlertRule, AlertType, RuleEvaluation

LEASE = timedelta(seconds=60)


@dataclass
class Claim:
    """A rule that this evaluator has taken, and how its evaluation went."""

    rule_id: UUID
    due_at: datetime
    until: datetime
    duration_ms: float = 0.0
    series_seen: int | None = None
    error: str = ""
    said: str = ""  # what the rule says of itself


def begin_new_rules(now: datetime) -> None:
    """A rule without a row of its evaluations is due at once; what is found elsewhere is not evaluated."""
    new = AlertRule.objects.filter(evaluation=None).exclude(alert_type=AlertType.EXTERNAL).values_list("pk", flat=True)
    rows = [RuleEvaluation(rule_id=rule_id, next_evaluation_at=now) for rule_id in new]
    if rows:
        RuleEvaluation.objects.bulk_create(rows, ignore_conflicts=True)


def take_due(now: datetime) -> list[Claim]:
    """Take the rules that are due. One whose time is further ahead than its frequency allows was put there by a clock
    that has been set back since: it is due too."""
    until = now + LEASE
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """WITH due AS MATERIALIZED (
                   SELECT evaluation.rule_id, evaluation.next_evaluation_at AS due_at
                   FROM alert_rule_evaluations evaluation JOIN alert_rules rule ON rule.id = evaluation.rule_id
                   WHERE rule.alert_type <> 'external'
                     AND (evaluation.next_evaluation_at <= %(now)s
                          OR evaluation.next_evaluation_at
                             > %(until)s + make_interval(secs => rule.evaluation_frequency))
                   FOR UPDATE OF evaluation SKIP LOCKED)
               UPDATE alert_rule_evaluations AS evaluation SET next_evaluation_at = %(until)s
               FROM due WHERE evaluation.rule_id = due.rule_id RETURNING evaluation.rule_id, due.due_at""",
            {"now": now, "until": until},
        )
        return [Claim(rule_id, min(due_at, now), until) for rule_id, due_at in cursor.fetchall()]


class Claims:
    """The claims of one round."""

    def __init__(self, claims: Iterable[Claim]):
        self.by_rule = {claim.rule_id: claim for claim in claims}

    def standing(self, rule_ids: Collection[UUID]) -> set[UUID]:
        """Those of `rule_ids` that are still claimed, locked until the caller's transaction ends."""
        rows = RuleEvaluation.objects.select_for_update(no_key=True).filter(rule_id__in=rule_ids).order_by("rule_id")
        found = dict(rows.values_list("rule_id", "next_evaluation_at"))
        return {rule_id for rule_id, at in found.items() if at == self.by_rule[rule_id].until}

    def finish(self, frequencies: dict[UUID, int], now: datetime) -> None:
        """Write how the evaluations went, and when the next ones are due: one statement."""
        rows = [_finished(claim, frequencies[rule_id], now) for rule_id, claim in self.by_rule.items()]
        with connection.cursor() as cursor:
            cursor.execute(
                """UPDATE alert_rule_evaluations AS evaluation
                   SET next_evaluation_at = CASE WHEN evaluation.next_evaluation_at = done.until
                                                 THEN done.next_at ELSE evaluation.next_evaluation_at END,
                       last_evaluated_at = %s, last_duration_ms = done.duration_ms, last_lag_ms = done.lag_ms,
                       last_series_seen = done.series_seen, last_error = done.error,
                       last_state = done.state,
                       missed_evaluations = evaluation.missed_evaluations + done.missed
                   FROM jsonb_to_recordset(%s::jsonb)
                        AS done (rule_id uuid, until timestamptz, next_at timestamptz, duration_ms float8,
                                 lag_ms float8, series_seen int, error text, state text, missed int)
                   WHERE evaluation.rule_id = done.rule_id""",
                [now, msgspec.json.encode(rows).decode()],
            )


def _finished(claim: Claim, frequency_seconds: int, now: datetime) -> dict[str, Any]:
    step, late = timedelta(seconds=frequency_seconds), now - claim.due_at
    return {
        "rule_id": claim.rule_id,
        "until": claim.until,
        # The first multiple of the frequency after `now`: missed evaluations are not replayed.
        "next_at": claim.due_at + step * (late // step + 1),
        "duration_ms": claim.duration_ms,
        "lag_ms": late.total_seconds() * 1000,
        "series_seen": claim.series_seen,
        "error": claim.error,
        "state": claim.said,
        "missed": late // step,
    }
