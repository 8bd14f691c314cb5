"""POST /api/monitoring/metrics: one sample, {"metrics": [samples]}, or the agent's columnar form."""

from __future__ import annotations

from dataclasses import asdict

import msgspec
from django.http import HttpRequest, HttpResponse

from assets.metrics import columnar, door, openapi, wire
from assets.metrics.ingestion import Outcome
from wedsync_monitor.web.errors import problem_json

COLUMNAR = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
MAX_REFUSALS_SHOWN = 1000


class _Own:
    """The system's own way in."""

    name = "wedsync"

    def decode(self, request: HttpRequest, body: bytes, now_ms: int) -> wire.Decoded:
        if request.content_type in COLUMNAR:
            return columnar.decode(body)
        if request.content_type in ("application/json", "", "text/plain"):
            return wire.decode_json(body, now_ms)
        raise wire.UnknownMediaType(f"send application/json or {COLUMNAR[0]}, not {request.content_type}")

    def answer(self, request: HttpRequest, outcome: Outcome) -> HttpResponse:
        refusals = sorted(outcome.refusals, key=lambda refusal: refusal.index)
        rejected = [asdict(refusal) for refusal in refusals[:MAX_REFUSALS_SHOWN]]
        if not outcome.accepted and rejected:
            errors = [{**one, "detail": one["reason"]} for one in rejected]
            first = ": ".join(part for part in (rejected[0]["field"], rejected[0]["reason"]) if part)
            shown, total = len(errors), len(refusals)
            cut = f" (the first {shown} of {total} errors are listed)" if shown < total else ""
            return problem_json(400, f"No sample was taken: {first}{cut}", errors)
        said = {"success": True, "accepted": outcome.accepted, "rejected": rejected}
        if rejected:
            said["rejected_total"] = len(refusals)
        return HttpResponse(msgspec.json.encode(said), content_type="application/json")

    def refuse(self, request: HttpRequest, code: int, detail: str) -> HttpResponse:
        return problem_json(code, detail)


metrics = door.view_of(_Own())
metrics.openapi = openapi.OPERATIONS  # type: ignore[attr-defined]
