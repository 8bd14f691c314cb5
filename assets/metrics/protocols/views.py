"""The ways in of other systems' senders, each answering as its clients expect."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from assets.metrics import door
from assets.metrics.ingestion import Outcome
from assets.metrics.protocols import remote_write
from assets.metrics.wire import Decoded, Refusal

_REASONS_SHOWN = 5


def told(outcome: Outcome, place: str) -> str:
    """One line on what was refused and what was kept; senders log little more than that."""
    first: dict[tuple[str, str], Refusal] = {}
    for refusal in outcome.refusals:
        first.setdefault((refusal.field, refusal.reason), refusal)
    shown = [f"{place} {one.index}: {one.field}: {one.reason}" for one in list(first.values())[:_REASONS_SHOWN]]
    more = "; and other reasons" if len(first) > _REASONS_SHOWN else ""
    return f"{len(outcome.refusals)} refused, {outcome.accepted} samples stored; {'; '.join(shown)}{more}"


class _RemoteWrite:
    """Prometheus repeats a request after 5xx and 429, and drops it after other 4xx with a line in its log. So what
    can be kept is kept, and a 400 tells of the rest."""

    def decode(self, request: HttpRequest, body: bytes, now_ms: int) -> Decoded:
        message = (request.content_params or {}).get("proto", "prometheus.WriteRequest")
        if request.content_type != "application/x-protobuf" or message != "prometheus.WriteRequest":
            raise door.UnknownMediaType("send application/x-protobuf;proto=prometheus.WriteRequest (remote write 1.0)")
        return remote_write.decode(body)

    def answer(self, request: HttpRequest, outcome: Outcome) -> HttpResponse:
        if outcome.refusals:
            return self.refuse(request, 400, told(outcome, "series"))
        return HttpResponse(status=204)

    def refuse(self, request: HttpRequest, code: int, detail: str) -> HttpResponse:
        return HttpResponse(detail, status=code, content_type="text/plain; charset=utf-8")


prometheus_write = door.view_of(_RemoteWrite())
