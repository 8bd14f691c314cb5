"""The Prometheus HTTP API as Grafana uses it (prometheus.io/docs/prometheus/latest/querying/api)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.multipartparser import MultiPartParserError
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from assets.metrics.promql import answers, catalogue, parameters, parsing, querying
from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.querying import Failed
from assets.metrics.promql.ranges import TooMuch
from assets.metrics.promql.selecting import TimedOut, bounded
from assets.metrics.promql.syntax import Matcher, text_of
from wedsync_monitor import policy
from wedsync_monitor.policy import Person, Verb
from wedsync_monitor.tokens import QueryTokenAuthentication, reader_of
from wedsync_monitor.web.errors import RETRY_AFTER_SECONDS, is_outage

# What is shorter costs more to compress than to send.
_COMPRESSED_FROM = 16_384
_KINDS = {401: "unauthorized", 403: "forbidden", 405: "bad_data"}


# Its shapes are Prometheus's, and described there.
@extend_schema(exclude=True)
class _View(APIView):
    """Reads by GET, and by POST with the parameters as a form. Errors are told as Prometheus tells them."""

    policy_resource = "metrics"
    policy_verbs = {"GET": Verb.READ, "POST": Verb.READ}
    http_method_names = ["get", "post"]
    authentication_classes = [QueryTokenAuthentication, SessionAuthentication]

    def dispatch(self, request: HttpRequest, *args: Any, **path: str) -> Any:
        """Dashboards ask with a token, many times a second: they need nothing of what DRF does before a view, which
        costs more than most queries. Whoever is signed in by a session goes its way."""
        try:
            person = reader_of(request.META.get("HTTP_AUTHORIZATION", "").encode("latin-1"), request.method)
            if person is None:
                return super().dispatch(request, *args, **path)
            self._check(person, request.method or "")
            return self._answered(person, request, **path)
        except Exception as error:
            return self.handle_exception(error)

    def _check(self, person: Person, method: str) -> None:
        """As PolicyPermission does. Raises MethodNotAllowed and PermissionDenied."""
        if method not in self.policy_verbs:
            raise exceptions.MethodNotAllowed(method)
        if not policy.may(person, self.policy_verbs[method], self.policy_resource):
            raise exceptions.PermissionDenied

    def get(self, request: Request, **path: str) -> HttpResponse:
        return self._answered(request.user, request._request, **path)

    def post(self, request: Request, **path: str) -> HttpResponse:
        return self.get(request, **path)

    def _answered(self, person: Person, request: HttpRequest, **path: str) -> HttpResponse:
        """Answer the parameters of either method."""
        given = request.GET.copy()
        if request.method == "POST":
            given.update(request.POST)
        with bounded():
            data = self.answer(person, given, **path)
        return _json(answers.success(data), 200, request)

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        """The `data` of the answer as JSON."""
        raise NotImplementedError

    def handle_exception(self, exc: Exception) -> Any:
        code, kind, reason = _told(exc)
        response = _json(answers.failure(kind, reason), code)
        if code == 401:
            response["WWW-Authenticate"] = "Bearer"
        if code == 405:
            response["Allow"] = ", ".join(self.policy_verbs)
        if code == 503:
            response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response


def _told(error: Exception) -> tuple[int, str, str]:
    """Status, errorType and reason. What is no error of the request goes on."""
    if isinstance(error, TooMuch | Failed):
        return 422, "execution", str(error)
    if isinstance(error, BadQuery):
        return 400, "bad_data", str(error)
    if isinstance(error, TimedOut):
        return 503, "timeout", str(error)
    if isinstance(error, SuspiciousOperation | MultiPartParserError | BadRequest):
        return 400, "bad_data", "send the parameters as a form of less than 2 MiB"
    if isinstance(error, exceptions.APIException):
        return error.status_code, _KINDS.get(error.status_code, "bad_data"), str(error.detail)
    if is_outage(error):
        return 503, "unavailable", "The database does not answer; try again in a few seconds."
    raise error


def _json(body: bytes, code: int, request: HttpRequest | None = None) -> HttpResponse:
    headers = {"Vary": "Accept-Encoding, Authorization, Cookie", "Cache-Control": "no-store"}
    if request is not None and len(body) >= _COMPRESSED_FROM and _takes_gzip(request):
        packer = zlib.compressobj(1, wbits=31)
        body, headers["Content-Encoding"] = packer.compress(body) + packer.flush(), "gzip"
    return HttpResponse(body, status=code, content_type="application/json", headers=headers)


def _takes_gzip(request: HttpRequest) -> bool:
    return bool(re.search(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", request.headers.get("Accept-Encoding", "")))


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


class Query(_View):
    """The answer at one instant."""

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        expression = parsing.parse(given.get("query", ""))
        moment = parameters.moment(given, "time", _now_ms())
        lookback = parameters.duration(given, "lookback_delta", parameters.LOOKBACK_MS)
        return querying.at(person, expression, moment, lookback)


class QueryRange(_View):
    """The answers at the instants of a span."""

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        expression = parsing.parse(given.get("query", ""))
        moments = parameters.instants(given)
        lookback = parameters.duration(given, "lookback_delta", parameters.LOOKBACK_MS)
        return querying.over(person, expression, moments, lookback)


def _choices(given: QueryDict) -> list[tuple[Matcher, ...]]:
    """The selectors of `match[]`; any of them may fit."""
    return [parsing.parse_matchers(text) for text in given.getlist("match[]")]


def _limit(given: QueryDict) -> int | None:
    text = given.get("limit") or "0"
    if not re.fullmatch(r"\d{1,9}", text):
        raise BadQuery('invalid parameter "limit": send a whole number from 0')
    return int(text) or None


def _limited(found: Sequence[Any], given: QueryDict) -> bytes:
    return msgspec.json.encode(found[: _limit(given)])


class SeriesOf(_View):
    """The label sets of series."""

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        choices = _choices(given)
        if not choices:
            raise BadQuery("no match[] parameter provided")
        return msgspec.json.encode(catalogue.label_sets(person, choices, _limit(given)))


class LabelNames(_View):
    """The names of labels."""

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        return _limited(catalogue.label_names(person, _choices(given)), given)


class LabelValues(_View):
    """The values of a label."""

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        return _limited(catalogue.label_values(person, parameters.label(path["name"]), _choices(given)), given)


class Metadata(_View):
    """What is known of metrics by their names."""

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        found = catalogue.metadata(person, given.get("metric", ""))
        return msgspec.json.encode(dict(msgspec.json.decode(_limited(list(found.items()), given))))


class FormatQuery(_View):
    """An expression as it is written here."""

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        return msgspec.json.encode(text_of(parsing.parse(given.get("query", ""))))


class _Fixed(_View):
    """An answer that does not depend on anything."""

    fixed: Any = None

    def answer(self, person: Person, given: QueryDict, **path: str) -> bytes:
        return msgspec.json.encode(self.fixed)


class Rules(_Fixed):
    """There are no rules in PromQL: those of this system are at /api/monitoring/alerts/rules."""

    fixed = {"groups": []}


class Alerts(_Fixed):
    """Likewise: alerts are at /api/monitoring/alerts/instances."""

    fixed = {"alerts": []}


class Exemplars(_Fixed):
    """None are stored."""

    fixed: Any = []


class BuildInfo(_Fixed):
    """The version of Prometheus whose API and meaning this follows; Grafana adapts its requests to it."""

    fixed = {
        "version": "3.0.0",
        "revision": "",
        "branch": "",
        "buildUser": "WedSync Monitor",
        "buildDate": "",
        "goVersion": "",
    }
