"""Rounds against real exporters, down to stored samples."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from assets.metrics import ingestion, query
from assets.metrics.committing import Unavailable
from assets.metrics.query import SeriesSelector
from assets.scraping import rounds, targets
from assets.scraping.models import ScrapeJob, ScrapeTarget
from tests import exporters
from tests.exporters import PAGE, Exporter, Handler, says

pytestmark = pytest.mark.usefixtures("committed")
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.fixture(autouse=True)
def loopback_is_allowed(settings):
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def exporter():
    server = Exporter()
    yield server
    server.end()


DAY = timedelta(days=1)


@pytest.fixture
def job(asset, exporter):
    """Once a day: what falls due by itself while a test runs would count too."""
    return ScrapeJob.objects.create(
        job_name="node",
        asset=asset(),
        scrape_interval=86400,
        static_targets=[{"targets": [exporter.address]}],
    )


def listed(job: ScrapeJob, **columns) -> ScrapeTarget:
    """The job's only target, due now."""
    for name, value in columns.items():
        setattr(job, name, value)
    job.save()
    targets.refresh_due(datetime.now(UTC))
    make_due()
    return ScrapeTarget.objects.get(job=job)


def make_due() -> None:
    ScrapeTarget.objects.update(next_scrape_at=datetime.now(UTC))


def stored(job: ScrapeJob, metric: str) -> list[float]:
    now = datetime.now(UTC)
    selector = SeriesSelector((metric,), (job.asset_id,))
    samples = query.read(selector, now - timedelta(hours=1), now + timedelta(minutes=1))
    return [value for place in range(len(samples.series)) for value in samples.of(place)[1].tolist()]


def labels(job: ScrapeJob, metric: str) -> dict[str, str]:
    (series,) = query.find_series(SeriesSelector((metric,), (job.asset_id,)))
    return dict(series.labels)


def test_a_page_becomes_series_of_its_asset(job, exporter):
    target = listed(job, labels={"team": "web"}, request={"bearer_token": "sesame"})
    report = rounds.scrape_due()
    assert (report.readings, report.samples) == (1, 5)
    assert (stored(job, "jobs_total"), stored(job, "depth")) == ([7.0], [3.0])
    assert (stored(job, "up"), stored(job, "scrape_samples_scraped")) == ([1.0], [2.0])
    assert 0 < stored(job, "scrape_duration_seconds")[0] < 5
    common = {"job": "node", "instance": exporter.address, "team": "web", "queue": "mail"}
    assert labels(job, "depth") == common | {"exported_instance": "inner"}
    ((path, headers),) = exporter.got
    assert (path, headers["authorization"]) == ("/metrics", "Bearer sesame")
    target.refresh_from_db()
    assert (target.state, target.last_samples, target.last_error) == ("up", 2, "")
    assert target.busy_until is None
    assert target.next_scrape_at > datetime.now(UTC)


def test_openmetrics_and_gzip_are_understood(job, exporter):
    import gzip

    page = f'# TYPE a counter\na_total 5 {time.time() - 60:.3f} # {{id="x"}} 1\n# EOF\n'.encode()
    exporter.behave = says(gzip.compress(page), OPENMETRICS, Content_Encoding="gzip")
    listed(job)
    rounds.scrape_due()
    assert stored(job, "a_total") == [5.0]


BAD = {
    "hangs": (exporters.hangs, "no whole answer"),
    "drips": (exporters.drips, "no whole answer"),
    "floods": (exporters.floods, "more than"),
    "a bomb": (exporters.bomb(), "more than"),
    "breaks off": (exporters.breaks_off, "RemoteProtocolError"),
    "no HTTP": (exporters.babbles, "RemoteProtocolError"),
    "an error": (says(b"", code=503), "HTTP 503"),
    "leads elsewhere": (says(b"", code=307, Location="http://169.254.169.254/"), "HTTP 307 leads to"),
    "a page for people": (says(b"<html>", "text/html"), "no page of metrics"),
    "no lines": (says(b"{}\n<>\n"), "none of its 2 lines"),
    "half of OpenMetrics": (says(b"a 1\n", OPENMETRICS), "# EOF"),
    "bad gzip": (says(b"a 1\n", Content_Encoding="gzip"), ""),
    "too many samples": (says(b"a 1\nb 1\nc 1\nd 1\n"), "more than the 3 samples"),
}


@pytest.mark.parametrize(("behave", "told"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_down_and_says_why(job, exporter, behave, told):
    exporter.behave = behave
    target = listed(job, sample_limit=3, scrape_timeout=1 if told == "no whole answer" else 10)
    rounds.scrape_due()
    target.refresh_from_db()
    assert target.state == "down"
    assert target.last_error
    assert told in target.last_error
    assert (stored(job, "up"), stored(job, "scrape_samples_scraped")) == ([0.0], [0.0])
    assert stored(job, "a") == []


def test_a_target_at_a_forbidden_address_is_down(job, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    target = listed(job)
    rounds.scrape_due()
    target.refresh_from_db()
    assert (target.state, "WEDSYNC_ALLOWED_NETWORKS" in target.last_error) == ("down", True)


def test_nobody_listens(job, exporter):
    target = listed(job)
    exporter.end()
    rounds.scrape_due()
    target.refresh_from_db()
    assert (target.state, stored(job, "up")) == ("down", [0.0])


def test_a_bad_line_and_a_bad_label_cost_themselves_only(job, exporter):
    many = ",".join(f'l{n}="x"' for n in range(40))
    exporter.behave = says(f'good 1\nbroken{{a="b 2\nwide{{{many}}} 3\nendless +Inf\nnothing NaN\n'.encode())
    target = listed(job)
    rounds.scrape_due()
    target.refresh_from_db()
    assert target.state == "up"
    assert "1 lines cannot be read" in target.last_error
    assert "2 samples refused" in target.last_error
    assert (stored(job, "good"), stored(job, "wide"), stored(job, "endless")) == ([1.0], [], [])


def test_targets_that_hang_do_not_hold_up_the_others(asset, exporter):
    """Each answers only once all were asked."""
    asked = threading.Barrier(6)

    def with_the_others(handler: Handler) -> None:
        asked.wait(30)
        handler.answer(PAGE)

    exporter.behave = with_the_others
    for number in range(6):
        ScrapeJob.objects.create(
            job_name=f"job-{number}", asset=asset(f"host-{number}"), scrape_timeout=30, scrape_interval=86400,
            static_targets=[{"targets": [exporter.address]}],
        )  # fmt: skip
    targets.refresh_due(datetime.now(UTC))
    ScrapeTarget.objects.update(next_scrape_at=datetime.now(UTC))
    assert rounds.scrape_due().readings == 6
    assert ScrapeTarget.objects.filter(is_up=True).count() == 6


def test_a_target_that_is_being_read_is_not_read_a_second_time(job):
    listed(job)
    now = datetime.now(UTC)
    assert len(rounds.claim(now, 10)) == 1
    make_due()
    assert rounds.claim(now, 10) == []
    # Whoever read it died: it is read again once that is certain.
    assert len(rounds.claim(now + timedelta(seconds=60), 10)) == 1


def test_missed_slots_are_not_made_up_for_and_slots_do_not_drift(job):
    target = listed(job)
    now = datetime.now(UTC)
    rounds.claim(now, 10)
    target.refresh_from_db()
    slot = target.next_scrape_at
    assert now < slot <= now + DAY
    late = slot + timedelta(days=5, seconds=7)
    assert len(rounds.claim(late, 10)) == 1
    target.refresh_from_db()
    assert late < target.next_scrape_at <= late + DAY
    assert (target.next_scrape_at - slot) % DAY == timedelta(0)


def test_two_rounds_do_not_claim_the_same_target(job):
    listed(job)
    found: list[int] = []

    def other() -> None:
        found.append(len(rounds.claim(datetime.now(UTC), 10)))
        connection.close()

    with transaction.atomic():
        ScrapeTarget.objects.select_for_update().get()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == [0]


def test_one_round_of_a_process_claims_at_a_time(job):
    listed(job)
    with rounds._claiming:
        assert rounds.scrape_due().readings == 0
    assert rounds.scrape_due().readings == 1


@pytest.mark.parametrize("columns", [{"is_active": False}])
def test_a_job_that_is_off_is_not_read(job, columns):
    listed(job)
    ScrapeJob.objects.update(**columns)
    assert rounds.scrape_due().readings == 0


def test_what_vanished_is_not_read_and_alarms_nobody(job):
    listed(job)
    ScrapeTarget.objects.update(vanished_at=datetime.now(UTC))
    assert rounds.scrape_due().readings == 0
    assert stored(job, "up") == []


def test_an_outage_of_the_database_is_told_and_the_round_goes_on(job, monkeypatch):
    target = listed(job)

    def away(*_: object) -> None:
        raise Unavailable("no")

    monkeypatch.setattr(ingestion, "store", away)
    assert rounds.scrape_due().samples == 0
    target.refresh_from_db()
    assert target.last_error == "the samples could not be stored"


def test_the_same_page_again_is_the_same_series(job, exporter):
    listed(job)
    for _ in range(3):
        rounds.scrape_due()
        make_due()
    assert len(exporter.got) == 3
    assert len(query.find_series(SeriesSelector((), (job.asset_id,)))) == 5
    assert stored(job, "jobs_total") == [7.0] * 3
    assert PAGE.count(b"jobs_total{") == 1
