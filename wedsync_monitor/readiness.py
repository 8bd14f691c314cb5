"""/healthz, /readyz and /metrics: whether this system itself works, with what is wrong if not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from wedsync_monitor import leadership
from wedsync_monitor.models import DeadMansSwitch
from wedsync_monitor.selfmonitoring import exposition, outlet
from wedsync_monitor.selfmonitoring.measurements import METRICS, Measurement, Metric

STALE_SECONDS = 30.0
BEAT_SEEN, EVALUATOR_SEEN = "beat-seen", "evaluator-seen"
# Why partitions that are over are still there.
PARTITIONS_KEPT = "partitions-kept"


def healthz(request: HttpRequest) -> HttpResponse:
    """The process lives."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Database, broker, evaluator and beat all work; 503 with what is wrong if not."""
    found = problems()
    said: dict[str, Any] = {"ready": not found, "problems": found, "beat_leader": None, "dead_mans_switches": []}
    with suppress(DatabaseError):  # the problems say so
        said |= {"beat_leader": _leader(), "dead_mans_switches": _switches()}
    return JsonResponse(said, status=503 if found else 200)


def _leader() -> dict[str, Any] | None:
    found = leadership.leader()
    # Everybody may read this: not on which host. The System page says it.
    return {"since": found.since} if found else None


def _switches() -> list[dict[str, Any]]:
    """What everybody may know of the dead man's switches: not where they signal to."""
    columns = ("switch_name", "last_sent_at", "held_back_since", "held_back_because")
    return list(DeadMansSwitch.objects.filter(is_enabled=True).values(*columns))


def problems() -> list[str]:
    """What does not work now, a sentence each."""
    return [text for check in CHECKS if (text := _run(check))]


def _run(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except Exception as error:  # any failure of a check is what this page is there to tell
        return f"{check.__name__.strip('_').replace('_', ' ')}: {type(error).__name__}"


def database() -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return None


def broker() -> str | None:
    cache.get(BEAT_SEEN)
    return None


def evaluator() -> str | None:
    return _stale(EVALUATOR_SEEN, "the evaluator has not evaluated")


def beat() -> str | None:
    return _stale(BEAT_SEEN, "beat has not ticked")


def retention() -> str | None:
    """What is over is dropped; what is to be archived first and could not be, is kept and fills the disk."""
    return cache.get(PARTITIONS_KEPT) or None


def _stale(key: str, text: str) -> str | None:
    seen = cache.get(key)
    if seen is None:
        return f"{text} since the broker started"
    age = time.time() - seen
    return f"{text} for {age:.0f} s" if age > STALE_SECONDS else None


CHECKS: tuple[Callable[[], str | None], ...] = (database, broker, evaluator, beat, retention)


STATE_METRICS = {
    "wedsync_up": Metric("gauge", "", "Whether a part of the system works."),
    "wedsync_last_seen_timestamp_seconds": Metric("gauge", "seconds", "When a part last gave a sign of life."),
    "wedsync_observed_timestamp_seconds": Metric("gauge", "seconds", "When the gauges below were measured."),
}


def metrics(request: HttpRequest) -> HttpResponse:
    """The system's own state for Prometheus, or as OpenMetrics where that is asked for.

    What is behind the gauges was measured by the last observation; the counters are those of all processes, now.
    """
    openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
    body = exposition.render([*_standing(), *_observed()], STATE_METRICS | METRICS, openmetrics)
    return HttpResponse(body, content_type=exposition.OPENMETRICS if openmetrics else exposition.PROMETHEUS)


def _standing() -> Iterator[Measurement]:
    for check in CHECKS:
        yield Measurement("wedsync_up", 0 if _run(check) else 1, {"part": check.__name__})
    for part, key in (("evaluator", EVALUATOR_SEEN), ("beat", BEAT_SEEN)):
        with suppress(Exception):  # the broker is away: wedsync_up says so
            if seen := cache.get(key):
                yield Measurement("wedsync_last_seen_timestamp_seconds", seen, {"part": part})


def _observed() -> Iterator[Measurement]:
    with suppress(DatabaseError):  # wedsync_up says so
        last = outlet.last_observation()
        yield from last.measured
        if last.at:
            yield Measurement("wedsync_observed_timestamp_seconds", last.at.timestamp())
