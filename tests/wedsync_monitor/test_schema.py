"""The OpenAPI schema: generated without a warning, valid, complete, and with every error told."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.answers import PROBLEM


@pytest.fixture(scope="module")
def generated() -> tuple[dict[str, Any], list[str]]:
    """The schema, and what was said while it was made."""
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator().get_schema(request=None, public=True)
    said = [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]
    GENERATOR_STATS.reset()
    return schema, said


@pytest.fixture(scope="module")
def schema(generated) -> dict[str, Any]:
    return generated[0]


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def rest_paths(patterns: list[Any], prefix: str = "/") -> set[str]:
    """Every path under /api/monitoring/ with its converters as the schema writes them."""
    found = set()
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found |= rest_paths(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and path.startswith("/api/monitoring/"):
            converted = path.replace("<uuid:pk>", "{id}").replace("<uuid:key_id>", "{key_id}")
            found.add(converted.replace("<path:name>", "{name}").replace("<int:version>", "{version}"))
    return found


def test_it_is_made_without_an_error_or_a_warning(generated):
    assert generated[1] == []


def test_it_is_valid_openapi(schema):
    validate_schema(schema)


def test_every_rest_path_is_in_it(schema):
    # Where Prometheus looks for an Alertmanager.
    assert rest_paths(get_resolver().url_patterns) | {"/api/v2/alerts"} == set(schema["paths"])


def test_every_operation_tells_its_errors_as_problem_json(schema):
    for method, path, operation in operations(schema):
        wanted = {"400", "401", "403", "503"}
        wanted |= {"404"} if "{" in path else set()
        wanted |= {"409"} if method != "get" else set()
        responses = operation["responses"]
        assert wanted <= set(responses), f"{method} {path}"
        assert any(code.startswith("2") for code in responses), f"{method} {path}"
        for code, response in responses.items():
            if code.startswith(("4", "5")):
                assert set(response["content"]) == {PROBLEM}, f"{method} {path} {code}"


def test_every_list_has_its_envelope_and_is_paged(schema):
    answer = schema["paths"]["/api/monitoring/alerts/rules"]["get"]
    name = answer["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    envelope = schema["components"]["schemas"][name]
    assert set(envelope["properties"]) == {"rules", "rule_summary"}
    assert envelope["properties"]["rules"]["items"]["$ref"].endswith("/Rule")
    parameters = {one["name"] for one in answer["parameters"]}
    assert {"page", "page_size", "severity", "is_enabled", "q", "ordering"} <= parameters


def test_declared_structures_are_shown_and_secrets_are_write_only(schema):
    parts = schema["components"]["schemas"]
    assert parts["MetricCondition"]["required"] == ["metric_name", "operator", "threshold"]
    assert set(parts["OperatorEnum"]["enum"]) == {"eq", "gt", "gte", "lt", "lte", "ne"}
    assert parts["WebhookConfig"]["properties"]["secret"]["writeOnly"] is True


def test_an_operation_says_who_may_call_it(schema):
    security = {(method, path): operation.get("security") for method, path, operation in operations(schema)}
    assert {"token": []} in security["post", "/api/monitoring/alerts/rules"]
    assert security["post", "/api/monitoring/agents/heartbeat"] == [{"agentKey": []}]
    # A machine that is not known yet has nothing but its enrolment token.
    assert [operation for operation, ways in security.items() if not ways] == [("post", "/api/monitoring/agents/enrol")]
    assert set(schema["components"]["securitySchemes"]) >= {"token", "agentKey"}


@pytest.mark.django_db
def test_the_schema_and_its_page_are_open_to_everybody(client):
    answer = client.get("/api/schema?format=json")
    assert answer.status_code == 200
    assert "/api/monitoring/alerts/rules" in answer.json()["paths"]
    assert client.get("/api/docs").status_code == 200
