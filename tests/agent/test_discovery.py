"""What the agent finds on the machine that the tests run on."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import msgspec
import psutil
import pytest
from wedsync_agent import discovery

from assets.agents import Found


def test_a_program_that_listens_is_found_with_its_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = {one["details"]["port"]: one for one in discovery.listening()}
    program = psutil.Process().name()
    details = {"port": port, "address": "127.0.0.1", "program": program}
    assert found[port] == {"kind": "service", "name": f"{program}:{port}", "details": details}


def test_a_known_exporters_port_is_told_as_one(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setitem(discovery.EXPORTER_PORTS, port, "cake")
        found = {one["name"]: one["kind"] for one in discovery.listening()}
    assert found[f"cake:{port}"] == "exporter"


class Engine(BaseHTTPRequestHandler):
    """A container engine as it answers on its socket."""

    rows: object = []

    def do_GET(self) -> None:
        body = json.dumps(self.rows).encode()
        self.send_response(200 if isinstance(self.rows, list) else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Engine]]:
    path = tmp_path / "engine.sock"
    monkeypatch.setattr(discovery, "SOCKETS", (tmp_path / "no.sock", path))
    with ThreadingUnixStreamServer(str(path), Engine) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Engine
        server.shutdown()
    Engine.rows = []


def test_containers_are_found_where_an_engines_socket_may_be_read(engine):
    engine.rows = [
        {"Names": ["/cake"], "Image": "cake:1", "State": "running"},
        {"Id": "0123456789abcdef", "Image": "x" * 500},
    ]
    first, second = discovery.containers()
    assert first == {"kind": "container", "name": "cake", "details": {"image": "cake:1", "state": "running"}}
    assert second["name"] == "0123456789ab"


def test_an_engine_that_fails_offers_nothing(engine):
    engine.rows = {"message": "no"}
    assert discovery.containers() == []


def test_where_there_is_no_engine_there_are_no_containers(monkeypatch, tmp_path):
    monkeypatch.setattr(discovery, "SOCKETS", (tmp_path / "no.sock",))
    assert discovery.containers() == []


def test_the_server_takes_whatever_a_host_calls_its_programs(engine):
    engine.rows = [{"Names": ["/" + "n" * 900], "Image": "i" * 9000}, {"Names": ["/nul\0"], "State": None}]
    assert len(msgspec.convert(discovery.discover(), list[Found])) >= 2
    assert discovery._text(b"caf\xe9".decode(errors="surrogateescape")) == "caf?"
