"""How evaluation and delivery go, and whether the evaluator follows what is true all the time: the heartbeat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Max, Min, Q, Sum

from alerts.models import AlertInstance, DeliveryStatus, NotificationDelivery, RuleEvaluation
from wedsync_monitor.selfmonitoring.measurements import Measurement

# The rule on the heartbeat's series is found by this key, whatever people call it.
HEARTBEAT_RULE = UUID("6d6f6e69-746f-4265-8174-686561727462")
HEARTBEAT_STALE = timedelta(seconds=120)
# The heartbeat rests at the beginning of every hour, so that its alert, pending else, never opens.
REST, AFTER_REST = timedelta(seconds=60), timedelta(minutes=4)
# A turn of rules takes as long; what is overdue by more than that and its own turn is late.
_SLACK = timedelta(seconds=5)


def evaluation(now: datetime) -> Iterator[Measurement]:
    enabled = RuleEvaluation.objects.filter(rule__is_enabled=True).order_by()
    turn = ExpressionWrapper(F("rule__evaluation_frequency") * timedelta(seconds=1), output_field=DurationField())
    found = enabled.annotate(turn=turn).aggregate(
        number=Count("pk"),
        first=Min("next_evaluation_at"),
        overdue=Count("pk", filter=Q(next_evaluation_at__lt=now - _SLACK - F("turn"))),
        total_ms=Sum("last_duration_ms"),
        longest_ms=Max("last_duration_ms"),
        failing=Count("pk", filter=~Q(last_error="") & ~Q(last_error__startswith="not evaluated")),
    )
    lag = (now - found["first"]).total_seconds() if found["first"] else 0
    yield Measurement("wedsync_rules", found["number"])
    yield Measurement("wedsync_evaluation_lag_seconds", max(lag, 0))
    yield Measurement("wedsync_evaluation_overdue_rules", found["overdue"])
    yield Measurement("wedsync_evaluation_seconds", (found["total_ms"] or 0) / 1000)
    yield Measurement("wedsync_evaluation_longest_seconds", (found["longest_ms"] or 0) / 1000)
    yield Measurement("wedsync_evaluation_failing_rules", found["failing"])


def delivery(now: datetime) -> Iterator[Measurement]:
    waiting = NotificationDelivery.objects.filter(status=DeliveryStatus.QUEUED).order_by()
    found = waiting.aggregate(number=Count("pk"), oldest=Min("created_at"))
    yield Measurement("wedsync_deliveries_waiting", found["number"])
    age = (now - found["oldest"]).total_seconds() if found["oldest"] else 0
    yield Measurement("wedsync_delivery_oldest_seconds", max(age, 0))
    since = now - timedelta(days=1)
    lately = NotificationDelivery.objects.filter(created_at__gt=since).order_by()
    arrived = Q(status=DeliveryStatus.DELIVERED, created_at__gt=now - timedelta(hours=1))
    done = lately.aggregate(
        given_up=Count("pk", filter=Q(status=DeliveryStatus.FAILED)),
        took=Avg(F("delivered_at") - F("created_at"), filter=arrived),
    )
    yield Measurement("wedsync_deliveries_given_up", done["given_up"])
    if done["took"] is not None:
        yield Measurement("wedsync_delivery_latency_seconds", max(done["took"].total_seconds(), 0))


def heartbeat_value(now: datetime) -> float:
    """1, and 0 while the heartbeat rests."""
    return 0.0 if _since_the_hour(now) < REST else 1.0


def _since_the_hour(now: datetime) -> timedelta:
    return timedelta(minutes=now.minute, seconds=now.second)


def heartbeat_problem(now: datetime) -> str | None:
    """Why it is not certain that the evaluator reads samples and finds what is true in them; None where it is.

    The rule on the heartbeat holds whenever it is evaluated: its alert is pending, touched by every evaluation. Around
    the rest there is no alert, and the evaluation alone is looked at.
    """
    known = RuleEvaluation.objects.filter(rule_id=HEARTBEAT_RULE, rule__is_enabled=True).first()
    if known is None:
        return "the rule on the heartbeat is missing or switched off; manage.py prepare makes it again"
    if known.last_error:
        return f"the heartbeat was not evaluated: {known.last_error}"
    if known.last_evaluated_at is None or now - known.last_evaluated_at > HEARTBEAT_STALE:
        return f"the heartbeat has not been evaluated since {known.last_evaluated_at or 'the start'}"
    if _since_the_hour(now) < AFTER_REST:
        return None
    fresh = AlertInstance.objects.filter(alert_rule_id=HEARTBEAT_RULE, last_triggered_at__gt=now - HEARTBEAT_STALE)
    return None if fresh.exists() else "the evaluator does not find the heartbeat in the samples"
