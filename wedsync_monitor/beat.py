"""Beat's scheduler: of several beats one leads, no tick is sent twice, and what was missed is counted and not replayed.

A tick is claimed by the update that moves its row's `last_run_at`: of two beats that both believe to lead, one loses.
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import F, Q
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from wedsync_monitor import counters
from wedsync_monitor.leadership import GAP_STATE, Leadership
from wedsync_monitor.models import SystemState

log = logging.getLogger(__name__)

# How often a beat that does not lead tries to.
FOLLOW_SECONDS = 1.0
# Gaps of several tasks that end so close to each other are one.
_SAME_GAP = timedelta(seconds=30)


def missed_ticks(since: datetime, now: datetime, every: timedelta) -> int:
    """How many ticks were due after `since` and before the one that is sent at `now`."""
    return max((now - since) // every - 1, 0)


@dataclass(frozen=True)
class Gap:
    """A time in which ticks were missed."""

    since: datetime
    until: datetime
    missed: int

    def joined(self, other: Gap | None) -> Gap:
        """This gap with `other`, where that is part of the same one."""
        if other is None or self.until - other.until > _SAME_GAP:
            return self
        return replace(self, since=min(self.since, other.since), missed=self.missed + other.missed)


class _SentElsewhere(Exception):
    """Another beat has sent this tick, or a person has changed its row."""


class LeadingScheduler(DatabaseScheduler):  # type: ignore[misc]
    """django-celery-beat's scheduler, which ticks only while its process leads."""

    def __init__(self, *args: Any, **kwargs: Any):
        self.process = f"beat@{socket.gethostname()}/{os.getpid()}"
        self._leadership = Leadership(self.process)
        self._leads = False
        self._gap: Gap | None = None
        super().__init__(*args, **kwargs)
        if not kwargs.get("lazy"):
            counters.report_as("beat", self.process)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send at most one tick; answers after how many seconds to come back."""
        try:
            if not self._is_leading():
                return FOLLOW_SECONDS
            seconds: float = super().tick(*args, **kwargs)
        except _SentElsewhere:
            self._read_anew()
            return 0
        except (DatabaseError, InterfaceError) as error:
            log.warning("%s waits for the database: %s", self.process, error)
            connection.close()
            self._leadership.resign()
            return FOLLOW_SECONDS
        return seconds

    def _is_leading(self) -> bool:
        led, self._leads = self._leads, self._leadership.held()
        if self._leads and not led:
            # Another one has ticked meanwhile.
            self._read_anew()
        return self._leads

    def _read_anew(self) -> None:
        close_old_connections()
        self._initial_read, self._heap = True, None

    def reserve(self, entry: ModelEntry) -> ModelEntry:
        """Claim the tick before it is sent. Raises _SentElsewhere."""
        now = entry._default_now()
        unsent = Q(last_run_at=None) | Q(last_run_at__lte=entry.last_run_at)
        row = PeriodicTask.objects.filter(unsent, pk=entry.model.pk, enabled=True)
        if not row.update(last_run_at=now, total_run_count=F("total_run_count") + 1):
            raise _SentElsewhere
        self._note_missed(entry, now)
        counters.add(counters.key("wedsync_beat_ticks_total", task=entry.name))
        return next(entry)

    def apply_async(self, entry: ModelEntry, *args: Any, **kwargs: Any) -> Any:
        """A tick that the broker does not take is missed."""
        try:
            return super().apply_async(entry, *args, **kwargs)
        except Exception:
            counters.add(counters.key("wedsync_beat_missed_ticks_total", task=entry.name))
            raise

    def _note_missed(self, entry: ModelEntry, now: datetime) -> None:
        every = getattr(entry.schedule, "run_every", None)
        # Before its first tick nobody expected one.
        if not every or not entry.total_run_count:
            return
        # What was switched off was not expected.
        since = max(entry.last_run_at, entry.model.date_changed or entry.last_run_at)
        if missed := missed_ticks(since, now, every):
            counters.add(counters.key("wedsync_beat_missed_ticks_total", task=entry.name), missed)
            self._gap = Gap(since, now, missed).joined(self._gap)
            said = {"since": self._gap.since.isoformat(), "until": now.isoformat(), "missed": self._gap.missed}
            SystemState.objects.update_or_create(name=GAP_STATE, defaults={"said": said, "said_at": now})
