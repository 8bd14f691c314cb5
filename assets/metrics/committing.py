"""Group commit: the frames of requests that arrive together share one COPY and one transaction.

Each process that stores metrics has one `Committer`, a thread with a connection of its own. A request hands over its
rows and waits; whatever has piled up meanwhile goes in the next transaction. The keys and tokens of those requests are
checked again right before it, so that a revoked one stores nothing from then on.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from assets.metrics.frames import COPY_HEADER, COPY_INTO, COPY_TRAILER
from wedsync_monitor import counters
from wedsync_monitor.connections import connect, conninfo, was_dead

log = logging.getLogger(__name__)

_MAX_BYTES_PER_COMMIT = 32 * 1024 * 1024
_MAX_BYTES_WAITING = 256 * 1024 * 1024
_COMMIT_TIMEOUT_SECONDS = 30
_COMMITS = counters.key("wedsync_ingest_commits_total")
_WAITED = counters.key("wedsync_ingest_commit_wait_seconds_total")

_STILL_VALID = """
    SELECT key.id FROM agent_keys key JOIN monitoring_agents agent ON agent.id = key.agent_id AND agent.is_active
    WHERE key.id = ANY(%(ids)s) AND key.revoked_at IS NULL AND key.expires_at > now()
    UNION ALL
    SELECT token.id FROM api_tokens token JOIN users person ON person.id = token.user_id AND person.is_active
    WHERE token.id = ANY(%(ids)s) AND token.revoked_at IS NULL AND token.expires_at > now()"""
_STAGE = "CREATE TEMPORARY TABLE staged (LIKE metric_frame INCLUDING DEFAULTS) ON COMMIT DROP"
_MERGE = "INSERT INTO metric_frame SELECT * FROM staged ON CONFLICT DO NOTHING"


class Unavailable(Exception):
    """The database does not take the samples now; the sender should try again."""


class Revoked(Exception):
    """The key or token was revoked or expired before its samples were stored."""


class _Submission:
    """The rows of one request, which waits for them. A bare lock wakes it several times cheaper than a Future."""

    def __init__(self, rows: bytes, credential: UUID | None):
        self.rows, self.credential = rows, credential
        self._error: Exception | None = None
        self._unfinished = threading.Lock()
        self._unfinished.acquire()

    def finish(self, error: Exception | None = None) -> None:
        self._error = error
        self._unfinished.release()

    def wait(self) -> None:
        """Return once the rows are committed. Raises what kept them from it."""
        if not self._unfinished.acquire(timeout=_COMMIT_TIMEOUT_SECONDS):
            raise Unavailable("the database is too slow")
        if self._error is not None:
            raise self._error


class Committer:
    """Stores COPY rows of frames; `submit` returns once they are committed."""

    def __init__(self, conninfo: dict[str, Any]):
        self._conninfo = conninfo
        self._waiting: deque[_Submission] = deque()
        self._waiting_bytes = 0
        self._wake = threading.Condition()
        self._connection: psycopg.Connection[Any] | None = None
        threading.Thread(target=self._run, name="metric-committer", daemon=True).start()

    def submit(self, rows: bytes, credential: UUID | None = None) -> None:
        """Store `rows` durably. Raises Revoked, Unavailable, or psycopg.Error for rows that cannot be stored."""
        submission = _Submission(rows, credential)
        began = time.perf_counter()
        with self._wake:
            if self._waiting_bytes + len(rows) > _MAX_BYTES_WAITING:
                raise Unavailable("too many samples are waiting to be stored")
            self._waiting.append(submission)
            self._waiting_bytes += len(rows)
            self._wake.notify()
        try:
            submission.wait()
        finally:
            counters.add(_WAITED, time.perf_counter() - began)

    def _run(self) -> None:
        while True:
            batch = self._take()
            try:
                refused = self._store(batch)
            except psycopg.Error as error:
                self._fail(batch, error)
                continue
            except Exception as error:  # the thread serves the whole process and must not end
                log.exception("samples could not be committed")
                for submission in batch:
                    submission.finish(Unavailable(str(error)))
                continue
            counters.add(_COMMITS)
            for submission in batch:
                submission.finish(Revoked() if submission.credential in refused else None)

    def _take(self) -> list[_Submission]:
        with self._wake:
            self._wake.wait_for(lambda: self._waiting)
            batch, size = [self._waiting.popleft()], 0
            while self._waiting and size + len(self._waiting[0].rows) <= _MAX_BYTES_PER_COMMIT:
                batch.append(self._waiting.popleft())
                size += len(batch[-1].rows)
            self._waiting_bytes -= sum(len(submission.rows) for submission in batch)
            return batch

    def _store(self, batch: Sequence[_Submission]) -> set[UUID]:
        """Commit the batch and answer the credentials that are no longer valid.

        A connection that the server left behind shows on its next use only: then all is sent again on a new one. That
        is harmless even where the first attempt was committed, for a sample is stored once.
        """
        held = self._connection
        try:
            return self._store_once(batch)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if held is None or held is not self._connection or not was_dead(error):
                raise
            held.close()
            return self._store_once(batch)

    def _store_once(self, batch: Sequence[_Submission]) -> set[UUID]:
        connection = self._connect()
        try:
            return self._copy(connection, batch, staged=False)
        except psycopg.errors.UniqueViolation:
            # Something was sent again: merge by way of a staging table.
            return self._copy(connection, batch, staged=True)

    def _copy(self, connection: psycopg.Connection[Any], batch: Sequence[_Submission], staged: bool) -> set[UUID]:
        # The COPY alone is a transaction; BEGIN and COMMIT around it would be two more round trips of every commit.
        refused = _invalid(connection, {submission.credential for submission in batch if submission.credential})
        rows = [submission.rows for submission in batch if submission.credential not in refused]
        if not staged:
            _copy_into(connection, "metric_frame", rows)
        else:
            with connection.transaction():
                connection.execute(_STAGE)
                _copy_into(connection, "staged", rows)
                connection.execute(_MERGE)
        return refused

    def _connect(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._conninfo, _COMMIT_TIMEOUT_SECONDS)
        return self._connection

    def _fail(self, batch: Sequence[_Submission], error: psycopg.Error) -> None:
        """One request's bad rows must not cost the others theirs: store each alone. An outage is told to all."""
        outage = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if outage and self._connection is not None:
            self._connection.close()
        if outage or len(batch) == 1:
            told = Unavailable(str(error)) if outage else error
            for submission in batch:
                submission.finish(told)
            return
        for submission in batch:
            try:
                refused = self._store([submission])
                submission.finish(Revoked() if refused else None)
            except psycopg.Error as own_error:
                self._fail([submission], own_error)


def _invalid(connection: psycopg.Connection[Any], credentials: set[UUID]) -> set[UUID]:
    """Those keys and tokens that are no longer valid."""
    if not credentials:
        return credentials
    return credentials - {row[0] for row in connection.execute(_STILL_VALID, {"ids": list(credentials)})}


def _copy_into(connection: psycopg.Connection[Any], table: str, rows: Sequence[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(COPY_INTO.format(table=table)) as copy:
        copy.write(b"".join([COPY_HEADER, *rows, COPY_TRAILER]))


_Place = tuple[int, str, str, str]
_committers: dict[_Place, Committer] = {}
_lock = threading.Lock()


def place() -> _Place:
    """This process and its database; a forked child has a place of its own."""
    from django.db import connection

    named = connection.settings_dict
    return os.getpid(), str(named["HOST"]), str(named["PORT"]), str(named["NAME"])


def committer() -> Committer:
    """This process's committer."""
    own = place()
    with _lock:
        if own not in _committers:
            _committers[own] = Committer(conninfo())
        return _committers[own]


_local = threading.local()


def lookup_connection() -> psycopg.Connection[Any]:
    """This thread's autocommit connection for series and layouts. Raises Unavailable."""
    own = place()
    if getattr(_local, "place", None) != own or _local.connection.closed or _local.connection.broken:
        try:
            _local.connection, _local.place = connect(conninfo(), _COMMIT_TIMEOUT_SECONDS), own
        except psycopg.OperationalError as error:
            raise Unavailable(str(error)) from error
    connection: psycopg.Connection[Any] = _local.connection
    return connection


_Found = TypeVar("_Found")


def look_up(work: Callable[[], _Found]) -> _Found:
    """What `work` finds by way of `lookup_connection`; it is done once more where the connection that this thread kept
    turns out to be dead. Raises Unavailable and psycopg.Error."""
    held = getattr(_local, "connection", None)
    try:
        return work()
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        if held is None or held is not _local.connection or not was_dead(error):
            raise
        held.close()
        return work()
