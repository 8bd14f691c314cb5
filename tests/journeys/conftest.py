"""Systems and receivers for the journeys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.system import running
from tests.journeys.system import System


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running() as started:
        yield started


class Receiver(ThreadingHTTPServer):
    """Takes webhooks and keeps what they said."""

    request_queue_size = 128  # five, the default, resets some of thirty connections at once
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook"

    def events(self) -> list[str]:
        """What was told, in order, repeats of a delivery counted once."""
        unique = {one["delivery_id"]: one["event"] for one in self.got}
        return list(unique.values())


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
