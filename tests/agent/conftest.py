"""A server on loopback that answers agents as the real one does, and keeps what they said."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import zstandard

from assets.metrics import columnar
from assets.metrics.wire import Columns

API = "/api/monitoring/"


class Answering(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status = 200
        self.page = ""
        self.answers: dict[str, Any] = {
            "agents/enrol": {"agent_name": "on web-01", "key": "wsa_enrolled"},
            "agents/heartbeat": {"config_version": "1", "key_rotation_due": False},
            "agents/configuration": {"config_version": "1", "collection_interval": 1, "agent_config": {}},
            "agents/keys/rotate": {"key": "wsa_rotated"},
            "agents/discoveries": {"offered": 0, "known": 0},
            "metrics": {"success": True, "accepted": 1, "rejected": []},
        }
        self.said: dict[str, list[Any]] = defaultdict(list)
        self.columns: list[Columns] = []
        self.keys: set[str] = set()

    def series(self) -> dict[str, set[tuple[tuple[str, str], ...]]]:
        """The labels that arrived, by metric name."""
        found = defaultdict(set)
        for columns in list(self.columns):
            for key in columns.series:
                found[key.metric_name].add(tuple(sorted(key.labels.items())))
        return found


class Handler(BaseHTTPRequestHandler):
    server: Answering
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(self.server.page.encode(), "text/plain")
        else:
            self._api(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] == "application/msgpack":
            decoded = columnar.decode(zstandard.decompress(body))
            assert not decoded.refusals
            self.server.columns += decoded.columns
            self._api(None)
        else:
            self._api(json.loads(body))

    def _api(self, said: Any) -> None:
        name = self.path.removeprefix(API)
        self.server.said[name].append(said)
        self.server.keys.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
        self._answer(json.dumps(self.server.answers[name]).encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Answering]:
    server = Answering()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
