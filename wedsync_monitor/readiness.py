"""/healthz, /readyz and /metrics: whether this system itself works, with what is wrong if not."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from wedsync_monitor.tasks import BEAT_SEEN, PARTITIONS_KEPT

STALE_SECONDS = 30.0
EVALUATOR_SEEN = "evaluator-seen"


def healthz(request: HttpRequest) -> HttpResponse:
    """The process lives."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Database, broker, evaluator and beat all work; 503 with what is wrong if not."""
    found = problems()
    return JsonResponse({"ready": not found, "problems": found}, status=503 if found else 200)


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


def metrics(request: HttpRequest) -> HttpResponse:
    """The system's own state in the Prometheus text format."""
    lines = ["# HELP wedsync_up Whether a part of the system works.", "# TYPE wedsync_up gauge"]
    lines += [f'wedsync_up{{part="{check.__name__}"}} {0 if _run(check) else 1}' for check in CHECKS]
    lines += [_age("evaluator", EVALUATOR_SEEN), _age("beat", BEAT_SEEN)]
    body = "\n".join(line for line in lines if line) + "\n"
    return HttpResponse(body, content_type="text/plain; version=0.0.4; charset=utf-8")


def _age(part: str, key: str) -> str:
    try:
        seen = cache.get(key)
    except Exception:  # the broker is away: wedsync_up says so
        seen = None
    return f'wedsync_last_seen_timestamp_seconds{{part="{part}"}} {seen}' if seen else ""
