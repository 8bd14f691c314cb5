"""A pytest plugin: PostgreSQL and Redis of this test run's own, real ones, started before Django reads its settings.

DATABASE_URL and REDIS_URL, where set, are used instead. Under xdist the controller starts them for all workers.
"""

import os
import shutil
import signal
import tempfile
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

_MINE = "WEDSYNC_TEST_SERVERS"
_started: list[Popen[bytes]] = []


def _make_data_dir() -> Path | None:
    """This run's data folder, named in the environment; None where another process has made it."""
    if _MINE in os.environ:
        return None
    folder = Path(tempfile.mkdtemp(prefix="wedsync-test-"))
    folder.chmod(0o755)
    os.environ[_MINE] = os.environ["WEDSYNC_DATA"] = str(folder)
    return folder


_data_dir = _make_data_dir()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if _data_dir is None:
        return
    from wedsync_monitor.embedded.postgres import Postgres
    from wedsync_monitor.embedded.redis import Redis

    if "DATABASE_URL" not in os.environ:
        _started.append(Postgres(_data_dir, {"fsync": "off", "synchronous_commit": "off"}).start())
    if "REDIS_URL" not in os.environ:
        _started.append(Redis(_data_dir).start())


def pytest_unconfigure(config: Any) -> None:
    for process in _started:
        process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: it does not wait for clients
        process.wait(20)
    if _data_dir is not None:
        from wedsync_monitor.embedded import location

        for server in ("postgres", "redis"):
            shutil.rmtree(location.socket_dir(_data_dir, server), ignore_errors=True)
        shutil.rmtree(_data_dir / "postgres", ignore_errors=True)
        shutil.rmtree(_data_dir, ignore_errors=True)
