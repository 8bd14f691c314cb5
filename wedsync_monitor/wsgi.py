"""The WSGI application that the web server runs.

Samples are most of the requests and need nothing of what pages need (sessions, messages, forgery tokens): the ways in
are answered before Django's middleware, which would cost more than storing a sample. So are queries that carry a token;
those of whoever is signed in by a session need the middleware. What goes wrong inside them is turned into an answer as
Django does it.
"""

import os
from collections.abc import Callable
from typing import cast

import django
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import resolve

WAYS_IN = ("/api/monitoring/metrics", "/api/v1/write", "/api/v2/write", "/v1/metrics")
QUERIES = ("/api/v1/query", "/api/v1/query_range")

_Answer = Callable[[HttpRequest], HttpResponse]


def _answering(view: _Answer) -> _Answer:
    """`view`, with whatever it raises as an answer."""
    return cast(_Answer, convert_exception_to_response(view))


class Application(WSGIHandler):
    """Django's handler with a short way for samples and queries."""

    def __init__(self) -> None:
        super().__init__()
        self._ways_in = {path: _answering(resolve(path).func) for path in WAYS_IN}
        self._queries = {path: _answering(resolve(path).func) for path in QUERIES}

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        answer = self._ways_in.get(request.path_info)
        if "HTTP_AUTHORIZATION" in request.META:
            answer = answer or self._queries.get(request.path_info)
        if answer is None:
            return super().get_response(request)
        response = answer(request)
        response["Content-Length"] = len(response.content)
        response["X-Content-Type-Options"] = "nosniff"
        return response


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wedsync_monitor.settings")
django.setup(set_prefix=False)
application = Application()
