"""The ways in of other systems' senders, each answering as its clients expect."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from assets.metrics import door
from assets.metrics.ingestion import Outcome
from assets.metrics.protocols import line_protocol, otlp, remote_write, remote_write_2
from assets.metrics.wire import Decoded, Refusal, UnknownMediaType

_REASONS_SHOWN = 5


def told(outcome: Outcome, place: str) -> str:
    """One line on what was refused and what was kept; senders log little more than that."""
    first: dict[tuple[str, str], Refusal] = {}
    for refusal in sorted(outcome.refusals, key=lambda one: one.index):
        first.setdefault((refusal.field, refusal.reason), refusal)
    shown = [f"{place} {one.index}: {one.field}: {one.reason}" for one in list(first.values())[:_REASONS_SHOWN]]
    more = "; and other reasons" if len(first) > _REASONS_SHOWN else ""
    passed = outcome.written - outcome.accepted
    kept = f"{outcome.accepted} samples stored" + (f" ({passed} more were NaN or sent twice)" if passed > 0 else "")
    return f"{len(outcome.refusals)} refused, {kept}; {'; '.join(shown)}{more}"


class _RemoteWrite:
    """Prometheus repeats a request after 5xx and 429, and drops it after other 4xx with a line in its log. So what
    can be kept is kept, and a 400 tells of the rest."""

    name = "remote_write"
    _MESSAGES: dict[str, Callable[[bytes], Decoded]] = {
        "prometheus.WriteRequest": remote_write.decode,
        "io.prometheus.write.v2.Request": remote_write_2.decode,
    }

    def decode(self, request: HttpRequest, body: bytes, now_ms: int) -> Decoded:
        message = (request.content_params or {}).get("proto", "prometheus.WriteRequest")
        if request.content_type != "application/x-protobuf" or message not in self._MESSAGES:
            raise UnknownMediaType(f"send application/x-protobuf;proto= and one of: {', '.join(self._MESSAGES)}")
        return self._MESSAGES[message](body)

    def answer(self, request: HttpRequest, outcome: Outcome) -> HttpResponse:
        """Says how much was written, which 2.0 asks for and 1.0 does not mind."""
        response = HttpResponse(status=204)
        if outcome.refusals:
            response = self.refuse(request, 400, told(outcome, "series"))
        for what, number in (("Samples", outcome.written), ("Histograms", 0), ("Exemplars", 0)):
            response[f"X-Prometheus-Remote-Write-{what}-Written"] = str(number)
        return response

    def refuse(self, request: HttpRequest, code: int, detail: str) -> HttpResponse:
        return HttpResponse(detail, status=code, content_type="text/plain; charset=utf-8")


prometheus_write = door.view_of(_RemoteWrite())


class _Influx:
    """Telegraf drops a batch that got 400, cuts one in parts that got 413, and repeats it after 429 and 503."""

    name = "influx"

    _CODES = {
        401: "unauthorized",
        403: "forbidden",
        405: "method not allowed",
        413: "request too large",
        415: "unsupported media type",
        503: "unavailable",
    }

    def decode(self, request: HttpRequest, body: bytes, now_ms: int) -> Decoded:
        return line_protocol.decode(body, request.GET.get("precision", "ns"), now_ms)

    def answer(self, request: HttpRequest, outcome: Outcome) -> HttpResponse:
        if outcome.refusals:
            return self.refuse(request, 400, f"partial write: {told(outcome, 'line')}")
        return HttpResponse(status=204)

    def refuse(self, request: HttpRequest, code: int, detail: str) -> HttpResponse:
        return JsonResponse({"code": self._CODES.get(code, "invalid"), "message": detail}, status=code)


influx_write = door.view_of(_Influx())


@require_safe
def influx_ping(request: HttpRequest) -> HttpResponse:
    """What Influx clients ask before they write."""
    return HttpResponse(status=204, headers={"X-Influxdb-Build": "WedSync", "X-Influxdb-Version": "v2"})


@require_safe
def influx_health(request: HttpRequest) -> HttpResponse:
    """The same, in the words of InfluxDB's health endpoint."""
    return JsonResponse({"name": "wedsync", "message": "ready for writes", "status": "pass", "checks": []})


class _Otlp:
    """Of errors, OTLP clients repeat 429, 502, 503 and 504 only; a partial success is a 200 that says so."""

    name = "otlp"

    def decode(self, request: HttpRequest, body: bytes, now_ms: int) -> Decoded:
        if request.content_type not in ("application/x-protobuf", "application/json"):
            raise UnknownMediaType("send application/x-protobuf or application/json")
        return otlp.decode(body, self._is_json(request))

    def answer(self, request: HttpRequest, outcome: Outcome) -> HttpResponse:
        rejected = len({refusal.index for refusal in outcome.refusals})
        reason = told(outcome, "data point") if rejected else ""
        if rejected and not outcome.accepted:
            return self.refuse(request, 400, reason)
        return self._said(request, 200, otlp.answer(rejected, reason, self._is_json(request)))

    def refuse(self, request: HttpRequest, code: int, detail: str) -> HttpResponse:
        return self._said(request, code, otlp.status(detail, self._is_json(request)))

    def _is_json(self, request: HttpRequest) -> bool:
        return request.content_type == "application/json"

    def _said(self, request: HttpRequest, code: int, body: bytes) -> HttpResponse:
        kind = "application/json" if self._is_json(request) else "application/x-protobuf"
        return HttpResponse(body, status=code, content_type=kind)


otlp_metrics = door.view_of(_Otlp())
