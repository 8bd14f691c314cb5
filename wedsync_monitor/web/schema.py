"""How the OpenAPI schema is made: envelopes of lists, error responses, the ways to sign in, and plain views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema_serializer, inline_serializer
from rest_framework import serializers

from wedsync_monitor.web.errors import PROBLEM

_PART_TYPES: dict[type, type[serializers.Field[Any, Any, Any, Any]]] = {
    dict: serializers.DictField,
    list: serializers.ListField,
}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {
                    "field": {"type": "string", "description": "The path of what is wrong."},
                    "detail": {"type": "string", "description": "What to send instead."},
                },
            },
        },
    },
}
_EVERYWHERE = {
    "400": "The request cannot be used as it is.",
    "401": "Not signed in, or the token or key is not valid.",
    "403": "The caller's roles do not allow this.",
    "503": "The database does not answer; try again.",
}
_MISSING = {"404": "There is no such thing, or it is not the caller's to see."}
_WRITING = {
    "409": "What is stored does not allow this.",
    "413": "The body is too large.",
    "415": "The body is of a media type that is not understood.",
}


def errors_of(method: str, path: str, is_list: bool = False) -> dict[str, Any]:
    """The error responses that an operation may have."""
    said = dict(_EVERYWHERE)
    if "{" in path or is_list:
        said |= _MISSING
    if method.upper() != "GET":
        said |= _WRITING
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": text, "content": content} for code, text in sorted(said.items())}


class MonitoringSchema(AutoSchema):
    """Tags operations by the first part of their path after /api/monitoring/."""

    def get_tags(self) -> list[str]:
        parts = self.path.removeprefix("/api/monitoring/").split("/")
        return [parts[0]] if parts[0] else ["monitoring"]

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)  # type: ignore[no-untyped-call]
        if operation is not None:
            found = operation["responses"]
            operation["responses"] = found | errors_of(self.method, self.path, hasattr(self.view, "listed_as")) | found
        return operation

    def get_response_serializers(self) -> Any:
        """A list is answered in its view's envelope."""
        view: Any = self.view
        named = getattr(view, "listed_as", "")
        if not named or self.method != "GET":
            return super().get_response_serializers()  # type: ignore[no-untyped-call]
        rows = view.get_serializer_class()(many=True)
        beside = {name: _PART_TYPES[kind]() for name, kind in view.envelope.items()}
        shown = inline_serializer(f"{type(view).__name__}List", {named: rows} | beside)
        return extend_schema_serializer(many=False)(type(shown))


class BearerToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """People's tokens."""

    target_class = "wedsync_monitor.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A person's token (manage.py api_token)."}


class AgentKey(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Agents' keys."""

    target_class = "assets.authentication.AgentKeyAuthentication"
    name = "agentKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An agent's key (manage.py enroll_agent)."}


def add_plain_views(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe the views outside DRF: each has its operations by method in an attribute `openapi`."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    for path, view in _plain_views(get_resolver().url_patterns, "/"):
        operations = {
            method: operation | {"responses": operation["responses"] | errors_of(method, path)}
            for method, operation in view.openapi.items()
        }
        result["paths"][path] = operations
    return result


def _plain_views(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _plain_views(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "openapi"):
            yield path, pattern.callback
