"""How errors are told: RFC 9457 problem+json for programs, and a 503 that says so while the database is away."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import Error as DatabaseError
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.defaults import page_not_found
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

log = logging.getLogger(__name__)
PROBLEM = "application/problem+json"
RETRY_AFTER_SECONDS = 5
_TITLES = {
    400: "The request cannot be used as it is",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "This method is not offered here",
    406: "This representation is not offered",
    409: "This conflicts with what is stored",
    413: "The request is too large",
    415: "This media type is not understood",
    429: "Too many requests",
    503: "Not available right now",
}


def problem(code: int, detail: str, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The body of an error: `errors` lists {"field": path, "detail": what to send instead}."""
    body: dict[str, Any] = {"type": "about:blank", "title": _TITLES.get(code, "Error"), "status": code}
    return body | {"detail": detail} | ({"errors": errors} if errors else {})


def problem_json(code: int, detail: str, errors: list[dict[str, Any]] | None = None) -> JsonResponse:
    """The same as a Django response, for views outside DRF."""
    response = JsonResponse(problem(code, detail, errors), status=code, content_type=PROBLEM)
    if code in (429, 503):
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if code == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def flatten(detail: Any, path: str = "") -> list[dict[str, Any]]:
    """DRF's nested error detail as a list of {"field", "detail"}."""
    if isinstance(detail, dict):
        return [item for key, value in detail.items() for item in flatten(value, _join(path, str(key)))]
    if isinstance(detail, list | tuple):
        nested = any(isinstance(item, dict | list) for item in detail)
        return [
            item
            for index, value in enumerate(detail)
            for item in flatten(value, _join(path, str(index)) if nested else path)
        ]
    return [{"field": path, "detail": str(detail)}]


def _join(path: str, key: str) -> str:
    if key == "non_field_errors" or key == "__all__":
        return path
    return f"{path}{key if key.startswith('[') else '.' + key}" if path else key


def as_api_exception(error: Exception) -> Exception:
    """What models and the database refuse, as REST refuses it; other errors as they are."""
    if isinstance(error, ValidationError):
        detail = error.message_dict if hasattr(error, "error_dict") else error.messages
        return exceptions.ValidationError(detail)
    if isinstance(error, IntegrityError):
        return Conflict(_conflict_text(error))
    return error


class Conflict(exceptions.APIException):
    """Another row stands in the way."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This conflicts with what is stored."


def _conflict_text(error: IntegrityError) -> str:
    diagnostic = getattr(error.__cause__, "diag", None)
    hint = getattr(diagnostic, "message_detail", None) or getattr(diagnostic, "constraint_name", None)
    return f"This conflicts with what is stored: {hint}." if hint else Conflict.default_detail


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every error in one format, an outage of the database as 503."""
    if is_outage(error):
        body = problem(503, "The database does not answer; try again in a few seconds.")
        return Response(body, 503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}, content_type=PROBLEM)
    error = as_api_exception(error)
    response = exception_handler(error, context)
    if response is None:
        return None
    code, errors = response.status_code, None
    if isinstance(error, exceptions.ValidationError):
        errors = flatten(error.detail)
        detail = "; ".join(f"{item['field']}: {item['detail']}" if item["field"] else item["detail"] for item in errors)
    else:
        detail = str(getattr(error, "detail", error))
    if isinstance(error, Http404):
        detail = "There is no such thing here, or it is not yours to see."
    if isinstance(error, PermissionDenied):
        detail = str(error) or "Your roles do not allow this."
    headers = {key: value for key, value in response.items() if key.lower() != "content-type"}
    return Response(problem(code, detail, errors), code, headers=headers, content_type=PROBLEM)


def is_outage(error: Exception) -> bool:
    """Whether `error` means that the database is away rather than that the statement was wrong."""
    return isinstance(error, OperationalError | InterfaceError) and isinstance(error, DatabaseError)


FOR_PROGRAMS = ("/api/", "/v1/", "/ping/", "/write", "/query")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Nothing is at this path: programs are told so in the format of all errors, people by a page."""
    if request.path.startswith(FOR_PROGRAMS):
        return problem_json(404, "There is no such path here; /api/schema lists those that there are.")
    return page_not_found(request, exception)


def no_nul_in_paths(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: a path with a NUL names nothing, for PostgreSQL stores no text with one and refuses to look it up."""

    def answer(request: HttpRequest) -> HttpResponse:
        return not_found(request, Http404()) if "\0" in request.path_info else get_response(request)

    return answer


class DatabaseOutageMiddleware:
    """Pages and endpoints outside DRF say 503 and not 500 while the database is away."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not is_outage(error):
            return None
        log.error("the database does not answer: %s", error)
        if request.path.startswith("/api/"):
            return problem_json(503, "The database does not answer; try again in a few seconds.")
        # Without the request: what the frame of a page shows is in the database too.
        page = render_to_string("503.html")
        return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
