"""Where requests may go: a table of addresses, and names that try to lead elsewhere."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from wedsync_monitor import outgoing
from wedsync_monitor.outgoing import Forbidden, Unreachable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("address", "allowed", "reached"),
    [
        ("93.184.216.34", [], True),
        ("2606:4700::1111", [], True),
        ("127.0.0.1", [], False),
        ("127.0.0.1", ["127.0.0.0/8"], True),
        ("10.1.2.3", [], False),
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("192.168.1.1", ["10.0.0.0/8"], False),
        ("169.254.169.254", [], False),
        ("169.254.169.254", ["0.0.0.0/0"], False),
        ("100.100.100.200", ["0.0.0.0/0"], False),
        ("fd00:ec2::254", ["::/0"], False),
        ("fe80::1", ["::/0"], False),
        ("::1", [], False),
        ("::ffff:127.0.0.1", [], False),
        ("::ffff:169.254.169.254", ["0.0.0.0/0", "::/0"], False),
        ("64:ff9b::a9fe:a9fe", ["::/0"], False),
        ("0.0.0.0", [], False),
        ("224.0.0.1", [], False),
        ("255.255.255.255", [], False),
    ],
)
def test_which_addresses_are_reached(address, allowed, reached):
    networks = [ipaddress.ip_network(one) for one in allowed]
    assert (outgoing.refusal(ipaddress.ip_address(address), networks) is None) == reached


def answers(*addresses: str):
    return lambda host, port: [(0, 0, 0, "", (address, port)) for address in addresses]


def test_one_private_address_among_a_names_addresses_is_enough_to_refuse_it():
    with pytest.raises(Forbidden, match=r"10\.0\.0\.1"):
        outgoing.checked_addresses("sneaky.example", 80, answers("93.184.216.34", "10.0.0.1"))
    assert outgoing.checked_addresses("honest.example", 80, answers("93.184.216.34")) == ["93.184.216.34"]


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "file:///etc/passwd", "http://user:secret@example.com/", "http:///nothing", "gopher://x",
     "http://169.254.169.254/latest/meta-data", "http://[::ffff:169.254.169.254]/", "http://0x7f.1/", "http://localhost:0/",
     "http://[::1/", "http://example.com:99999/", "http://[not-an-address]/"],
)  # fmt: skip
def test_urls_that_lead_where_nobody_should_go(url, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    with pytest.raises((Forbidden, outgoing.Unreachable)):
        outgoing.request("GET", url)


@pytest.fixture
def serve(settings) -> Iterator[Callable[..., str]]:
    """Serve one connection on loopback: `serve(b"at once", b"a byte at a time, for ever")` answers the URL."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    over, servers, threads = threading.Event(), [], []

    def answer(server: socket.socket, at_once: bytes, dripped: bytes) -> None:
        connection, _ = server.accept()
        with connection:
            try:
                connection.sendall(at_once)
                while dripped and not over.wait(0.02):
                    connection.sendall(dripped)
            except OSError:
                return

    def start(at_once: bytes = b"", dripped: bytes = b"") -> str:
        server = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=answer, args=(server, at_once, dripped))
        thread.start()
        servers.append(server)
        threads.append(thread)
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    yield start
    over.set()
    for thread in threads:
        thread.join(10)
    for server in servers:
        server.close()


@pytest.fixture
def short_deadline(monkeypatch) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT_SECONDS", 0.4)


def test_an_answer_is_read_with_its_status_headers_and_body(serve):
    answer = outgoing.request("GET", serve(HEAD + b"Content-Length: 5\r\n\r\nhello"))
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/plain", b"hello")


@pytest.mark.parametrize(("at_once", "dripped"), [(b"", b"H"), (HEAD + b"X-Endless: ", b"x"), (HEAD, b"X-A: b\r\n")])
def test_a_target_that_drips_its_headers_is_left_at_the_deadline(serve, short_deadline, at_once, dripped):
    started = time.monotonic()
    with pytest.raises(Unreachable):
        outgoing.request("GET", serve(at_once, dripped))
    assert time.monotonic() - started < 3


def test_a_target_that_says_nothing_is_left_at_the_deadline(serve, short_deadline):
    with pytest.raises(Unreachable, match=r"no answer within 0\.4 seconds"):
        outgoing.request("GET", serve(dripped=b"H"))


@pytest.mark.parametrize("framing", [b"\r\n", b"Content-Length: 1000000\r\n\r\n"])
def test_of_a_body_that_drips_the_beginning_is_answered(serve, short_deadline, framing):
    started = time.monotonic()
    answer = outgoing.request("GET", serve(HEAD + framing, b"x"))
    assert (answer.status, answer.body[:1]) == (200, b"x")
    assert time.monotonic() - started < 3


def test_a_handshake_that_drips_is_left_at_the_deadline(serve, short_deadline):
    # The record's header promises 16 kB, which come a byte at a time.
    promised = b"\x16\x03\x03\x40\x00"
    started = time.monotonic()
    with pytest.raises(Unreachable):
        outgoing.request("GET", serve(promised, b"\x00").replace("http:", "https:"))
    assert time.monotonic() - started < 3


def test_a_resolver_that_does_not_answer_is_left_at_the_deadline(monkeypatch, short_deadline):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(10) or [])
    with pytest.raises(Unreachable, match="does not resolve"):
        outgoing.request("GET", "http://slow.example/")
    released.set()


def test_the_next_address_is_tried_where_the_first_refuses(serve, monkeypatch):
    url = serve(HEAD + b"Content-Length: 0\r\n\r\n")
    port = int(url.rstrip("/").rpartition(":")[2])
    monkeypatch.setattr(outgoing, "_resolve", answers("127.0.0.9", "127.0.0.1"))
    assert outgoing.request("GET", f"http://two.example:{port}/").status == 200
