"""The server's own location at work: what is due is claimed, run beside each other, and taken in.

A check that hangs holds one of AT_ONCE places until its timeout, and those that hung when they were last run get no
more than half of them. Where the database is away, results wait in memory, the oldest go first when there are too many,
and nothing new is claimed until they are stored.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, close_old_connections, connection
from wedsync_agent.probes import Outcome, Session, Timing
from wedsync_agent.probing import Ended, Prober

from assets.metrics.committing import Unavailable
from synthetic import places, results, scheduling, targets
from synthetic.models import CheckPlace, ProbeLocation
from synthetic.results import Result
from synthetic.targets import Secrets, Unusable
from wedsync_monitor import counters

log = logging.getLogger(__name__)
AT_ONCE = 1000
LOOKS_EVERY_SECONDS = 0.25
_SAYS_SO_EVERY_SECONDS = 5.0
_MAX_KEPT = 20_000
_MAX_SESSIONS = 10_000


def _now() -> datetime:
    return datetime.now(UTC)


class Runner:
    """One location. `step` does what there is to do now and waits a little for what is under way."""

    def __init__(self, prober: Prober, location: str = "", now: Callable[[], datetime] = _now):
        self._prober, self._now = prober, now
        self._location = location or settings.PROBE_LOCATION
        self._sessions: dict[str, Session] = {}
        self._waiting: deque[Result] = deque(maxlen=_MAX_KEPT)
        self._hanging: set[CheckPlace] = set()
        self._said_at = float("-inf")

    def run_until(self, is_over: Callable[[], bool]) -> None:
        """Work until asked to stop; what is under way then is due again."""
        while not is_over():
            try:
                self.step(LOOKS_EVERY_SECONDS)
            except (DatabaseError, InterfaceError, Unavailable) as error:
                log.warning("checks at %s wait for the database: %s", self._location, error)
                connection.close()
                time.sleep(1)
        places.release([place.pk for place in self._prober.under_way], self._now())

    def step(self, wait_seconds: float) -> int:
        """Claim and begin what is due, take in what has ended; answers how many ended."""
        close_old_connections()
        if not self._waiting:
            self._say_so()
            self._begin(self._claim())
        ended = self._prober.take(wait_seconds)
        self._hanging.difference_update(one.ticket for one in ended)
        self._waiting.extend(self._result_of(one) for one in ended)
        self._take_in()
        return len(ended)

    def _claim(self) -> Sequence[CheckPlace]:
        now = self._now()
        room = AT_ONCE - len(self._prober.under_way)
        found = places.claim(self._location, now, room, AT_ONCE // 2 - len(self._hanging))
        self._hanging.update(place for place in found if place.last_status == "timeout")
        return found

    def _begin(self, due: Iterable[CheckPlace]) -> None:
        known = Secrets()
        for place in due:
            check = place.synthetic_check
            try:
                probe = targets.probe_of(check)
                around = targets.surroundings(known.of(probe), self._sessions, self._now)
            except Exception as error:  # whatever one check has, the others go on
                if not isinstance(error, Unusable):
                    log.exception("%s could not be begun", check)
                self._waiting.append(self._refused(place, str(error)))
                continue
            self._prober.start(place, probe, around, check.retry_attempts)
        if len(self._sessions) > _MAX_SESSIONS:
            self._sessions.clear()

    def _refused(self, place: CheckPlace, reason: str) -> Result:
        outcome = Outcome("error", self._now(), Timing(), "configuration", reason)
        return Result(place.synthetic_check_id, place.location, outcome.columns(), is_counted=False)

    def _result_of(self, ended: Ended) -> Result:
        place: CheckPlace = ended.ticket
        counters.add(counters.key("wedsync_checks_total", location=self._location, status=ended.outcome.status))
        columns = ended.outcome.columns()
        return Result(place.synthetic_check_id, place.location, columns, ended.attempts, ended.is_counted)

    def _take_in(self) -> None:
        while self._waiting:
            batch = [self._waiting[place] for place in range(min(len(self._waiting), 1000))]
            try:
                results.take_in(batch, self._now())
            except (DataError, IntegrityError):
                self._take_in_each(batch)
            for _ in batch:
                self._waiting.popleft()

    def _take_in_each(self, batch: Sequence[Result]) -> None:
        """One result that the database refuses must not hold up the others: it is told and left out."""
        for one in batch:
            try:
                results.take_in([one], self._now())
            except (DataError, IntegrityError):
                log.exception("a result of check %s could not be stored", one.check_id)

    def _say_so(self) -> None:
        """That this location is at work, checks that came in otherwise, and whether it is cut off."""
        if time.monotonic() - self._said_at < _SAYS_SO_EVERY_SECONDS:
            return
        now = self._now()
        places.arrange_new(now)
        row, _ = ProbeLocation.objects.get_or_create(location_name=self._location, defaults={"seen_at": now})
        since = (row.cut_off_since or now) if self._prober.is_cut_off else None
        ProbeLocation.objects.filter(pk=row.pk).update(seen_at=now, cut_off_since=since)
        self._said_at = time.monotonic()


def references() -> list[tuple[str, int]]:
    """What answers unless this server is cut off, as the operator named it."""
    found = []
    for text in settings.PROBE_REFERENCES:
        host, _, port = text.rpartition(":")
        found.append((host.strip("[]"), int(port)))
    return found


def prober() -> Prober:
    return Prober(references(), scheduling.RETRY_PAUSE_SECONDS)
