"""The embedded PostgreSQL: real clusters of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from wedsync_monitor.embedded import location
from wedsync_monitor.embedded.postgres import Postgres


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder that PostgreSQL's account reaches, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="wedsync-postgres-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(location.socket_dir(folder, "postgres"), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def ask(data_dir: Path, query: str) -> object:
    place = location.database(data_dir)
    with psycopg.connect(host=place["HOST"], dbname=place["NAME"], user=place["USER"], autocommit=True) as connection:
        found = connection.execute(query)  # type: ignore[arg-type]
        row = found.fetchone() if found.description else None
        return row[0] if row else None


def stop(process: subprocess.Popen[bytes], wanted: signal.Signals = signal.SIGINT) -> None:
    process.send_signal(wanted)
    process.wait(20)


def test_a_stale_postmaster_pid_does_not_keep_it_from_starting(data_dir: Path) -> None:
    process = Postgres(data_dir).start()
    try:
        ask(data_dir, "CREATE TABLE kept AS SELECT 42 AS answer")
    finally:
        stop(process, signal.SIGKILL)
    assert (data_dir / "postgres" / "postmaster.pid").exists()
    again = Postgres(data_dir).start()
    try:
        assert ask(data_dir, "SELECT answer FROM kept") == 42
    finally:
        stop(again)


def test_a_stale_pid_that_another_program_has_now_does_not_keep_it_from_starting(data_dir: Path) -> None:
    stop(Postgres(data_dir).start())
    account = Postgres(data_dir).account
    stranger = subprocess.Popen(["sleep", "60"], user=account.pw_uid if account else None)
    try:
        (data_dir / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n{data_dir / 'postgres'}\n")
        again = Postgres(data_dir).start(timeout_seconds=10)
        stop(again)
        assert stranger.poll() is None
    finally:
        stop(stranger, signal.SIGKILL)


def test_a_half_made_cluster_is_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres" / "base").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("18\n")
    process = Postgres(data_dir).start()
    try:
        assert ask(data_dir, "SELECT current_database()") == location.DATABASE_NAME
    finally:
        stop(process)
