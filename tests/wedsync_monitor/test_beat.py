"""Beat with real processes: one leads, another takes over at once, and no tick is sent twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from django.conf import settings
from django.db import connection, connections
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from wedsync_monitor import beat, counters, leadership
from wedsync_monitor.beat import Gap, LeadingScheduler, missed_ticks
from wedsync_monitor.leadership import Leadership, leader
from wedsync_monitor.models import AuditEntry, SystemCounter, SystemProcess, SystemState

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)
QUEUE = "of-the-beat-tests"
SECOND = timedelta(seconds=1)


def until(is_so: Callable[[], bool], seconds: float = 60) -> float:
    """Wait; answers how many seconds it took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds
        threading.Event().wait(0.05)
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("seconds", "missed"), [(0.9, 0), (1.0, 0), (1.99, 0), (2.0, 1), (3.5, 2), (3600, 3599), (-5, 0)]
)
def test_a_gap_of_so_many_seconds_misses_so_many_ticks(seconds: float, missed: int) -> None:
    assert missed_ticks(NOON, NOON + timedelta(seconds=seconds), SECOND) == missed


def test_gaps_of_several_tasks_that_end_together_are_one() -> None:
    first = Gap(NOON, NOON + 60 * SECOND, 59)
    second = Gap(NOON - SECOND, NOON + 61 * SECOND, 11)
    assert second.joined(first) == Gap(NOON - SECOND, NOON + 61 * SECOND, 70)
    later = Gap(NOON + 300 * SECOND, NOON + 310 * SECOND, 9)
    assert later.joined(second) == later


@pytest.fixture
def two(db: None) -> Iterator[tuple[Leadership, Leadership]]:
    pair = Leadership("first"), Leadership("second")
    yield pair
    for one in pair:
        one.resign()


def test_of_two_one_leads_and_everybody_can_see_which(two: tuple[Leadership, Leadership], now: datetime) -> None:
    first, second = two
    assert leader() is None
    assert (first.held(), second.held(), first.held()) == (True, False, True)
    found = leader()
    assert found is not None
    assert found.process == "first"
    assert abs(found.since - now) < timedelta(minutes=1)
    first.resign()
    until(lambda: leader() is None)
    assert (second.held(), first.held()) == (True, False)


def test_a_lost_connection_ends_the_lead_before_the_next_tick(two: tuple[Leadership, Leadership]) -> None:
    first, second = two
    assert first.held()
    with connection.cursor() as cursor:
        cursor.execute("SELECT said->'backend' FROM system_states WHERE name = %s", [leadership.STATE])
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [int(cursor.fetchone()[0])])
    assert second.held()
    assert not first.held()
    assert not first.held()


def test_without_a_database_nobody_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "conninfo", lambda: {"host": "127.0.0.1", "port": 1})
    assert not Leadership("first").held()


# What beat and these tests write for others to see.
WRITTEN = (PeriodicTask, IntervalSchedule, CrontabSchedule, SystemCounter, SystemProcess, SystemState, AuditEntry)


@pytest.fixture
def ticking(django_db_setup: None, django_db_blocker: Any) -> Iterator[PeriodicTask]:
    """A task that is due every second, in a queue that nobody takes from; committed: beats have their own sessions."""
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.delete(QUEUE)
    with django_db_blocker.unblock():
        every = IntervalSchedule.objects.create(every=1, period="seconds")
        yield PeriodicTask.objects.create(name="tick", task="nobody.takes.this", interval=every, queue=QUEUE)
        for model in WRITTEN:
            model.objects.all().delete()
        connections.close_all()


def sent() -> int:
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        return int(broker.llen(QUEUE))


@pytest.fixture
def scheduler(ticking: PeriodicTask, monkeypatch: pytest.MonkeyPatch) -> Iterator[LeadingScheduler]:
    from wedsync_monitor.celery import app

    monkeypatch.setattr(counters, "report_as", lambda *_: None)
    one = LeadingScheduler(app=app)
    yield one
    one._leadership.resign()
    one.close()


def tick_of(scheduler: LeadingScheduler) -> None:
    """Let the scheduler send what is due now."""
    for _ in range(20):
        if scheduler.tick() > 0:
            return


def behind(ticking: PeriodicTask, seconds: float) -> None:
    PeriodicTask.objects.filter(pk=ticking.pk).update(
        last_run_at=datetime.now(UTC) - seconds * SECOND,
        date_changed=NOON - timedelta(days=365),
        total_run_count=1,
    )


def missed() -> float:
    wanted = counters.key("wedsync_beat_missed_ticks_total", task="tick")
    taken = counters.take()
    return taken.get(wanted, 0)


def test_what_was_missed_is_counted_once_and_sent_once(scheduler: LeadingScheduler, ticking: PeriodicTask) -> None:
    behind(ticking, 90.5)
    counters.take()
    tick_of(scheduler)
    assert (sent(), missed()) == (1, 89)
    said = SystemState.objects.get(name=leadership.GAP_STATE).said
    assert said["missed"] == 89
    ticking.refresh_from_db()
    assert ticking.last_run_at is not None
    assert datetime.now(UTC) - ticking.last_run_at < 10 * SECOND


def test_what_was_switched_off_was_not_missed(scheduler: LeadingScheduler, ticking: PeriodicTask) -> None:
    behind(ticking, 90.5)
    PeriodicTask.objects.filter(pk=ticking.pk).update(date_changed=datetime.now(UTC) - 1.5 * SECOND)
    counters.take()
    tick_of(scheduler)
    assert (sent(), missed()) == (1, 0)


def test_before_its_first_tick_nothing_was_missed(scheduler: LeadingScheduler, ticking: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=ticking.pk).update(date_changed=NOON - timedelta(days=365))
    counters.take()
    tick_of(scheduler)
    assert (sent(), missed()) == (1, 0)


def test_a_tick_that_another_has_sent_is_not_sent_again(scheduler: LeadingScheduler, ticking: PeriodicTask) -> None:
    behind(ticking, 5)
    assert scheduler._is_leading()
    assert "tick" in scheduler.schedule
    PeriodicTask.objects.filter(pk=ticking.pk).update(last_run_at=datetime.now(UTC) + 60 * SECOND)
    tick_of(scheduler)
    assert sent() == 0


def test_a_tick_that_the_broker_does_not_take_is_missed(
    scheduler: LeadingScheduler, ticking: PeriodicTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("away")

    monkeypatch.setattr(scheduler, "send_task", refuse)
    behind(ticking, 1.5)
    counters.take()
    tick_of(scheduler)
    assert (sent(), missed()) == (0, 1)


def test_who_does_not_lead_sends_nothing(scheduler: LeadingScheduler, ticking: PeriodicTask) -> None:
    other = Leadership("other")
    assert other.held()
    behind(ticking, 5)
    try:
        assert scheduler.tick() == beat.FOLLOW_SECONDS
        assert sent() == 0
    finally:
        other.resign()
    until(scheduler._is_leading)
    tick_of(scheduler)
    assert sent() == 1


def database_url() -> str:
    """The test database, as an environment variable names it to another process."""
    named = connection.settings_dict
    inside = {"host": named["HOST"], "user": named["USER"], "password": named["PASSWORD"], "port": named["PORT"]}
    return f"postgres:///{named['NAME']}?{urlencode({key: value for key, value in inside.items() if value})}"


@pytest.fixture
def beats(ticking: PeriodicTask, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    celery = [str(Path(sys.executable).with_name("celery")), "--app", "wedsync_monitor", "beat", "--pidfile="]

    def start() -> subprocess.Popen[bytes]:
        environment = os.environ | {"DATABASE_URL": database_url(), "REDIS_URL": settings.REDIS_URL}
        with (tmp_path / f"beat-{len(started)}.log").open("wb") as log:
            command = [*celery, "--loglevel", "WARNING"]
            started.append(subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def leading() -> str:
    found = leader()
    return found.process.rpartition("/")[2] if found else ""


def test_another_beat_takes_over_when_the_leader_is_killed_or_hangs(
    beats: Callable[[], subprocess.Popen[bytes]], ticking: PeriodicTask
) -> None:
    began = time.monotonic()
    running = {str(process.pid): process for process in (beats(), beats(), beats())}
    until(lambda: leading() != "" and sent() > 0 and followers() == 2)

    running.pop(leading()).send_signal(signal.SIGKILL)
    assert until(lambda: leading() in running) < 5
    reached = sent()
    until(lambda: sent() > reached)

    hanging = running.pop(leading())
    hanging.send_signal(signal.SIGSTOP)
    assert until(lambda: leading() in running) < leadership.IDLE_SECONDS + 5
    hanging.send_signal(signal.SIGCONT)
    reached = sent()
    until(lambda: sent() > reached + 1)
    assert leading() in running

    ticking.refresh_from_db()
    assert ticking.total_run_count - sent() in (0, 1)  # one may be between its claim and its sending
    assert sent() <= time.monotonic() - began + 1


def followers() -> int:
    """How many beats wait for the lead."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM pg_stat_activity session WHERE application_name = %s AND NOT EXISTS (
                   SELECT FROM pg_locks held WHERE held.pid = session.pid AND held.locktype = 'advisory')""",
            [leadership.APPLICATION],
        )
        return int(cursor.fetchone()[0])
