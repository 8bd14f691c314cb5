"""Connections to the database beside Django's: for threads and sessions that outlive a request or a task."""

from __future__ import annotations

from typing import Any

import psycopg


def conninfo() -> dict[str, Any]:
    """Django's database as psycopg names it."""
    from django.db import connection

    own = ("client_encoding", "cursor_factory", "context", "prepare_threshold")
    return {name: value for name, value in connection.get_connection_params().items() if name not in own}


def was_dead(error: psycopg.Error) -> bool:
    """Whether it was the connection that failed and not the statement, which may be sent again on another one."""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def connect(conninfo: dict[str, Any], statement_timeout_seconds: float) -> psycopg.Connection[Any]:
    """An autocommit connection with short waits for what is away or hangs. Raises psycopg.OperationalError."""
    limits = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 10}
    connection = psycopg.connect(**(limits | conninfo), autocommit=True)
    connection.execute(f"SET statement_timeout = '{int(statement_timeout_seconds * 1000)}ms'")
    return connection
