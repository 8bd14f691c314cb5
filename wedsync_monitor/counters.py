"""Counts of what the processes do. Each process adds its own to PostgreSQL every few seconds, so that the totals are
those of all processes and go on across restarts; what a killed process had not added yet is lost.

While the database is away the counts wait in memory.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from wedsync_monitor.connections import connect, conninfo

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
_TIMEOUT_SECONDS = 10.0

Key = tuple[str, tuple[tuple[str, str], ...]]


def key(name: str, **labels: str) -> Key:
    """What a counter is found by: its name and labels."""
    return name, tuple(sorted(labels.items()))


_lock = threading.Lock()
_counted: dict[Key, float] = {}


def add(counter: Key, amount: float = 1) -> None:
    """Count; costs less than a microsecond."""
    with _lock:
        _counted[counter] = _counted.get(counter, 0) + amount


def take() -> dict[Key, float]:
    """What was counted since the last time, which begins at zero again."""
    global _counted
    with _lock:
        taken, _counted = _counted, {}
    return taken


def give_back(taken: dict[Key, float]) -> None:
    """Count again what was taken and could not be stored."""
    for counter, amount in taken.items():
        add(counter, amount)


# In one order for all processes: of two that add to the same rows neither waits for the other for ever.
_ADD = """
    INSERT INTO system_counters AS total (name, labels, value)
    SELECT * FROM unnest(%s::text[], %s::jsonb[], %s::float8[]) AS counted (name, labels, value) ORDER BY name, labels
    ON CONFLICT (name, labels) DO UPDATE SET value = total.value + EXCLUDED.value"""


def flush(connection: psycopg.Connection[Any]) -> None:
    """Add what was counted to the totals. Raises psycopg.Error; the counts are kept then."""
    taken = take()
    if not taken:
        return
    names, labels = [name for name, _ in taken], [Jsonb(dict(pairs)) for _, pairs in taken]
    try:
        connection.execute(_ADD, [names, labels, [float(amount) for amount in taken.values()]])
    except psycopg.Error:
        give_back(taken)
        raise


@dataclass(frozen=True)
class Process:
    """A process of the system: its kind (web, evaluation, beat …) and a name of its own."""

    kind: str
    name: str


_SEEN = """
    INSERT INTO system_processes AS known (name, kind, pid, started_at, seen_at) VALUES (%s, %s, %s, now(), now())
    ON CONFLICT (name) DO UPDATE SET kind = EXCLUDED.kind, pid = EXCLUDED.pid, seen_at = now(),
        started_at = CASE WHEN known.pid = EXCLUDED.pid THEN known.started_at ELSE now() END"""
_FORGET = "DELETE FROM system_processes WHERE seen_at < now() - interval '1 day'"


class _Reporter:
    """The thread that adds this process's counts to the totals and says that it lives."""

    def __init__(self, process: Process):
        self._process = process
        self._connection: psycopg.Connection[Any] | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="counters", daemon=True)

    def _run(self) -> None:
        while True:
            self.report()
            if self.stopping.wait(FLUSH_SECONDS):
                return self.report()

    def report(self) -> None:
        try:
            connection = self._connect()
            connection.execute(_SEEN, [self._process.name, self._process.kind, os.getpid()])
            connection.execute(_FORGET)
            flush(connection)
        except psycopg.Error as error:
            log.info("counts wait for the database: %s", error)
            if self._connection is not None:
                self._connection.close()
        except Exception:  # the thread serves the whole process and must not end
            log.exception("counts could not be stored")

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(conninfo(), _TIMEOUT_SECONDS)
        return self._connection


_reporters: dict[int, _Reporter] = {}


def report_as(kind: str, name: str) -> None:
    """From now on this process is known as `name`, and its counts reach the totals; once in each process."""
    with _lock:
        if os.getpid() in _reporters:
            return
        reporter = _reporters[os.getpid()] = _Reporter(Process(kind, name))
    reporter.thread.start()


def stop_reporting() -> None:
    """Store what is left and end the thread; called where a process ends in good order."""
    with _lock:
        reporter = _reporters.pop(os.getpid(), None)
    if reporter is not None:
        reporter.stopping.set()
        reporter.thread.join(2)


def totals() -> list[tuple[str, dict[str, str], float]]:
    """(name, labels, value) of every counter, of all processes."""
    from wedsync_monitor.models import SystemCounter

    return list(SystemCounter.objects.order_by("name", "labels").values_list("name", "labels", "value"))
