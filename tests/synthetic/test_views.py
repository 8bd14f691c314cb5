"""The console's tab Synthetic Checks: list, one check, its form and the certificates, for each role."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from synthetic.models import SyntheticCheck, SyntheticCheckResult
from tests.pages import HTMX, Page, opened, queries_of
from wedsync_monitor.policy import OPERATIONS, Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/admin/monitoring/synthetic"
TIMING = {
    "dns_lookup_ms": 2.0,
    "connection_ms": 3.0,
    "tls_handshake_ms": 5.0,
    "first_byte_ms": 25.0,
    "download_ms": 5.0,
}


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


@pytest.fixture
def seen(now):
    """Make a check with a result a minute, the newest last: `seen("booking", "success", "failure", **columns)`."""

    def make(name, *statuses, result=None, **columns):
        defaults = {"check_type": "http", "target_url": f"https://{name}.example/"}
        check = SyntheticCheck.objects.create(check_name=name, **(defaults | columns))
        made = [
            SyntheticCheckResult(
                synthetic_check=check, location="local", status=status, response_time_ms=40, network_info=TIMING,
                check_timestamp=now - timedelta(seconds=60 * age + 1),
                error_message=None if status == "success" else "the answer was 503", **(result or {}),
            )
            for age, status in enumerate(reversed(statuses))
        ]  # fmt: skip
        SyntheticCheckResult.objects.bulk_create(made)
        if made:
            is_up = made[0].status == "success"
            check.places.update(
                state="up" if is_up else "down", last_result_at=made[0].check_timestamp, last_status=made[0].status,
                failures_in_a_row=0 if is_up else 1, successes_in_a_row=1 if is_up else 0,
            )  # fmt: skip
        return check

    return make


def at(name, check):
    return reverse(f"console:{name}", args=[check.pk])


def test_the_list_says_how_each_check_stands_and_draws_its_last_periods(sre, seen):
    good = seen("booking", "success", "failure", "success")
    seen("payment", "success", "failure")
    seen("search", is_enabled=False)
    page = opened(sre, URL)
    assert "1 down • 0 degraded • 1 up • 0 unknown • 1 disabled" in page.text
    assert "The last 90 periods: 2 good, 1 failed, 87 without a result" in page.html
    assert "66.67 %" in page.text
    assert "40 ms" in page.text
    assert at("check", good) in page.links


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"status": "down"}, {"payment"}),
        ({"status": "disabled"}, {"search"}),
        ({"type": "dns"}, {"search"}),
        ({"q": "PAY"}, {"payment"}),
        ({"q": "booking.example"}, {"booking"}),
        ({"status": "nonsense", "type": "nonsense"}, {"booking", "payment", "search"}),
    ],
)
def test_the_list_is_filtered_by_its_address(sre, seen, query, names):
    seen("booking", "success")
    seen("payment", "failure")
    seen("search", check_type="dns", target_url=None, target_host="search.test", is_enabled=False)
    page = opened(sre, URL, query, htmx=True)
    assert {name for name in ("booking", "payment", "search") if f">{name}</a>" in page.html} == names
    assert not page.is_whole


def test_the_list_takes_the_same_queries_for_many_checks(sre, seen):
    seen("booking", "success")
    few = queries_of(sre, URL)
    for number in range(8):
        seen(f"check {number}", "success", "failure")
    assert queries_of(sre, URL) == few <= 13


def test_a_check_tells_its_verdict_reason_phases_and_chain(sre, seen, now):
    names = {"subject": "CN=booking.example", "issuer": "CN=Test CA", "not_before": now.isoformat()}
    chain = [names | {"not_after": (now + timedelta(days=12, hours=1)).isoformat()}]
    check = seen(
        "booking", "success", "failure", result={"certificate_info": {"earliest_days_left": 12.0, "chain": chain}}
    )
    page = opened(sre, at("check", check))
    for text in ("1 failure in a row: the answer was 503", "TLS handshake", "25.0 ms", "CN=Test CA", "50.0 %"):
        assert text in page.text
    assert {"waterfall", "certificate-chain", "run-now-btn"} <= set(page.testids)
    assert {at("asset-metrics", check.asset), f"{reverse('console:alerts')}?asset={check.asset_id}"} <= set(page.links)
    assert queries_of(sre, at("check", check)) <= 22


def test_a_result_is_picked_by_the_address(sre, seen):
    check = seen("booking", "failure", "success")
    older = check.results.order_by("check_timestamp").first()
    timing = opened(sre, at("check", check), {"result": str(older.pk)}).text.split("Timing")[1].split("Phase")[0]
    assert "the answer was 503" in timing
    assert opened(sre, at("check", check), {"result": "nonsense", "range": "nonsense"}).status == 200


def test_a_check_that_never_ran_says_so(sre, seen):
    page = opened(sre, at("check", seen("booking")))
    assert "it has not run here yet" in page.text
    assert "Nothing was timed." in page.text


def test_run_now_shows_timing_and_keeps_nothing(sre, target, check):
    one = check()
    page = Page(sre.post(at("check-run", one), headers=HTMX))
    assert "HTTP 200" in page.text
    assert "waterfall" in page.testids
    assert not one.results.exists()
    target.status = 503
    assert "503" in Page(sre.post(at("check-run", one), headers=HTMX)).text


@pytest.mark.parametrize("role", Role)
def test_only_operations_run_and_change_checks(signed_in, seen, role):
    client, check = signed_in(role), seen("booking", "success")
    page = opened(client, at("check", check))
    offered = {"run-now-btn", "edit-check-btn"} & set(page.testids)
    assert offered == ({"run-now-btn", "edit-check-btn"} if role in OPERATIONS else set())


def test_certificates_are_listed_by_their_earliest_expiry(sre, seen, now):
    url = reverse("console:certificates")

    def certified(name, days, **columns):
        ends = {"not_before": now.isoformat(), "not_after": (now + timedelta(days=days, hours=1)).isoformat()}
        chain = [{"subject": f"CN={name}", "issuer": "CN=Test CA", **ends}]
        told = {"earliest_days_left": days, "earliest_served_expiry": ends["not_after"], "chain": chain}
        return seen(name, "success", result={"certificate_info": told}, **columns)

    certified("booking", 40)
    seen("plain", "success", target_url="http://plain.example/")
    few = queries_of(sre, url)
    certified("payment", 3, check_type="ssl", target_url=None, target_host="payment.example")
    certified("search", 20)
    page = opened(sre, url)
    found = [page.text.index(f"CN={name}") for name in ("payment", "search", "booking")]
    assert found == sorted(found)
    assert "plain" not in page.text
    assert queries_of(sre, url) == few <= 7
