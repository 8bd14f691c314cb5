"""The shared background work: partitions made ahead, and the sign that beat and a worker are alive."""

from datetime import UTC, datetime

from celery import shared_task
from django.core.cache import cache

from wedsync_monitor import partitions
from wedsync_monitor.retention import partitioned_tables

BEAT_SEEN = "beat-seen"


@shared_task
def maintain_partitions() -> None:
    for table in partitioned_tables():
        partitions.maintain(table, datetime.now(UTC).date())


@shared_task
def note_beat() -> None:
    """Say that beat sent a tick and a worker took it (read by /readyz)."""
    cache.set(BEAT_SEEN, datetime.now(UTC).timestamp(), timeout=None)
