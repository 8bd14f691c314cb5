"""The background work of synthetic monitoring: beat ticks, these call. Checks themselves run in `manage.py probe`."""

from datetime import UTC, datetime

from celery import shared_task

from synthetic import objectives, results


@shared_task
def tell_burning() -> None:
    objectives.tell_burning(datetime.now(UTC))


@shared_task
def restate_verdicts() -> None:
    results.restate(datetime.now(UTC))
