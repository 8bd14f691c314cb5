"""Real receivers on loopback: of webhooks, of what a bot writes to Slack, and of mail."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """A webhook's receiver: answers what it is told to, 200 otherwise."""

    request_queue_size = 128  # five, the default, resets some of thirty connections at once
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.hang = threading.Event()
        self.hang.set()
        self.got: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def reply(self, path: str, body: bytes) -> bytes:
        """The answer's body to what was taken."""
        return b""


class Slack(Receiver):
    """Slack's Web API as far as a bot needs it: it keeps messages and their threads."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}
        self.errors: list[str] = []

    def reply(self, path: str, body: bytes) -> bytes:
        said = json.loads(body)
        if self.errors:
            return json.dumps({"ok": False, "error": self.errors.pop(0)}).encode()
        if path.endswith("/chat.update"):
            if said["ts"] not in self.messages:
                return b'{"ok": false, "error": "message_not_found"}'
            self.messages[said["ts"]] |= said
            return b'{"ok": true}'
        stamp = f"1700000000.{len(self.messages):06}"
        self.messages[stamp] = said
        return json.dumps({"ok": True, "channel": "C0123", "ts": stamp}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.hang.wait(5)
        code, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        said = self.server.reply(self.path, body) if code == 200 else b""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


class MailServer(socketserver.ThreadingTCPServer):
    """SMTP as far as a client needs it: keeps the messages, and refuses recipients with the codes it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MailSession)
        self.refusals: list[int] = []
        self.hang = threading.Event()
        self.hang.set()
        self.mails: list[bytes] = []


class MailSession(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.server.hang.wait(5)
        self._say("220 ready")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self._say("354 go on")
                self.server.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            elif verb == b"RCPT" and self.server.refusals:
                self._say(f"{self.server.refusals.pop(0)} not now")
                continue
            self._say("250 ok")
            if verb == b"QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
