"""Rounds of reading targets: claim what is due, read many at once, store what came.

1. A due target is claimed with FOR UPDATE SKIP LOCKED and moved to its next slot in the same transaction: nobody else
   reads it, a slot that was missed is not made up for, and a round that dies leaves it due at its next slot.
2. `busy_until` keeps a target that hangs from being read a second time meanwhile. All that hang share the places of
   their round; a target's time is bounded by its job's timeout, which is at most its interval.
3. What came in is stored in one commit for all of it; the round goes on claiming while others are still awaited.

A process has one round at a time that claims; its last readings are awaited while the next one begins.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
from django.db import connection, transaction
from django.db.models import Q
from wedsync_agent import exposition

from assets.metrics import ingestion
from assets.metrics.committing import Unavailable
from assets.metrics.ingestion import Sender
from assets.metrics.owners import find_assets
from assets.metrics.wire import Decoded, Refusal
from assets.scraping import pages, schedule
from assets.scraping.models import ScrapeTarget
from assets.scraping.pages import BadPage, Origin, Reading
from wedsync_monitor import secrets
from wedsync_monitor.fetching import Fetched, Fetcher, Forbidden, Page, Unreachable

log = logging.getLogger(__name__)
AT_ONCE = 256
# How long a round claims before the next one takes over, and how often it looks for what is due meanwhile.
CLAIMS_FOR_SECONDS = 30.0
LOOKS_EVERY_SECONDS = 0.25
# Pages in memory at once: what came in is stored before more is taken.
_STORED_AT_ONCE = 64
# A reading takes as long as its timeout; what follows it takes some seconds more.
_GRACE = timedelta(seconds=15)
_MAX_ERROR = 500
_claiming = threading.Lock()

_MOVE = """
    UPDATE scrape_targets SET next_scrape_at = moved.slot, busy_until = moved.busy
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS moved (id, slot, busy)
    WHERE scrape_targets.id = moved.id"""
_NOTE = """
    WITH held AS (SELECT id FROM scrape_targets WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE)
    UPDATE scrape_targets SET busy_until = NULL, is_up = noted.up, last_scrape_at = noted.at,
        last_duration_seconds = noted.seconds, last_samples = noted.samples, last_error = noted.error
    FROM unnest(%(ids)s::uuid[], %(ups)s::bool[], %(ats)s::timestamptz[], %(seconds)s::float8[], %(samples)s::int[],
        %(errors)s::text[]) AS noted (id, up, at, seconds, samples, error)
    WHERE scrape_targets.id = noted.id AND scrape_targets.id IN (SELECT id FROM held)"""


@dataclass
class Report:
    """What one round did."""

    readings: int = 0
    samples: int = 0


@dataclass
class _Waiting:
    """Targets that are being read, by their futures."""

    targets: dict[Future[Fetched], tuple[ScrapeTarget, datetime]] = field(default_factory=dict)

    def done(self, timeout_seconds: float) -> list[tuple[ScrapeTarget, datetime, Future[Fetched]]]:
        """Those that ended, some at a time; waits for the first."""
        ended = wait(self.targets, timeout_seconds, FIRST_COMPLETED).done
        return [(*self.targets.pop(future), future) for future in list(ended)[:_STORED_AT_ONCE]]


def scrape_due(claims_for_seconds: float = CLAIMS_FOR_SECONDS) -> Report:
    """Read what is due, and what falls due until nothing is under way or `claims_for_seconds` are over. Where this
    process has a round that claims, nothing."""
    report = Report()
    if not _claiming.acquire(blocking=False):
        return report
    claiming = True
    try:
        began, waiting = time.monotonic(), _Waiting()
        first = claim(datetime.now(UTC), AT_ONCE)
        if not first:
            return report
        with Fetcher() as fetcher:
            _begin(fetcher, waiting, first)
            while waiting.targets:
                _take_in(waiting, report)
                if claiming and time.monotonic() - began > claims_for_seconds:
                    _claiming.release()
                    claiming = False
                if claiming:
                    _begin(fetcher, waiting, claim(datetime.now(UTC), AT_ONCE - len(waiting.targets)))
    finally:
        if claiming:
            _claiming.release()
    return report


def claim(now: datetime, number: int) -> list[ScrapeTarget]:
    """At most `number` of the targets that are due, each moved to its next slot."""
    if number <= 0:
        return []
    with transaction.atomic():
        due = (
            ScrapeTarget.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("job")
            .filter(Q(busy_until=None) | Q(busy_until__lte=now))
            .filter(next_scrape_at__lte=now, vanished_at=None, asset__isnull=False, job__is_active=True)
        )
        targets = list(due.order_by("next_scrape_at")[:number])
        slots = [schedule.next_slot(target.url, target.job.interval, now) for target in targets]
        busy = [now + timedelta(seconds=target.job.scrape_timeout) + _GRACE for target in targets]
        if targets:
            with connection.cursor() as cursor:
                cursor.execute(_MOVE, [[target.pk for target in targets], slots, busy])
    return targets


def _begin(fetcher: Fetcher, waiting: _Waiting, targets: Iterable[ScrapeTarget]) -> None:
    for target in targets:
        now = datetime.now(UTC)
        try:
            future = fetcher.fetch(_page_for(target))
        except secrets.Unreadable as error:
            future = Future()
            future.set_exception(Forbidden(str(error)))
        waiting.targets[future] = target, now


def _page_for(target: ScrapeTarget) -> Page:
    """The request for a target. Raises secrets.Unreadable."""
    job, wanted = target.job, secrets.reveal(target.job.request)
    headers = {
        "Accept": exposition.ACCEPT,
        "Accept-Encoding": "gzip",
        "X-Prometheus-Scrape-Timeout-Seconds": str(job.scrape_timeout),
    }
    if token := wanted.get("bearer_token"):
        headers["Authorization"] = f"Bearer {token}"
    headers |= wanted.get("headers", {})
    return Page(target.url, job.scrape_timeout, job.body_limit_bytes, headers, job.verify_tls, job.ca_certificate)


def _take_in(waiting: _Waiting, report: Report) -> None:
    """Store what has come in by now."""
    ended = waiting.done(LOOKS_EVERY_SECONDS)
    if not ended:
        return
    readings = [_reading(target, at, future) for target, at, future in ended]
    targets = [target for target, _, _ in ended]
    report.readings += len(readings)
    report.samples += _store(targets, readings)
    _note(targets, readings)


def _reading(target: ScrapeTarget, at: datetime, future: Future[Fetched]) -> Reading:
    """What a target answered, or why it did not."""
    job = target.job
    labels = {"job": job.job_name, "instance": target.address, **job.labels, **target.labels}
    kept = {name: value for name, value in labels.items() if value and name not in ("asset", job.asset_label)}
    assert target.asset_id is not None
    read = partial(Reading, Origin(target.asset_id, tuple(sorted(kept.items()))), int(at.timestamp() * 1000))
    try:
        fetched = future.result()
    except (Forbidden, Unreachable) as error:
        return read((datetime.now(UTC) - at).total_seconds(), error=str(error))
    except Exception as error:  # one target's answer must not stop the others
        log.exception("%s could not be read", target)
        return read((datetime.now(UTC) - at).total_seconds(), error=f"{type(error).__name__}: {error}")
    try:
        page = pages.page_of(fetched.status, fetched.headers, fetched.body, job.body_limit_bytes, job.sample_limit)
    except BadPage as error:
        return read(fetched.seconds, error=str(error))
    return read(fetched.seconds, page)


def _store(targets: Sequence[ScrapeTarget], readings: Sequence[Reading]) -> int:
    """Commit the samples of all readings; answers how many. What was refused, and an outage, is told of on the
    readings."""
    now = datetime.now(UTC)
    try:
        outcome = ingestion.store(Decoded(labelled=pages.labelled(readings)), Sender(), now, find_assets)
    except (Unavailable, psycopg.Error) as error:
        log.warning("what %s targets answered could not be stored: %s", len(targets), error)
        for reading in readings:
            reading.error = reading.error or "the samples could not be stored"
        return 0
    by_reading: dict[int, list[Refusal]] = {}
    for refusal in outcome.refusals:
        by_reading.setdefault(refusal.index, []).append(refusal)
    for place, refusals in by_reading.items():
        told = f"{len(refusals)} samples refused; {refusals[0].field}: {refusals[0].reason}"
        readings[place].error = "; ".join(filter(None, (readings[place].error, told)))
    return outcome.accepted


def _note(targets: Sequence[ScrapeTarget], readings: Sequence[Reading]) -> None:
    """Keep on each target what its reading came to."""
    noted: dict[str, Any] = {
        "ids": [target.pk for target in targets],
        "ups": [reading.page is not None for reading in readings],
        "ats": [datetime.fromtimestamp(reading.timestamp_ms / 1000, UTC) for reading in readings],
        "seconds": [reading.seconds for reading in readings],
        "samples": [reading.sample_count for reading in readings],
        "errors": [reading.error.replace("\0", "")[:_MAX_ERROR] for reading in readings],
    }
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, noted)
