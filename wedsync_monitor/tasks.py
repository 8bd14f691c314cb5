"""The shared background work: partitions made ahead, and the sign that beat and a worker are alive."""

from datetime import UTC, datetime

from celery import shared_task
from django.core.cache import cache

from wedsync_monitor import partitions
from wedsync_monitor.retention import partitioned_tables

BEAT_SEEN = "beat-seen"
# Why partitions that are over are still there (read by /readyz).
PARTITIONS_KEPT = "partitions-kept"


@shared_task
def maintain_partitions() -> None:
    kept = []
    for table in partitioned_tables():
        try:
            partitions.maintain(table, datetime.now(UTC).date())
        except partitions.KeptBack as error:
            kept.append(str(error))
    cache.set(PARTITIONS_KEPT, "; ".join(kept), timeout=None)


@shared_task
def note_beat() -> None:
    """Say that beat sent a tick and a worker took it (read by /readyz)."""
    cache.set(BEAT_SEEN, datetime.now(UTC).timestamp(), timeout=None)
