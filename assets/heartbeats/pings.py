"""Pings as they come, and the tick that sees those that do not: both end in series of the heartbeat's asset.

`heartbeat_up` (1 or 0), `heartbeat_age_seconds` since the last success, `heartbeat_duration_seconds` of the last run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, TextField, Value, When

from assets.heartbeats import states
from assets.heartbeats.models import STANDING, Heartbeat
from assets.heartbeats.states import Ping, State
from assets.metrics import ingestion
from assets.metrics.committing import Unavailable
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample

log = logging.getLogger(__name__)
MAX_LOG_BYTES = 10_000
# At least this often there is a sample of each.
EVERY = timedelta(seconds=60)
_AT_ONCE = 1000


@dataclass(frozen=True)
class Told:
    """What one ping said."""

    ping: Ping
    exit_status: int | None = None
    body: bytes = b""


def take(key: UUID, told: Told, now: datetime) -> bool:
    """Note a ping; whether the key is known. A sample that cannot be stored now follows by the next tick."""
    with transaction.atomic():
        beat = Heartbeat.objects.select_for_update().filter(ping_key=key).first()
        if beat is None:
            return False
        duration = _note(beat, told, now)
    try:
        ingestion.store_samples(samples_of([beat], now) + _durations(beat, duration, now), now)
    except (Unavailable, psycopg.Error) as error:
        log.warning("a ping of %s is noted, its samples come later: %s", beat, error)
    return True


def _note(beat: Heartbeat, told: Told, now: datetime) -> float | None:
    """Store what the ping says; answers how many seconds the run took where it ended one that had started."""
    ended = told.ping in (Ping.SUCCESS, Ping.FAIL)
    duration = (now - beat.started_at).total_seconds() if ended and beat.started_at else None
    beat.stand(beat.reckon(states.after_ping(beat.standing(), told.ping, now)))
    changes = {name: getattr(beat, name) for name in STANDING}
    changes |= {"last_ping_at": now, "ping_count": F("ping_count") + 1, "next_check_at": now}
    if ended:
        changes |= {"last_exit_status": told.exit_status, "last_duration_seconds": duration}
    if told.ping == Ping.SUCCESS:
        changes["last_success_at"] = beat.last_success_at = now
    if told.body or ended:
        changes["last_log"] = _text_of(told.body)
    Heartbeat.objects.filter(pk=beat.pk).update(**changes)
    return duration


def _text_of(body: bytes) -> str:
    """The beginning of a body as text that the database can hold."""
    return body[:MAX_LOG_BYTES].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def check_due(now: datetime) -> int:
    """Write the samples of every heartbeat whose time has come; answers how many. Nobody else takes the same ones,
    and where the samples cannot be stored they stay due. Raises committing.Unavailable."""
    with transaction.atomic():
        due = Heartbeat.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            is_paused=False, next_check_at__lte=now
        )
        beats = list(due.order_by("next_check_at")[:_AT_ONCE])
        if beats:
            ingestion.store_samples(samples_of(beats, now), now)
        for beat in beats:
            change = states.next_change(beat.standing(), now)
            beat.next_check_at = min(now + EVERY, change) if change else now + EVERY
        Heartbeat.objects.bulk_update(beats, ["next_check_at"])
    return len(beats)


def samples_of(beats: Iterable[Heartbeat], now: datetime) -> list[Sample]:
    """How each stands at `now`, as samples of its asset."""
    samples = []
    for beat in beats:
        value = states.UP_VALUES.get(states.state_of(beat.standing(), now))
        if value is not None:
            samples.append(_sample(beat, "heartbeat_up", "", value, now))
        if value is not None and beat.last_success_at is not None:
            age = (now - beat.last_success_at).total_seconds()
            samples.append(_sample(beat, "heartbeat_age_seconds", "s", age, now))
    return samples


def _durations(beat: Heartbeat, duration: float | None, now: datetime) -> list[Sample]:
    return [] if duration is None else [_sample(beat, "heartbeat_duration_seconds", "s", duration, now)]


def _sample(beat: Heartbeat, name: str, unit: str, value: float, now: datetime) -> Sample:
    # This server's own: silence of a job must not count as its asset's report.
    key = SeriesKey(name, "gauge", unit, {"heartbeat": beat.heartbeat_name}, "synthetic")
    return Sample(str(beat.asset_id), key, int(now.timestamp() * 1000), value)


def with_state(rows: QuerySet[Heartbeat], now: datetime) -> QuerySet[Any]:
    """`rows` with their state at `now` in `shown_state`, by the rules of states.state_of: lists filter by it."""
    decided: Sequence[tuple[Q, State]] = (
        (Q(is_paused=True), State.PAUSED),
        (Q(has_failed=True) | Q(down_at__lte=now), State.DOWN),
        (Q(due_at=None), State.NEW),
        (Q(due_at__gt=now), State.UP),
    )
    cases = [When(condition, then=Value(str(state))) for condition, state in decided]
    return rows.annotate(shown_state=Case(*cases, default=Value(str(State.LATE)), output_field=TextField()))
