"""A whole system as `make run` starts it, watched from outside: its processes, its API, its files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(what: Callable[[], Any], seconds: float = 60) -> Any:
    """Ask until the answer is true, for `seconds` at most; the answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := what():
                return answer
        except (httpx.HTTPError, psutil.Error, OSError):
            pass
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


class System:
    """One running system with data of its own."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("WEDSYNC", "DATABASE_", "REDIS_"))
        }
        self.environment = inherited | {
            "WEDSYNC_DATA": str(folder),
            "PORT": str(self.port),
            "WEDSYNC_ALLOWED_NETWORKS": "127.0.0.0/8",
            "PYTHONUNBUFFERED": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.url, timeout=20)

    def launch(self) -> None:
        """Begin to start, as `make run` does, and wait for nothing."""
        with (self.folder / "out.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run"], cwd=ROOT, env=self.environment, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        self.launch()
        eventually(lambda: self.http.get("/readyz").status_code == 200, 90)

    def sign_in(self) -> None:
        """Give the client a token of an administrator."""
        token = self.command("api_token", "journey", "--role", "system_admin")
        self.http.headers["Authorization"] = f"Bearer {token}"

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def password(self) -> str:
        return (self.folder / "admin-password").read_text().strip()

    def processes(self, *parts: str) -> list[psutil.Process]:
        """Running processes of this system whose command line holds all of `parts`."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("WEDSYNC_OWNER") == str(self.folder)
                if (
                    mine
                    and process.status() != psutil.STATUS_ZOMBIE
                    and all(part in " ".join(process.cmdline()) for part in parts)
                ):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def kill(self, *parts: str) -> None:
        """kill -9 whatever matches."""
        victims = self.processes(*parts)
        assert victims, f"nothing runs that matches {parts}"
        for victim in victims:
            victim.kill()

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.http.get(f"/api/monitoring/{path}", params=parameters)
        answer.raise_for_status()
        return answer.json()

    def host(self) -> dict[str, Any]:
        """This machine, which the first start has made an asset."""
        found: dict[str, Any] = self.get("assets", asset_type="server")["assets"][0]
        return found

    def post(self, path: str, body: Any) -> Any:
        answer = self.http.post(f"/api/monitoring/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def stop(self) -> None:
        """Ctrl-C."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)

    def destroy(self) -> None:
        self.stop()
        self.http.close()
        for process in self.processes():
            process.kill()
