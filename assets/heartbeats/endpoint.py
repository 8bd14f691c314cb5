"""`/ping/<key>`: where jobs say that they ran. The key is all that it takes; the answer is a line of text."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from assets.heartbeats import pings
from assets.heartbeats.pings import MAX_LOG_BYTES, Told
from assets.heartbeats.rate import RateLimit
from assets.heartbeats.states import Ping
from wedsync_monitor.web.errors import RETRY_AFTER_SECONDS

PINGS_PER_MINUTE = 60
_limit = RateLimit(PINGS_PER_MINUTE)


@csrf_exempt
@never_cache
@require_http_methods(["GET", "POST", "HEAD"])
def ping(request: HttpRequest, key: UUID, said: str = "success") -> HttpResponse:
    """Note a ping: success, start, fail or log."""
    return _answer(request, key, Ping(said), None)


@csrf_exempt
@never_cache
@require_http_methods(["GET", "POST", "HEAD"])
def exited(request: HttpRequest, key: UUID, exit_status: int) -> HttpResponse:
    """Note how a job ended: 0 is a success, anything else a failure."""
    if exit_status > 255:
        return _line("send an exit status from 0 to 255", 400)
    return _answer(request, key, Ping.FAIL if exit_status else Ping.SUCCESS, exit_status)


def _answer(request: HttpRequest, key: UUID, said: Ping, exit_status: int | None) -> HttpResponse:
    now = datetime.now(UTC)
    if not _limit.allows(key, now.timestamp()):
        return _line(f"at most {PINGS_PER_MINUTE} pings a minute", 429)
    body = _body_of(request)
    try:
        known = pings.take(key, Told(said, exit_status, body), now)
    except (OperationalError, InterfaceError):
        return _line("the database does not answer; ping again in a few seconds", 503)
    return _line("OK", 200) if known else _line("no such heartbeat", 404)


def _body_of(request: HttpRequest) -> bytes:
    """The beginning of the body; one that broke off is what came of it, for the ping itself did come."""
    try:
        return request.read(MAX_LOG_BYTES) if request.method == "POST" else b""
    except OSError:
        return b""


def _line(text: str, code: int) -> HttpResponse:
    response = HttpResponse(text, status=code, content_type="text/plain; charset=utf-8")
    if code in (429, 503):
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
