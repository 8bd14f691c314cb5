"""The web server's application: samples go a short way, all else goes Django's."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.urls import URLPattern, URLResolver, get_resolver

from wedsync_monitor import tokens
from wedsync_monitor.policy import Role, Verb
from wedsync_monitor.wsgi import QUERIES, WAYS_IN, application


def ask(method: str, path: str, body: bytes = b"", **environ: str) -> tuple[int, dict[str, str], bytes]:
    said: list[Any] = []
    request = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    answer = application(request | environ, lambda status, headers: said.append((status, dict(headers))))  # type: ignore[arg-type,return-value]
    content = b"".join(answer)
    status, headers = said[0]
    return int(status[:3]), headers, content


def _sending(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    for one in resolver.url_patterns:
        path = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _sending(one, path)
        elif isinstance(one, URLPattern) and getattr(one.callback, "policy_verbs", {}).get("POST") == Verb.SEND:
            yield path


def test_every_way_in_goes_the_short_way():
    assert sorted(_sending(get_resolver())) == sorted(WAYS_IN)


@pytest.mark.usefixtures("committed")
def test_a_sample_is_stored_and_its_answer_says_its_length(asset, person, now):
    sample = {"asset_id": str(asset("web-01").pk), "metric_name": "load", "metric_value": 1.5}
    secret = tokens.issue(person(Role.SRE), "test", now)
    status, headers, content = ask(
        "POST", "/api/monitoring/metrics", json.dumps(sample).encode(), HTTP_AUTHORIZATION=f"Bearer {secret}"
    )
    assert status == 200
    assert json.loads(content)["accepted"] == 1
    assert headers["Content-Length"] == str(len(content))
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.django_db
@pytest.mark.parametrize("path", WAYS_IN)
def test_a_stranger_is_refused_with_a_reason(path):
    status, headers, content = ask("POST", path, b"{}")
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"
    assert content
    assert ask("GET", path)[0] == 405


@pytest.mark.django_db
def test_pages_go_through_the_middleware():
    status, headers, _ = ask("GET", "/login")
    assert status == 200
    assert "default-src 'self'" in headers["Content-Security-Policy"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", WAYS_IN)
def test_an_outage_of_the_database_is_told_and_not_a_500(path):
    def away(execute, sql, params, many, context):
        raise OperationalError("the connection was closed")

    with connection.execute_wrapper(away):
        status, headers, _ = ask("POST", path, b"{}", HTTP_AUTHORIZATION="Bearer wst_never-seen")
    assert status == 503
    assert headers["Retry-After"]


@pytest.mark.usefixtures("committed")
def test_a_query_with_a_token_needs_no_middleware_and_four_statements(person, now, django_assert_max_num_queries):
    bearer = f"Bearer {tokens.issue(person(Role.VIEWER), 'grafana', now)}"
    asked: dict[str, str] = {"QUERY_STRING": "query=1%2B1", "HTTP_AUTHORIZATION": bearer}
    status, headers, content = ask("GET", "/api/v1/query", **asked)
    assert status == 200
    assert json.loads(content)["data"]["result"][1] == "2"
    assert headers["Content-Length"] == str(len(content))
    assert "Content-Security-Policy" not in headers
    with django_assert_max_num_queries(4):
        assert ask("GET", "/api/v1/query", **asked)[2][:20] == content[:20]


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("path", QUERIES)
def test_a_query_without_a_good_token_is_refused_with_a_reason(path, person, now):
    status, headers, _ = ask("GET", path)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "Content-Security-Policy" in headers, "who has no token may have a session"
    assert ask("GET", path, HTTP_AUTHORIZATION="Bearer wst_unknown")[0] == 401
    assert ask("GET", path, HTTP_AUTHORIZATION="Negotiate abc")[0] == 401
    bearer = f"Bearer {tokens.issue(person(Role.VIEWER), 'grafana', now)}"
    status, headers, _ = ask("PUT", path, HTTP_AUTHORIZATION=bearer)
    assert (status, headers["Allow"]) == (405, "GET, POST")
    nobody = tokens.issue(person(username="nobody"), "none", now)
    assert ask("GET", path, HTTP_AUTHORIZATION=f"Bearer {nobody}")[0] == 403


@pytest.mark.django_db
@pytest.mark.parametrize("path", QUERIES)
def test_an_outage_is_told_to_whoever_queries(path):
    def away(execute, sql, params, many, context):
        raise OperationalError("the connection was closed")

    with connection.execute_wrapper(away):
        status, headers, content = ask("GET", path, HTTP_AUTHORIZATION="Bearer wst_never-seen")
    assert (status, json.loads(content)["errorType"]) == (503, "unavailable")
    assert headers["Retry-After"]
