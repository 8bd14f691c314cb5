"""/healthz, /readyz and /metrics, with parts that are away."""

from __future__ import annotations

import time

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from wedsync_agent.collectors.exporter import parse

from tests.wedsync_monitor import stored
from wedsync_monitor import counters
from wedsync_monitor.leadership import Leadership
from wedsync_monitor.models import DeadMansSwitch
from wedsync_monitor.readiness import BEAT_SEEN, EVALUATOR_SEEN, STALE_SECONDS
from wedsync_monitor.selfmonitoring import recording
from wedsync_monitor.tasks import note_beat
from wedsync_monitor.web.errors import DatabaseOutageMiddleware

pytestmark = pytest.mark.usefixtures("database")
NOWHERE = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}


@pytest.fixture(autouse=True)
def _everything_works(database):
    cache.clear()
    note_beat()
    cache.set(EVALUATOR_SEEN, time.time(), timeout=None)


def readiness() -> tuple[int, list[str]]:
    answer = Client().get("/readyz")
    body = answer.json()
    assert body["ready"] is (answer.status_code == 200)
    return answer.status_code, body["problems"]


def away(execute, sql, params, many, context):
    raise OperationalError("the server closed the connection")


def test_a_system_that_works_is_ready():
    assert readiness() == (200, [])


@pytest.mark.parametrize(
    ("key", "text"), [(BEAT_SEEN, "beat has not ticked"), (EVALUATOR_SEEN, "the evaluator has not evaluated")]
)
def test_what_has_not_been_seen_is_told(key, text):
    cache.set(key, time.time() - STALE_SECONDS - 12)
    code, (problem,) = readiness()
    assert code == 503
    assert problem.startswith(f"{text} for 4")
    cache.delete(key)
    assert readiness() == (503, [f"{text} since the broker started"])
    cache.set(key, time.time() - STALE_SECONDS + 5)
    assert readiness() == (200, [])


def test_a_broker_that_is_away_is_told(settings):
    settings.CACHES = NOWHERE
    code, problems = readiness()
    assert code == 503
    assert "broker: ConnectionError" in problems


def test_a_database_that_is_away_is_told():
    with connection.execute_wrapper(away):
        assert readiness() == (503, ["database: OperationalError"])


def test_the_process_lives_also_without_database_and_broker(settings):
    settings.CACHES = NOWHERE
    with connection.execute_wrapper(away):
        answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_pages_say_503_while_the_database_is_away(signed_in):
    client = signed_in()
    with connection.execute_wrapper(away):
        answer = client.get("/admin/monitoring/overview")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "<h1>Not available right now</h1>" in answer.content.decode()


def test_programs_are_told_of_the_outage_in_their_own_form():
    middleware = DatabaseOutageMiddleware(lambda request: HttpResponse())
    answer = middleware.process_exception(RequestFactory().post("/api/monitoring/metrics"), OperationalError())
    assert answer is not None
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")


def test_prometheus_reads_the_systems_own_state(settings):
    text = Client().get("/metrics").content.decode()
    for part in ("database", "broker", "evaluator", "beat"):
        assert f'wedsync_up{{part="{part}"}} 1' in text
    assert 'wedsync_last_seen_timestamp_seconds{part="beat"} ' in text
    settings.CACHES = NOWHERE
    text = Client().get("/metrics").content.decode()
    assert 'wedsync_up{part="database"} 1' in text
    assert 'wedsync_up{part="broker"} 0' in text
    assert "last_seen" not in text


def test_readiness_says_who_leads_and_what_the_dead_mans_switches_do(now):
    DeadMansSwitch.objects.create(
        switch_name="outside", target={"url": f"https://signals.example.com/{stored.SECRET}"}, last_sent_at=now,
        last_answer="signals.example.com: TimeoutError", held_back_because="beat has not ticked",
    )  # fmt: skip
    beat = Leadership("beat@here/1")
    try:
        assert beat.held()
        answer = Client().get("/readyz")
    finally:
        beat.resign()
    said = answer.json()
    assert set(said["beat_leader"]) == {"since"}
    (switch,) = said["dead_mans_switches"]
    assert (switch["switch_name"], switch["held_back_because"]) == ("outside", "beat has not ticked")
    assert "signals.example.com" not in answer.content.decode()


def test_the_page_for_prometheus_holds_what_was_observed_and_what_all_processes_counted(now):
    recording.observe(now)
    connection.ensure_connection()
    counters.take()
    counters.add(counters.key("wedsync_ingest_requests_total", way="otlp", code="200"), 3)
    counters.flush(connection.connection)
    answer = Client().get("/metrics")
    page = parse(answer.content.decode())
    assert page.skipped == 0
    found = {(one.name, one.labels.get("way") or one.labels.get("part")): one for one in page.readings}
    counted = found["wedsync_ingest_requests_total", "otlp"]
    assert (counted.kind, counted.value) == ("counter", 3)
    assert found["wedsync_observed_timestamp_seconds", None].value == now.timestamp()
    assert {"wedsync_database_bytes", "wedsync_queue_depth", "wedsync_agents_silent"} <= {name for name, _ in found}
    assert (
        len({one.name for one in page.readings}) == answer.content.count(b"# HELP") == answer.content.count(b"# TYPE")
    )


def test_the_page_for_prometheus_takes_few_queries_whatever_was_counted(django_assert_max_num_queries):
    connection.ensure_connection()
    for number in range(200):
        counters.add(counters.key("wedsync_tasks_total", task=f"task-{number}", outcome="success"))
    counters.flush(connection.connection)
    with django_assert_max_num_queries(3):
        Client().get("/metrics")


def test_openmetrics_is_answered_where_it_is_asked_for(now):
    answer = Client().get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    assert answer["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.content.endswith(b"# EOF\n")


def test_the_page_for_prometheus_is_there_without_a_database():
    with connection.execute_wrapper(away):
        text = Client().get("/metrics").content.decode()
    assert 'wedsync_up{part="database"} 0' in text
    assert 'wedsync_up{part="broker"} 1' in text
