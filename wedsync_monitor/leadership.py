"""Which of several beats leads: the one whose session holds a lock of the database.

The session is a connection of its own. It ends with its process, however that ends, and the lock with it; where the
process hangs instead, PostgreSQL ends the session once it has been idle for IDLE_SECONDS. So nobody watches the leader,
and no clock is compared. A pooler that shares sessions among clients must not stand in between.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection
from psycopg.types.json import Jsonb

from wedsync_monitor.connections import connect, conninfo

log = logging.getLogger(__name__)

LOCK = 0x7765645F_62656174
IDLE_SECONDS = 5
_TIMEOUT_SECONDS = 4.0
# Under these names beat keeps who leads and when ticks were missed last.
STATE, GAP_STATE = "beat leader", "beat gap"
APPLICATION = "wedsync beat"

_SAY = """
    INSERT INTO system_states (name, said, said_at) VALUES (%s, %s, now())
    ON CONFLICT (name) DO UPDATE SET said = EXCLUDED.said, said_at = EXCLUDED.said_at"""


class Leadership:
    """This process's part in it."""

    def __init__(self, process: str):
        self._process = process
        self._connection: psycopg.Connection[Any] | None = None
        self._leads = False

    def held(self) -> bool:
        """Whether this process leads now. Asks the database each time: with the connection the lead is lost too."""
        try:
            session = self._session()
            if self._leads:
                session.execute("SELECT 1")
            else:
                self._leads = self._try(session)
        except psycopg.Error as error:
            log.warning("%s does not lead: %s", self._process, str(error).strip())
            self.resign()
        return self._leads

    def resign(self) -> None:
        """Leave the lead to another process."""
        self._leads = False
        if self._connection is not None:
            self._connection.close()

    def _session(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._leads = False
            self._connection = connect(conninfo(), _TIMEOUT_SECONDS)
            self._connection.execute(
                f"SET idle_session_timeout = '{IDLE_SECONDS}s'; SET application_name = '{APPLICATION}'"
            )
        return self._connection

    def _try(self, session: psycopg.Connection[Any]) -> bool:
        row = session.execute("SELECT pg_try_advisory_lock(%s), pg_backend_pid()", [LOCK]).fetchone()
        if row is None or not row[0]:
            return False
        session.execute(_SAY, [STATE, Jsonb({"process": self._process, "backend": row[1]})])
        log.warning("%s leads from now on", self._process)
        return True


@dataclass(frozen=True)
class Leader:
    """The beat that leads, and since when."""

    process: str
    since: datetime


def leader() -> Leader | None:
    """Who holds the lock now; None where nobody does. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT state.said->>'process', state.said_at FROM system_states state
               JOIN pg_locks held ON held.pid = (state.said->>'backend')::int
               WHERE state.name = %s AND held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
                 AND held.classid::bigint = %s AND held.objid::bigint = %s
                 AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
            [STATE, LOCK >> 32, LOCK & 0xFFFFFFFF],
        )
        row = cursor.fetchone()
    return Leader(*row) if row else None
