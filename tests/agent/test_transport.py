"""What is spooled reaches a real server on loopback, in order, whatever that server does meanwhile."""

from __future__ import annotations

import random
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import msgspec
import pytest
import zstandard
from wedsync_agent import wire
from wedsync_agent.spool import Spool
from wedsync_agent.transport import Sender
from wedsync_agent.wire import Reading

PROBLEM = {"Content-Type": "application/problem+json"}
HTML = {"Content-Type": "text/html"}


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.poison: set[int] = set()
        self.taken: list[int] = []


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = zstandard.decompress(self.rfile.read(int(self.headers["Content-Length"])))
        stamps = [
            stamp
            for batch in msgspec.msgpack.decode(body)["batches"]
            for (stamp,) in struct.iter_unpack("<q", batch["timestamps"])
        ]
        code, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        if code == 200 and self.server.poison & set(stamps):
            code, headers = 400, PROBLEM
        if code == 200:
            self.server.taken += stamps
        answer = msgspec.json.encode({"success": True, "accepted": len(stamps), "rejected": []})
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def sender(server: Server, tmp_path) -> Iterator[Sender]:
    spool = Spool(tmp_path / "queue")
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as http:
        yield Sender(spool, http, lambda: "wsa_key", tmp_path / "refused")
    spool.close()


def spool_instants(sender: Sender, *stamps: int) -> None:
    for stamp in stamps:
        for batch in wire.encode(stamp, [Reading("cpu", float(stamp))]):
            sender.spool.append(batch)


def drain(sender: Sender, steps: int = 50) -> list[float]:
    return [sender.step(random.Random(1)) for _ in range(steps)]


def test_instants_arrive_in_order_and_the_spool_empties(server, sender):
    spool_instants(sender, *range(1, 200))
    drain(sender)
    assert server.taken == list(range(1, 200))
    assert sender.spool.depth_bytes() == 0


def test_nothing_is_lost_through_errors_and_throttling(server, sender):
    spool_instants(sender, 1, 2, 3)
    server.answers = [(503, {}), (429, {"Retry-After": "7"}), (500, {}), (401, {})]
    pauses = drain(sender, 4)
    assert pauses[1] == 7
    assert all(pause > 0 for pause in pauses)
    assert server.taken == []
    drain(sender, 2)
    assert server.taken == [1, 2, 3]


def test_one_record_that_is_never_taken_does_not_hold_up_the_rest(server, sender, tmp_path):
    server.poison = {3}
    spool_instants(sender, 1, 2, 3, 4, 5)
    drain(sender)
    assert sorted(server.taken) == [1, 2, 4, 5]
    assert len(list((tmp_path / "refused").iterdir())) == 1


@pytest.mark.parametrize("code", [302, 400, 403, 404, 413, 415, 422])
def test_what_stands_between_agent_and_server_costs_no_record(server, sender, tmp_path, code):
    spool_instants(sender, 1, 2, 3)
    server.answers = [(code, HTML)] * 5
    drain(sender)
    assert server.taken == [1, 2, 3]
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("code", [401, 403, 404, 409])
def test_a_key_or_an_address_that_is_wrong_is_waited_for(server, sender, tmp_path, code):
    spool_instants(sender, 1)
    server.answers = [(code, PROBLEM)] * 3
    assert all(pause > 0 for pause in drain(sender, 3))
    drain(sender, 1)
    assert server.taken == [1]


def test_a_proxy_that_takes_less_at_once_gets_less_at_once(server, sender):
    spool_instants(sender, 1, 2, 3, 4)
    server.answers = [(413, HTML), (413, HTML)]
    assert drain(sender, 2) == [0, 0]
    drain(sender)
    assert server.taken == [1, 2, 3, 4]


def test_a_server_that_is_away_is_waited_for(tmp_path):
    spool = Spool(tmp_path / "queue")
    with httpx.Client(base_url="http://127.0.0.1:9") as http:
        sender = Sender(spool, http, lambda: "wsa_key", tmp_path / "refused")
        spool_instants(sender, 1)
        pauses = drain(sender, 8)
    assert pauses[-1] > pauses[0] > 0
    assert sender.spool.peek(10**6)[0]
    spool.close()
