"""The background work of alerting: beat ticks, these call."""

from datetime import UTC, datetime

from celery import shared_task
from django.core.cache import cache

from alerts import baseline_schedule, evaluation, notification, paging
from alerts.external import reception
from alerts.suppression import windows
from wedsync_monitor.readiness import EVALUATOR_SEEN


@shared_task
def evaluate_due_rules() -> None:
    report = evaluation.evaluate_due(datetime.now(UTC), _evaluator_lives)
    if report.messages_due:
        deliver_due_notifications.delay()


def _evaluator_lives() -> None:
    cache.set(EVALUATOR_SEEN, datetime.now(UTC).timestamp(), timeout=None)


@shared_task
def escalate_due_alerts() -> None:
    if paging.escalate_due(datetime.now(UTC)):
        deliver_due_notifications.delay()


@shared_task
def settle_maintenance_windows() -> None:
    windows.settle(datetime.now(UTC))


@shared_task
def settle_external_alerts() -> None:
    if reception.settle(datetime.now(UTC)):
        deliver_due_notifications.delay()


@shared_task
def calculate_due_baselines() -> None:
    """Until nothing is due, so that many that become due together do not wait for many ticks."""
    while baseline_schedule.calculate_due(datetime.now(UTC)) == baseline_schedule.BATCH:
        pass


@shared_task
def deliver_due_notifications() -> None:
    """Until nothing is due: a batch that failed as a whole must not hold up those behind it."""
    while notification.deliver_due(datetime.now(UTC)):
        pass
