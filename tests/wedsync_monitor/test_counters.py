"""Counts that reach the totals of all processes."""

from __future__ import annotations

import os
import threading
import time

import psycopg
import pytest
from django.db import connection

from wedsync_monitor import counters
from wedsync_monitor.connections import conninfo
from wedsync_monitor.models import SystemCounter, SystemProcess

pytestmark = pytest.mark.usefixtures("database")
HITS = counters.key("hits_total", way="a", code="200")
MISSES = counters.key("misses_total")


@pytest.fixture(autouse=True)
def _nothing_counted(database):
    counters.take()
    yield
    counters.take()


def flush():
    counters.flush(connection.connection)


def totals():
    return {(name, tuple(sorted(labels.items()))): value for name, labels, value in counters.totals()}


def test_totals_add_up_what_is_flushed():
    connection.ensure_connection()
    counters.add(HITS)
    counters.add(HITS, 2)
    counters.add(MISSES, 0.5)
    flush()
    counters.add(HITS, 4)
    flush()
    flush()
    assert totals() == {HITS: 7, MISSES: 0.5}


def test_labels_in_any_order_are_the_same_counter():
    assert counters.key("hits_total", code="200", way="a") == HITS


def test_what_the_database_does_not_take_waits():
    connection.ensure_connection()
    counters.add(HITS, 3)
    with psycopg.connect(**conninfo()) as closed:
        closed.close()
        with pytest.raises(psycopg.OperationalError):
            counters.flush(closed)
    counters.add(HITS)
    flush()
    assert totals() == {HITS: 4}


def test_threads_lose_no_count():
    def count():
        for _ in range(5000):
            counters.add(HITS)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.take() == {HITS: 20_000}


def test_a_count_costs_a_request_a_few_microseconds_at_most():
    began = time.process_time()
    for _ in range(100_000):
        counters.add(HITS)
    assert (time.process_time() - began) / 100_000 < 5e-6


def test_a_process_says_that_it_lives_and_stores_what_is_left_when_it_ends(committed):
    counters.add(HITS, 5)
    counters.report_as("web", "web@here/1")
    counters.report_as("web", "another name for the same process")
    counters.stop_reporting()
    process = SystemProcess.objects.get()
    assert (process.name, process.kind, process.pid) == ("web@here/1", "web", os.getpid())
    assert SystemCounter.objects.get().value == 5
    counters.stop_reporting()


def test_a_reporter_outlives_an_outage(committed, monkeypatch):
    counters.add(HITS, 5)
    reporter = counters._Reporter(counters.Process("web", "web@here/1"))
    with monkeypatch.context() as away:
        away.setattr(counters, "conninfo", lambda: {"host": "127.0.0.1", "port": 1})
        reporter.report()
    assert not SystemCounter.objects.exists()
    reporter.report()
    assert SystemCounter.objects.get().value == 5
    reporter._connection.close()
