"""A real exporter on loopback that behaves as it is told to."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "text/plain; version=0.0.4; charset=utf-8"
PAGE = b"""# TYPE jobs_total counter
jobs_total{queue="mail"} 7
# TYPE depth gauge
depth{queue="mail",instance="inner"} 3
"""
_MEBIBYTE = b"x" * 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    server: Exporter

    def do_GET(self) -> None:
        self.server.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        with suppress(OSError):
            self.server.behave(self)

    def answer(self, body: bytes, content_type: str = TEXT, code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


Behaviour = Callable[[Handler], None]


class Exporter(ThreadingHTTPServer):
    """Answers PAGE unless it is told to behave otherwise."""

    daemon_threads, request_queue_size = True, 256

    def __init__(self, behave: Behaviour | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave: Behaviour = behave or says(PAGE)
        self.got: list[tuple[str, dict[str, str]]] = []
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def end(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


def says(body: bytes, content_type: str = TEXT, code: int = 200, **headers: str) -> Behaviour:
    return lambda handler: handler.answer(body, content_type, code, **headers)


def hangs(handler: Handler) -> None:
    """Says nothing."""
    handler.server.closing.wait(20)


def drips(handler: Handler) -> None:
    """Sends a byte now and then, for ever."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(b"#")
        handler.wfile.flush()


def floods(handler: Handler) -> None:
    """Sends without end."""
    handler.send_response(200)
    handler.send_header("Content-Type", TEXT)
    handler.end_headers()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        handler.wfile.write(_MEBIBYTE)


def breaks_off(handler: Handler) -> None:
    """Promises more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(PAGE)


def babbles(handler: Handler) -> None:
    """Does not speak HTTP."""
    handler.wfile.write(b"220 smtp.example.com ESMTP\r\n")


def bomb() -> Behaviour:
    """A small gzip that unpacks to 64 MiB."""
    return says(gzip.compress(b"a" * 64 * 1024 * 1024, 1), Content_Encoding="gzip")
