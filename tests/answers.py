"""What tests ask of REST answers: which fields were refused, and how many queries an answer took."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

PROBLEM = "application/problem+json"


def fields_of(answer: Any) -> set[str]:
    """The fields that a 400 names; it must be problem+json."""
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM), answer.content
    return {error["field"] for error in answer.json().get("errors", [])}


def is_problem(answer: Any, code: int) -> bool:
    """Whether the answer is this error, told as problem+json."""
    return (answer.status_code, answer["Content-Type"], answer.json()["status"]) == (code, PROBLEM, code)


def queries_of(client: Any, url: str) -> int:
    """How many queries a successful GET takes."""
    with CaptureQueriesContext(connection) as caught:
        answer = client.get(url)
    assert answer.status_code == 200, answer.content
    return len(caught)
