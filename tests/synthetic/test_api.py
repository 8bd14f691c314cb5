"""Synthetic checks over REST: shapes, writing, what results say, roles and budgets."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from synthetic.models import SyntheticCheck, SyntheticCheckResult
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor import secrets
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/api/monitoring/synthetic/checks"
BOOKING = {
    "check_name": "booking page",
    "check_type": "http",
    "target_url": "https://wedsync.example/book",
    "check_config": {
        "method": "POST",
        "headers": {"Authorization": "Bearer t0ken"},
        "body": "{}",
        "follow_redirects": False,
        "expected_status_codes": [200, 204],
        "expected_content": "Book",
        "expected_response_time_ms": 800,
        "certificate_days_warning": 14,
    },
    "check_frequency": 30,
    "timeout_seconds": 5,
    "retry_attempts": 1,
    "locations": ["eu-west", "us-east"],
    "alert_on_failure": True,
    "failure_threshold": 3,
    "success_threshold": 2,
    "business_impact_score": 9,
}
LISTED = {
    "id", "check_name", "check_type", "target_url", "target_host", "check_frequency", "is_enabled", "current_status",
    "uptime_percentage", "avg_response_time_ms", "last_check", "failure_count_24h", "business_impact_score",
}  # fmt: skip


@pytest.fixture
def operator(api):
    return api(Role.OPS_ENGINEER)


@pytest.fixture
def check(database):
    def make(name: str = "booking page", **columns) -> SyntheticCheck:
        defaults = {"check_type": "http", "target_url": "https://wedsync.example/book"}
        return SyntheticCheck.objects.create(check_name=name, **(defaults | columns))

    return make


@pytest.fixture
def result(now):
    def make(of: SyntheticCheck, status: str = "success", minutes_ago: float = 1, **columns) -> SyntheticCheckResult:
        moment = now - timedelta(minutes=minutes_ago)
        return SyntheticCheckResult.objects.create(
            synthetic_check=of, status=status, check_timestamp=moment, **({"response_time_ms": 100} | columns)
        )

    return make


def test_the_specifications_check_is_created(api, person):
    engineer = person(Role.OPS_ENGINEER)
    answer = api(user=engineer).post(URL, BOOKING, format="json")
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    assert set(shown) >= LISTED
    masked = BOOKING["check_config"] | {"headers": {"Authorization": "********"}}
    assert {name: shown[name] for name in BOOKING} == BOOKING | {"check_config": masked}
    assert (shown["current_status"], shown["uptime_percentage"], shown["last_check"]) == ("unknown", None, None)
    stored = SyntheticCheck.objects.get()
    assert secrets.reveal(stored.check_config) == BOOKING["check_config"]
    assert stored.created_by == engineer


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"check_name": ""}, "check_name"),
        ({"check_name": 7}, "check_name"),
        ({"check_type": "telepathy"}, "check_type"),
        ({"target_url": None}, "target_url"),
        ({"check_type": "dns"}, "target_host"),
        ({"check_type": "tcp", "target_host": "db"}, "target_port"),
        ({"target_port": 65536}, "target_port"),
        ({"target_port": 2**50}, "target_port"),
        ({"target_port": "80"}, "target_port"),
        ({"check_config": []}, "check_config"),
        ({"check_config": {"method": "BREW"}}, "check_config.method"),
        ({"check_config": {"expected_status_codes": [99]}}, "check_config.expected_status_codes[0]"),
        ({"check_config": {"headers": {"A": 1}}}, "check_config.headers[...]"),
        ({"check_config": {"colour": "red"}}, "check_config"),
        ({"check_frequency": 0}, "check_frequency"),
        ({"timeout_seconds": 301}, "timeout_seconds"),
        ({"retry_attempts": -1}, "retry_attempts"),
        ({"locations": "eu-west"}, "locations"),
        ({"locations": [""]}, "locations[0]"),
        ({"failure_threshold": 0}, "failure_threshold"),
        ({"business_impact_score": 11}, "business_impact_score"),
        ({"alert_on_failure": "no"}, "alert_on_failure"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_field_that_does_not_fit_is_refused_by_its_path(operator, change, field):
    assert fields_of(operator.post(URL, BOOKING | change, format="json")) == {field}
    assert not SyntheticCheck.objects.exists()


@pytest.mark.parametrize("raw", [b"{", b"[]", b"7", b'{"check_name": "a\\u0000b"}', b'{"target_port": 1e999}', b"\xff"])
def test_a_body_that_cannot_be_stored_is_a_400(operator, raw):
    assert is_problem(operator.generic("POST", URL, raw, content_type="application/json"), 400)


@pytest.mark.parametrize("method", ["put", "patch"])
def test_put_and_patch_change_only_what_is_sent(operator, check, method):
    booking = check(business_impact_score=9)
    answer = getattr(operator, method)(f"{URL}/{booking.pk}", {"is_enabled": False}, format="json")
    assert answer.status_code == 200, answer.content
    booking.refresh_from_db()
    assert (booking.is_enabled, booking.business_impact_score) == (False, 9)


@pytest.mark.parametrize("more", [{}, {"check_config": {"headers": {"Authorization": "********"}}}])
def test_secrets_do_not_follow_to_another_target(operator, check, more):
    row = check(check_type="http", target_url="https://example.com", check_config={"headers": {"Authorization": "t"}})
    moved = {"target_url": "https://elsewhere.example"}
    assert fields_of(operator.patch(f"{URL}/{row.pk}", moved | more, format="json")) == {"check_config"}
    row.refresh_from_db()
    assert row.target_url == "https://example.com"
    entered = moved | {"check_config": {"headers": {"Authorization": "new"}}}
    assert operator.patch(f"{URL}/{row.pk}", entered, format="json").status_code == 200
    row.refresh_from_db()
    assert secrets.reveal(row.check_config) == entered["check_config"]
    assert operator.patch(f"{URL}/{row.pk}", {"check_frequency": 90}, format="json").status_code == 200


def test_a_check_is_removed_with_its_results(operator, check, result):
    booking = check()
    result(booking)
    assert operator.delete(f"{URL}/{booking.pk}").status_code == 204
    assert is_problem(operator.get(f"{URL}/{booking.pk}"), 404)
    assert not SyntheticCheckResult.objects.exists()


def test_the_list_says_what_the_last_day_of_results_say(operator, check, result, now):
    booking = check("booking", failure_threshold=2)
    result(booking, "success", 60, response_time_ms=200)
    result(booking, "failure", 5, response_time_ms=None)
    result(booking, "timeout", 1, response_time_ms=400)
    result(check("healthy"), "success", 1)
    check("never run")
    result(check("silent"), "success", 60 * 25)
    body = operator.get(URL).json()
    assert set(body["checks"][0]) >= LISTED
    shown = {one["check_name"]: one for one in body["checks"]}
    down = shown["booking"]
    assert (down["current_status"], down["uptime_percentage"], down["avg_response_time_ms"]) == ("down", 33.333, 300.0)
    assert down["failure_count_24h"] == 2
    assert down["last_check"] == (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert (shown["healthy"]["current_status"], shown["healthy"]["uptime_percentage"]) == ("up", 100.0)
    for name in ("never run", "silent"):
        assert (shown[name]["current_status"], shown[name]["uptime_percentage"]) == ("unknown", None)
    assert body["check_summary"] == {
        "total_checks": 4,
        "healthy_checks": 1,
        "failing_checks": 1,
        "overall_uptime": 66.667,
        "avg_response_time": 200.0,
    }


def test_without_checks_the_summary_makes_nothing_up(operator):
    assert operator.get(URL).json() == {
        "checks": [],
        "check_summary": {
            "total_checks": 0,
            "healthy_checks": 0,
            "failing_checks": 0,
            "overall_uptime": None,
            "avg_response_time": None,
        },
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"check_type": "ping"}, ["router"]),
        ({"is_enabled": "false"}, ["router"]),
        ({"q": "BOOK"}, ["booking"]),
        ({"ordering": "-check_name"}, ["router", "booking"]),
        ({"ordering": "-business_impact_score"}, ["router", "booking"]),
        ({"page_size": 1}, ["booking"]),
    ],
)
def test_checks_are_filtered_and_ordered(operator, check, query, names):
    check("booking")
    check("router", check_type="ping", target_host="10.0.0.1", is_enabled=False, business_impact_score=10)
    assert [one["check_name"] for one in operator.get(URL, query).json()["checks"]] == names


@pytest.mark.parametrize(
    "query", [{"colour": "red"}, {"check_type": "telepathy"}, {"is_enabled": "2"}, {"q": "\0"}, {"ordering": "id"}]
)
def test_a_query_parameter_that_is_not_understood_is_refused(operator, query):
    assert fields_of(operator.get(URL, query)) == set(query)


def test_results_have_the_specifications_envelope(operator, check, result, now):
    booking = check(failure_threshold=2)
    result(booking, "success", 30, response_time_ms=100, status_code=200, location="eu")
    result(booking, "failure", 20, response_time_ms=300, status_code=500, location="us", error_message="500")
    result(booking, "timeout", 10, response_time_ms=None, location="us")
    result(booking, "success", 60 * 30)
    body = operator.get(f"{URL}/{booking.pk}/results").json()
    stamp = {minutes: f"{now - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}" for minutes in (30, 20, 10)}
    assert body["check_info"] == {
        "id": str(booking.pk), "check_name": "booking page", "check_type": "http",
        "target": "https://wedsync.example/book",
    }  # fmt: skip
    assert body["current_status"] == {
        "status": "down", "response_time_ms": None, "status_code": None, "last_success": stamp[30],
        "last_failure": stamp[10], "consecutive_failures": 2,
    }  # fmt: skip
    assert body["performance_metrics"] == {
        "uptime_percentage": 33.333, "avg_response_time_ms": 200.0, "p95_response_time_ms": 290.0, "total_checks": 3,
        "failed_checks": 2, "timeout_rate": 33.333,
    }  # fmt: skip
    assert [one["timestamp"] for one in body["result_history"]] == [stamp[30], stamp[20], stamp[10]]
    assert body["result_history"][1] == {
        "timestamp": stamp[20], "status": "failure", "response_time_ms": 300, "status_code": 500, "location": "us",
        "error_message": "500",
    }  # fmt: skip
    assert body["availability_by_location"] == [
        {"location": "eu", "uptime_percentage": 100.0, "avg_response_time_ms": 100.0},
        {"location": "us", "uptime_percentage": 0.0, "avg_response_time_ms": 300.0},
    ]


def test_the_results_of_a_span_are_shown(operator, check, result, now):
    booking = check()
    result(booking, "success", 10)
    result(booking, "failure", 120)
    url = f"{URL}/{booking.pk}/results"
    assert operator.get(url, {"range": "1h"}).json()["performance_metrics"]["total_checks"] == 1
    span = {"from": (now - timedelta(hours=3)).isoformat(), "to": (now - timedelta(hours=1)).isoformat()}
    assert operator.get(url, span).json()["performance_metrics"]["uptime_percentage"] == 0.0


def test_a_check_without_results_is_unknown(operator, check):
    body = operator.get(f"{URL}/{check().pk}/results").json()
    assert body["current_status"]["status"] == "unknown"
    assert set(body["performance_metrics"].values()) == {None, 0}
    assert (body["result_history"], body["availability_by_location"]) == ([], [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"range": "1y"}, "range"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-01-01T00:00:00"}, "to"),
        ({"from": "9999-12-31T23:59:59Z"}, "from"),
        ({"from": "2020-01-01T00:00:00Z"}, "from"),
        ({"points": "5"}, "points"),
    ],
)
def test_a_span_that_is_none_is_refused(operator, check, query, field):
    assert fields_of(operator.get(f"{URL}/{check().pk}/results", query)) == {field}


def test_results_of_no_check_are_a_404_and_nobody_writes_them(operator, check):
    assert is_problem(operator.get(f"{URL}/{uuid4()}/results"), 404)
    assert is_problem(operator.post(f"{URL}/{check().pk}/results", {}, format="json"), 405)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
def test_readers_read_and_do_not_write(api, check, role):
    one, reader = f"{URL}/{check().pk}", api(role)
    assert [reader.get(url).status_code for url in (URL, one, f"{one}/results")] == [200] * 3
    assert is_problem(reader.post(URL, BOOKING, format="json"), 403)
    for method in ("put", "patch", "delete"):
        assert is_problem(getattr(reader, method)(one, {}, format="json"), 403)


def test_nobody_without_a_role_or_a_sign_in_gets_in(api, client, check):
    one, without_role = f"{URL}/{check().pk}", api()
    for url in (URL, one, f"{one}/results"):
        assert is_problem(without_role.get(url), 403)
        assert is_problem(client.get(url), 401)


def test_the_number_of_queries_does_not_grow_with_the_rows(operator, check, result):
    busy = check("busy")

    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            result(check(f"check {number}"), "failure")
            result(busy, "success", number, location=f"place {number}")

    urls = [URL, f"{URL}/{busy.pk}/results"]
    grow(0, 2)
    few = [queries_of(operator, url) for url in urls]
    grow(2, 20)
    assert [queries_of(operator, url) for url in urls] == few
    assert max(few) <= 12
