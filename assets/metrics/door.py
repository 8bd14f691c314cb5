"""The one door of all ways in: who sends, how much is taken, the commit, and the codes of what goes wrong.

A way in says how its bytes are read and how its senders are answered; nothing else differs. Answered 2xx only after
the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Protocol

import psycopg
from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from assets import authentication
from assets.metrics import ingestion, wire
from assets.metrics.committing import Revoked, Unavailable
from assets.metrics.ingestion import Outcome
from assets.metrics.owners import finder
from assets.metrics.wire import Decoded, UnknownMediaType
from wedsync_monitor import counters, tokens
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import RETRY_AFTER_SECONDS, is_outage

_UNAVAILABLE = counters.key("wedsync_ingest_unavailable_total")


class WayIn(Protocol):
    """What tells one way in from another; it is counted under its name."""

    name: str

    def decode(self, request: HttpRequest, body: bytes, now_ms: int) -> Decoded:
        """`body` is without its Content-Encoding. Raises Malformed, UnknownMediaType or TooLarge."""
        ...

    def answer(self, request: HttpRequest, outcome: Outcome) -> HttpResponse:
        """After the commit: all was kept, or a part, or nothing."""
        ...

    def refuse(self, request: HttpRequest, code: int, detail: str) -> HttpResponse:
        """Nothing was kept."""
        ...


def view_of(way: WayIn) -> Callable[[HttpRequest], HttpResponse]:
    """The view of a way in. Agents send with their keys; people with tokens, if they have the verb SEND."""

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return way.refuse(request, 405, "Send samples by POST.")
        response = answered(request)
        _count_request(way.name, response.status_code)
        return response

    def answered(request: HttpRequest) -> HttpResponse:
        try:
            outcome = _take(way, request, datetime.now(UTC))
            _count_samples(way.name, outcome)
            return way.answer(request, outcome)
        except (
            authentication.NotAllowed,
            wire.Malformed,
            wire.TooLarge,
            Revoked,
            Unavailable,
            psycopg.Error,
            DatabaseError,
        ) as error:
            return _refuse(way, request, *_told(error))

    view.policy_resource, view.policy_verbs = "metrics", {"POST": Verb.SEND}  # type: ignore[attr-defined]
    return view


@cache
def _requests(way: str, code: int) -> counters.Key:
    return counters.key("wedsync_ingest_requests_total", way=way, code=str(code))


@cache
def _samples(way: str) -> tuple[counters.Key, counters.Key]:
    """Of those that were committed, and of those that were refused."""
    names = ("wedsync_ingest_samples_total", "wedsync_ingest_refused_total")
    return counters.key(names[0], way=way), counters.key(names[1], way=way)


def _count_request(way: str, code: int) -> None:
    counters.add(_requests(way, code))
    if code == 503:
        counters.add(_UNAVAILABLE)


def _count_samples(way: str, outcome: Outcome) -> None:
    committed, refused = _samples(way)
    if outcome.accepted:
        counters.add(committed, outcome.accepted)
    if outcome.refusals:
        counters.add(refused, len(outcome.refusals))


class _Missing(Revoked):
    """No credential came along."""


def _take(way: WayIn, request: HttpRequest, now: datetime) -> Outcome:
    given = _authorization(request)
    sender = authentication.sender_of(given, now)
    if sender is None:
        raise Revoked if tokens.bearer(given) else _Missing
    decoded = way.decode(request, _body_of(request), int(now.timestamp() * 1000))
    return ingestion.store(decoded, sender, now, finder(sender.credential if sender.may_discover else None, now))


def _authorization(request: HttpRequest) -> bytes:
    """The Authorization header; Influx clients write Token where others write Bearer."""
    given = request.headers.get("Authorization", "").encode()
    scheme, _, secret = given.partition(b" ")
    return b"Bearer " + secret if scheme.lower() == b"token" else given


def _body_of(request: HttpRequest) -> bytes:
    """The body without its Content-Encoding. A body that is too large, as sent or unpacked, is not read to its end."""
    too_large = wire.TooLarge(f"send at most {settings.INGEST_MAX_BODY_BYTES} bytes in one request")
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > settings.INGEST_MAX_BODY_BYTES:
        raise too_large
    body = request.read(settings.INGEST_MAX_BODY_BYTES + 1)
    if len(body) > settings.INGEST_MAX_BODY_BYTES:
        raise too_large
    return wire.unpack(body, request.headers.get("Content-Encoding", ""), settings.INGEST_MAX_DECODED_BYTES)


def _told(error: Exception) -> tuple[int, str]:
    """The status of an error, and what the sender is told."""
    if isinstance(error, authentication.NotAllowed):
        return 403, "This token may not send metrics."
    if isinstance(error, _Missing):
        return 401, "Send Authorization: Bearer with an agent's key or a person's token."
    if isinstance(error, Revoked):
        return 401, "This key or token is unknown, was revoked or has expired; ask an administrator for another one."
    if isinstance(error, Unavailable | psycopg.OperationalError) or is_outage(error):
        return 503, "The samples could not be stored for certain. Send them again in a few seconds; none counts twice."
    for kind, code in ((wire.TooLarge, 413), (UnknownMediaType, 415), (wire.Malformed, 400)):
        if isinstance(error, kind):
            return code, str(error)
    raise error


def _refuse(way: WayIn, request: HttpRequest, code: int, detail: str) -> HttpResponse:
    response = way.refuse(request, code, detail)
    if code == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if code == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response
