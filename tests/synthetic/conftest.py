"""What tests of the engine share: a target on loopback that goes down and comes back, a check of it, and its runner."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from wedsync_agent.probing import Prober

from synthetic.models import CheckPlace, SyntheticCheck
from synthetic.running import Runner


class Target(ThreadingHTTPServer):
    """Answers GET with `status` and counts its requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.status, self.requests = 200, []
        self.failures_first = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/book"


class Answering(BaseHTTPRequestHandler):
    server: Target

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        fails = len(self.server.requests) <= self.server.failures_first
        self.send_response(503 if fails else self.server.status)
        self.end_headers()
        self.wfile.write(b"Book your wedding")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def target(settings) -> Iterator[Target]:
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    server = Target()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def check(target: Target) -> Callable[..., SyntheticCheck]:
    """Make a check of the target: `check("booking", retry_attempts=2)`."""

    def make(name: str = "booking", **columns: Any) -> SyntheticCheck:
        defaults = {"check_type": "http", "target_url": target.url, "retry_attempts": 0, "timeout_seconds": 5}
        return SyntheticCheck.objects.create(check_name=name, **(defaults | columns))

    return make


@pytest.fixture
def run_at() -> Iterator[Callable[..., int]]:
    """Run all checks of a location as they are at a moment: `run_at(now)`; answers how many ended."""
    with Prober(pause_seconds=0) as prober:

        def run(at: datetime, location: str = "local") -> int:
            CheckPlace.objects.filter(location=location, next_run_at__isnull=False).update(next_run_at=at)
            runner, ended = Runner(prober, location, lambda: at), 0
            due = CheckPlace.objects.filter(location=location, next_run_at__lte=at).count()
            while ended < due:
                ended += runner.step(5)
            return ended

        yield run
