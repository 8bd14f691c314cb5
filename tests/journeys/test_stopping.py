"""A start that is broken off, at whatever moment, leaves no process behind, and the next one succeeds."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.journeys.system import System, eventually
from wedsync_monitor.embedded import location

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def new() -> Iterator[System]:
    """A system that has never run; its tests share the folder, so that each finds what the one before left."""
    folder = Path(tempfile.mkdtemp(prefix="wedsync-journey-"))
    folder.chmod(0o755)
    system = System(folder)
    try:
        yield system
    finally:
        system.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def runs(*parts: str) -> Callable[[System], bool]:
    return lambda system: bool(system.processes(*parts))


def migrates(system: System) -> bool:
    place = location.database(system.folder)
    try:
        with psycopg.connect(host=place["HOST"], user=place["USER"], dbname=place["NAME"]) as connection:
            found = connection.execute("SELECT to_regclass('django_migrations') IS NOT NULL").fetchone()
    except psycopg.OperationalError:
        return False
    return bool(found and found[0])


@pytest.mark.parametrize(
    ("moment", "wanted"),
    [
        (runs("initdb"), signal.SIGTERM),
        (runs("bin/postgres", "-D"), signal.SIGINT),
        (runs("redis-server"), signal.SIGTERM),
        (migrates, signal.SIGTERM),
        (runs("granian"), signal.SIGHUP),
    ],
    ids=["cluster", "database", "broker", "migration", "programs"],
)
def test_a_start_that_is_broken_off_leaves_no_process_behind(new, moment, wanted):
    new.launch()
    eventually(lambda: moment(new))
    new.process.send_signal(wanted)
    assert new.process.wait(30) == 0
    assert new.processes() == []


def test_after_that_it_starts(new):
    new.start()
    new.stop()
    assert new.processes() == []
