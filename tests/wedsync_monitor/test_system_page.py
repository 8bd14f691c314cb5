"""The console's page on the system itself."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.pages import opened, queries_of
from tests.wedsync_monitor import stored
from wedsync_monitor import leadership
from wedsync_monitor.leadership import Leadership
from wedsync_monitor.models import DeadMansSwitch, SystemProcess, SystemState
from wedsync_monitor.policy import Role
from wedsync_monitor.readiness import BEAT_SEEN, EVALUATOR_SEEN
from wedsync_monitor.selfmonitoring import outlet, recording
from wedsync_monitor.selfmonitoring.measurements import Measurement

pytestmark = pytest.mark.usefixtures("database")
SYSTEM = "/admin/monitoring/system"


@pytest.fixture(autouse=True)
def _everything_works(database, now):
    cache.set_many({BEAT_SEEN: time.time(), EVALUATOR_SEEN: time.time()}, timeout=None)
    recording.create_asset()
    outlet.keep([Measurement("wedsync_evaluation_lag_seconds", 0.25)], now)


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


def process(name, seen_at):
    kind = name.partition("@")[0]
    return SystemProcess.objects.create(name=name, kind=kind, pid=1, started_at=seen_at, seen_at=seen_at)


def test_a_system_that_works_says_so(sre):
    text = opened(sre, SYSTEM).text
    assert "nothing is beyond its limits" in text
    assert "0.25 s" in text
    assert "No tick was ever missed" in text


def test_what_is_wrong_is_told_in_words(sre, now):
    cache.delete(BEAT_SEEN)
    measured = [
        Measurement("wedsync_queue_depth", 1200, {"queue": "probes"}),
        Measurement("wedsync_deliveries_waiting", 4),
    ]
    outlet.keep(measured, now - timedelta(minutes=5))
    DeadMansSwitch.objects.create(
        switch_name="outside", target={"url": f"https://signals.example.com/{stored.SECRET}"}, held_back_since=now,
        held_back_because="beat has not ticked",
    )  # fmt: skip
    page = opened(sre, SYSTEM)
    for said in (
        "Beat has not ticked since the broker started.",
        "The system has not observed itself since",
        "1200 messages wait in the queue probes.",
        "The dead man's switch outside is held back: beat has not ticked.",
    ):
        assert said.replace("'", "&#x27;") in page.html
    assert stored.SECRET not in page.html


def test_a_signal_that_did_not_arrive_is_wrong_and_one_that_did_is_not(sre):
    DeadMansSwitch.objects.create(
        switch_name="lost", target={"url": "https://a.example.com"}, last_answer="answered 404"
    )
    DeadMansSwitch.objects.create(
        switch_name="fine", target={"url": "https://a.example.com"}, last_answer="answered 204"
    )
    text = opened(sre, SYSTEM).text
    assert "The last signal of the dead man's switch lost did not arrive: answered 404." in text
    assert "switch fine did not" not in text


def test_it_shows_who_leads_the_last_gap_and_the_processes(sre, now):
    process("evaluation@here", now)
    process("delivery@here", now - timedelta(minutes=2))
    process("evaluation@there", now - timedelta(minutes=2))
    process("web@here/3", now - timedelta(hours=2))
    said = {"since": (now - timedelta(minutes=9)).isoformat(), "until": now.isoformat(), "missed": 187}
    SystemState.objects.create(name=leadership.GAP_STATE, said=said, said_at=now)
    beat = Leadership("beat@here/7")
    try:
        assert beat.held()
        text = opened(sre, SYSTEM).text
    finally:
        beat.resign()
    assert "beat@here/7 leads since" in text
    assert "187 ticks missed" in text
    assert (text.count("(gone)"), text.count("(ended)")) == (1, 1)
    assert "web@here/3" not in text


def test_its_charts_are_series_of_the_own_asset(sre):
    html = opened(sre, f"{SYSTEM}?range=24h").html
    chart = reverse("asset-chart", args=[recording.ASSET])
    assert f'data-chart-url="{chart}?metric=wedsync_evaluation_lag_seconds&amp;range=24h"' in html
    assert sre.get(f"{chart}?metric=wedsync_evaluation_lag_seconds&range=24h").status_code == 200


def test_htmx_gets_the_part_that_the_page_includes(sre):
    page, part = opened(sre, SYSTEM), opened(sre, SYSTEM, htmx=True)
    assert page.is_whole
    assert not part.is_whole
    assert part.html.split("Observed")[0] in page.html


def test_it_takes_as_many_queries_for_many_processes_as_for_few(sre, now):
    process("web@here/0", now)
    stored.MAKE["wedsync_monitor.DeadMansSwitch"](0)
    few = queries_of(sre, SYSTEM)
    for number in range(1, 30):
        process(f"web@here/{number}", now)
        stored.MAKE["wedsync_monitor.DeadMansSwitch"](number)
    assert queries_of(sre, SYSTEM) == few <= 14
