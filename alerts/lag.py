"""How far evaluation is behind: what rules say of their last evaluations, for the system's own series and its page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True)
class EvaluationState:
    """The evaluator as its rules show it; one query, whatever the number of evaluators."""

    rules_enabled: int
    rules_overdue: int  # due for longer than the tick of the evaluator takes
    rules_failed: int  # whose last evaluation has an error
    lag_seconds: float  # how long the rule that waits longest has been due; 0 where none is
    last_lag_seconds: float  # the latest beginning among the last evaluations of all rules
    slowest_seconds: float  # the longest of the last evaluations
    series_seen: int  # by the last evaluations of all rules
    missed_total: int  # evaluations that fell out because an earlier one was late; only grows while rules stay

    def values(self) -> dict[str, float]:
        """Each by its name, as series are made of them."""
        return {name: float(value) for name, value in asdict(self).items()}


# Beat ticks the evaluator every second; what waits for longer than this waits for a reason.
OVERDUE_SECONDS = 5


def state(now: datetime) -> EvaluationState:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*),
                      count(*) FILTER (WHERE evaluation.next_evaluation_at < %(now)s - make_interval(secs => %(late)s)),
                      count(*) FILTER (WHERE evaluation.last_error <> ''),
                      coalesce(greatest(extract(epoch FROM %(now)s - min(evaluation.next_evaluation_at)), 0), 0)
                          ::float8,
                      coalesce(max(evaluation.last_lag_ms), 0) / 1000,
                      coalesce(max(evaluation.last_duration_ms), 0) / 1000,
                      coalesce(sum(evaluation.last_series_seen), 0)::bigint,
                      coalesce(sum(evaluation.missed_evaluations), 0)::bigint
               FROM alert_rules rule LEFT JOIN alert_rule_evaluations evaluation ON evaluation.rule_id = rule.id
               WHERE rule.is_enabled""",
            {"now": now, "late": OVERDUE_SECONDS},
        )
        return EvaluationState(*cursor.fetchone())
