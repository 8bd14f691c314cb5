"""Scrape jobs and targets over REST and in the console."""

from __future__ import annotations

import pytest

from assets.scraping.models import ScrapeJob, ScrapeTarget
from tests.answers import fields_of
from tests.answers import queries_of as api_queries_of
from tests.pages import opened, queries_of
from tests.wedsync_monitor import stored
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
JOBS, TARGETS, PAGE = (
    "/api/monitoring/scrape-jobs",
    "/api/monitoring/scrape-targets",
    "/admin/monitoring/assets/scraping",
)
JOB = {
    "job_name": "node",
    "static_targets": [{"targets": ["web-01:9100"], "labels": {"team": "web"}}],
    "request": {"bearer_token": "sesame"},
}


@pytest.fixture
def sre(api):
    return api(Role.SRE)


def made(client, **fields):
    return client.post(JOBS, JOB | fields, format="json")


def in_all_states(now):
    """One target in each state."""
    columns = {
        "up": {"is_up": True}, "down": {"is_up": False, "last_error": "HTTP 503"}, "unknown": {},
        "without asset": {"asset": None, "asset_problem": "no asset"}, "vanished": {"is_up": True, "vanished_at": now},
    }  # fmt: skip
    for number, (state, changes) in enumerate(columns.items(), 1):
        row = stored.scrape_target(number)
        ScrapeTarget.objects.filter(pk=row.pk).update(address=f"{state.replace(' ', '-')}:1", **changes)
    return list(columns)


def test_a_job_is_made_changed_and_removed_and_its_secrets_are_never_shown(sre):
    row = made(sre).json()
    assert row["request"] == {"bearer_token": "********"}
    assert "sesame" not in str(ScrapeJob.objects.values())
    changed = sre.patch(f"{JOBS}/{row['id']}", {"scrape_interval": 30, "request": row["request"]}, format="json")
    assert changed.json()["scrape_interval"] == 30
    assert "sesame" not in str(list(AuditEntry.objects.values()))
    assert sre.delete(f"{JOBS}/{row['id']}").status_code == 204


def test_a_timeout_that_is_not_sent_fits_the_interval(sre):
    assert made(sre, scrape_interval=5).json()["scrape_timeout"] == 5
    assert "scrape_timeout" in str(fields_of(made(sre, job_name="other", scrape_interval=5, scrape_timeout=6)))


def test_secrets_do_not_follow_a_job_to_other_targets(sre):
    row = made(sre).json()
    elsewhere = {"static_targets": [{"targets": ["evil.example.com:80"]}]}
    assert sre.patch(f"{JOBS}/{row['id']}", elsewhere, format="json").status_code == 400
    again = sre.patch(f"{JOBS}/{row['id']}", elsewhere | {"request": {"bearer_token": "new"}}, format="json")
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"static_targets": []}, "static_targets"),
        ({"static_targets": [{"targets": ["http://a/"]}]}, "static_targets"),
        ({"static_targets": [{"targets": "a"}]}, "static_targets"),
        ({"source": "http_sd"}, "sd_url"),
        ({"source": "http_sd", "sd_url": "http://169.254.169.254/"}, "sd_url"),
        ({"source": "file_sd", "sd_file": "../secrets.json"}, "sd_file"),
        ({"source": "file_sd", "sd_file": "/etc/passwd"}, "sd_file"),
        ({"metrics_path": "metrics"}, "static_targets"),
        ({"scrape_timeout": 31}, "scrape_timeout"),
        ({"scrape_interval": 5, "scrape_timeout": 6}, "scrape_timeout"),
        ({"labels": {"instance": "x"}}, "labels"),
        ({"labels": {"a b": "x"}}, "labels"),
        ({"request": {"headers": {"X-A": "a\r\nX-B: b"}}}, "request"),
        ({"request": {"bearer_token": "sesame "}}, "request"),
        ({"request": {"bearer_token": "sesame\n"}}, "request"),
        ({"request": {"cookie": "a"}}, "request"),
        ({"ca_certificate": "none"}, "ca_certificate"),
        ({"environment": "moon"}, "environment"),
        ({"sample_limit": 0}, "sample_limit"),
    ],
)
def test_what_cannot_be_a_job_is_refused_by_field(sre, fields, refused):
    answer = made(sre, **fields)
    assert {field.partition(".")[0].partition("[")[0] for field in fields_of(answer)} == {refused}


def test_targets_filter_by_the_state_that_they_show(sre, now):
    states = in_all_states(now)
    shown = sre.get(TARGETS).json()["scrape_targets"]
    assert {row["address"].removesuffix(":1").replace("-", " "): row["state"] for row in shown} == {
        state: state for state in states
    }
    for state in states:
        (found,) = sre.get(TARGETS, {"state": state}).json()["scrape_targets"]
        assert found["state"] == state
    (down,) = sre.get(TARGETS, {"state": "down"}).json()["scrape_targets"]
    assert down["problem"] == "HTTP 503"


def test_lists_have_budgets(sre, signed_in, now):
    in_all_states(now)
    browser = signed_in(Role.SRE)
    few = [api_queries_of(sre, JOBS), api_queries_of(sre, TARGETS), queries_of(browser, PAGE)]
    for number in range(20, 50):
        stored.scrape_target(number)
    assert [api_queries_of(sre, JOBS), api_queries_of(sre, TARGETS), queries_of(browser, PAGE)] == few
    assert max(few[:2]) <= 6
    assert few[2] <= 9


def test_the_page_shows_jobs_targets_and_their_trouble(signed_in, now):
    in_all_states(now)
    page = opened(signed_in(Role.VIEWER), PAGE)
    for text in ("node-1", "up:1", "down:1", "HTTP 503", "no asset", "vanished"):
        assert text in page.text
    assert "up:1" not in opened(signed_in(Role.SRE), f"{PAGE}?state=down").text
    one = ScrapeJob.objects.get(job_name="node-2")
    assert "up:1" not in opened(signed_in(Role.SRE), f"{PAGE}?job={one.pk}").text
    assert "up:1" in opened(signed_in(Role.SRE), f"{PAGE}?job=nonsense").text
