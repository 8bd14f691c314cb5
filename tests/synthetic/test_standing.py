"""What stored results say of a check."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from synthetic import standing
from synthetic.models import SyntheticCheck, SyntheticCheckResult
from synthetic.standing import Standing

SEEN = datetime(2026, 6, 13, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "threshold", "status"),
    [(0, 1, "up"), (1, 1, "down"), (1, 3, "degraded"), (2, 3, "degraded"), (3, 3, "down"), (9, 3, "down")],
)
def test_a_check_is_down_after_as_many_failures_in_a_row_as_it_says(failures, threshold, status):
    assert Standing(total=10, last_check=SEEN, failures_in_a_row=failures).status(threshold) == status


def test_a_check_that_nobody_ran_is_unknown_and_not_down():
    assert standing.UNKNOWN.shown(1) == {
        "current_status": "unknown",
        "uptime_percentage": None,
        "avg_response_time_ms": None,
        "last_check": None,
        "failure_count_24h": 0,
    }


def test_the_target_is_an_address_or_a_host_with_its_port():
    assert standing.target_of(SyntheticCheck(target_url="https://a.example", target_host="b")) == "https://a.example"
    assert standing.target_of(SyntheticCheck(target_host="db", target_port=5432)) == "db:5432"
    assert standing.target_of(SyntheticCheck(target_host="router")) == "router"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seen", "in_a_row"),
    [
        ("", None),
        ("s", 0),
        ("f", 1),
        ("fff", 3),
        ("sff", 2),
        ("ffs", 0),
        ("fsfte", 3),
    ],
)
def test_failures_count_since_the_last_success(now, seen, in_a_row):
    words = {"s": "success", "f": "failure", "t": "timeout", "e": "error"}
    check = SyntheticCheck.objects.create(check_name="c", check_type="ping", target_host="h", failure_threshold=3)
    other = SyntheticCheck.objects.create(check_name="o", check_type="ping", target_host="h")
    for place, letter in enumerate(seen):
        moment = now - timedelta(minutes=len(seen) - place)
        SyntheticCheckResult.objects.create(synthetic_check=check, status=words[letter], check_timestamp=moment)
    SyntheticCheckResult.objects.create(synthetic_check=other, status="success", check_timestamp=now)
    found = standing.of_checks([check.pk], now)
    assert (found[check.pk].failures_in_a_row if found else None) == in_a_row
    current = standing.current_of(check, now)
    assert current["consecutive_failures"] == (in_a_row or 0)
    assert current["status"] == (found[check.pk].status(3) if found else "unknown")


@pytest.mark.django_db
def test_results_from_the_future_do_not_count(now):
    check = SyntheticCheck.objects.create(check_name="c", check_type="ping", target_host="h")
    SyntheticCheckResult.objects.create(
        synthetic_check=check, status="failure", check_timestamp=now + timedelta(minutes=5)
    )
    assert standing.of_checks([check.pk], now) == {}
    assert standing.current_of(check, now)["status"] == "unknown"
