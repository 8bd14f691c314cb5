"""POST /api/monitoring/metrics: from bytes to committed frames. Answered 2xx only after the commit."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import psycopg
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from assets import authentication
from assets.metrics import ingestion, openapi, wire
from assets.metrics.committing import Revoked, Unavailable
from assets.models import InfrastructureAsset
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.errors import problem_json

COLUMNAR = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
_MAX_REFUSALS_SHOWN = 1000
_ASSETS_REMEMBERED_SECONDS = 30.0
_assets: dict[str, tuple[UUID, float]] = {}


@csrf_exempt
def metrics(request: HttpRequest) -> HttpResponse:
    """Take one sample, {"metrics": [samples]}, or the agent's columnar form."""
    if request.method != "POST":
        return problem_json(405, "Send samples by POST.")
    now = datetime.now(UTC)
    try:
        sender = authentication.sender_of(request.headers.get("Authorization", "").encode(), now)
        if sender is None:
            return problem_json(401, "Send Authorization: Bearer with an agent's key or a person's token.")
        outcome = ingestion.store(_decode(request, now), sender, now, find_assets)
    except (
        authentication.NotAllowed,
        wire.Malformed,
        wire.TooLarge,
        Revoked,
        Unavailable,
        psycopg.Error,
    ) as error:
        return _refuse(error)
    return _answer(outcome)


metrics.policy_resource, metrics.policy_verbs = "metrics", {"POST": Verb.SEND}  # type: ignore[attr-defined]
metrics.openapi = openapi.OPERATIONS  # type: ignore[attr-defined]


def _decode(request: HttpRequest, now: datetime) -> wire.Decoded:
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > settings.INGEST_MAX_BODY_BYTES:
        raise wire.TooLarge(f"send at most {settings.INGEST_MAX_BODY_BYTES} bytes in one request")
    body = request.read(settings.INGEST_MAX_BODY_BYTES + 1)
    if len(body) > settings.INGEST_MAX_BODY_BYTES:
        raise wire.TooLarge(f"send at most {settings.INGEST_MAX_BODY_BYTES} bytes in one request")
    body = wire.unpack(body, request.headers.get("Content-Encoding", ""), settings.INGEST_MAX_DECODED_BYTES)
    if request.content_type in COLUMNAR:
        return wire.decode_columnar(body)
    if request.content_type in ("application/json", "", "text/plain"):
        return wire.decode_json(body, int(now.timestamp() * 1000))
    raise UnknownMediaType(f"send application/json or {COLUMNAR[0]}, not {request.content_type}")


class UnknownMediaType(wire.Malformed):
    """The body is of a kind that is not understood."""


def _refuse(error: Exception) -> HttpResponse:
    if isinstance(error, authentication.NotAllowed):
        return problem_json(403, "This token may not send metrics.")
    if isinstance(error, wire.TooLarge):
        return problem_json(413, str(error))
    if isinstance(error, UnknownMediaType):
        return problem_json(415, str(error))
    if isinstance(error, wire.Malformed):
        return problem_json(400, str(error))
    if isinstance(error, Revoked):
        return problem_json(401, "This key or token was revoked or has expired.")
    if isinstance(error, Unavailable | psycopg.OperationalError):
        return problem_json(503, "The samples could not be stored; nothing was kept. Send them again in a few seconds.")
    raise error


def _answer(outcome: ingestion.Outcome) -> HttpResponse:
    rejected = [asdict(refusal) for refusal in outcome.refusals[:_MAX_REFUSALS_SHOWN]]
    if not outcome.accepted and rejected:
        errors = [{**one, "detail": one["reason"]} for one in rejected]
        return problem_json(400, f"No sample was taken: {rejected[0]['field']}: {rejected[0]['reason']}", errors)
    said = {"success": True, "accepted": outcome.accepted, "rejected": rejected}
    return HttpResponse(msgspec.json.encode(said), content_type="application/json")


def find_assets(names: Iterable[str]) -> dict[str, UUID]:
    """The ids of the assets that exist among `names` (ids or names); kept for some seconds."""
    now = time.monotonic()
    found = {name: known[0] for name in names if (known := _assets.get(name)) and known[1] > now}
    missing = [name for name in names if name not in found and "\0" not in name]
    if missing:
        looked_up = _look_up(missing)
        if len(_assets) > 100_000:
            _assets.clear()
        _assets.update({name: (asset_id, now + _ASSETS_REMEMBERED_SECONDS) for name, asset_id in looked_up.items()})
        found |= looked_up
    return found


def _look_up(names: list[str]) -> dict[str, UUID]:
    ids = {name: parsed for name in names if (parsed := _as_uuid(name))}
    known = set(InfrastructureAsset.objects.filter(pk__in=ids.values()).values_list("pk", flat=True))
    by_name = InfrastructureAsset.objects.filter(asset_name__in=[name for name in names if name not in ids])
    return {name: pk for name, pk in ids.items() if pk in known} | dict(by_name.values_list("asset_name", "pk"))


def _as_uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
