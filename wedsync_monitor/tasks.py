"""The shared background work: partitions made ahead, beat's sign of life, and what the system observes of itself."""

import logging
from datetime import UTC, datetime

from celery import shared_task
from django.core.cache import cache

from wedsync_monitor import dead_mans_switch, partitions
from wedsync_monitor.readiness import BEAT_SEEN, PARTITIONS_KEPT
from wedsync_monitor.retention import partitioned_tables
from wedsync_monitor.selfmonitoring import recording

log = logging.getLogger(__name__)


@shared_task
def maintain_partitions() -> None:
    kept = []
    for table in partitioned_tables():
        try:
            partitions.maintain(table, datetime.now(UTC).date())
        except partitions.KeptBack as error:
            kept.append(str(error))
        except Exception as error:  # one table's trouble must not leave the others without partitions
            log.exception("the partitions of %s could not be kept", table.name)
            kept.append(f"the partitions of {table.name} could not be kept: {type(error).__name__}")
    cache.set(PARTITIONS_KEPT, "; ".join(kept), timeout=None)


@shared_task
def note_beat() -> None:
    """Say that beat sent a tick and a worker took it (read by /readyz)."""
    cache.set(BEAT_SEEN, datetime.now(UTC).timestamp(), timeout=None)


@shared_task
def observe_system() -> None:
    recording.observe(datetime.now(UTC))


@shared_task
def signal_outside() -> None:
    dead_mans_switch.signal_due(datetime.now(UTC))
