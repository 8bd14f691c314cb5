"""How a conversation in the clear becomes one in TLS, by protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from wedsync_agent.probes.base import Trace, Trouble
from wedsync_agent.probes.connecting import Stream
from wedsync_agent.probes.reading import Reader

MAX_LINES = 100
_LINE_BYTES = 2048
# What is sent, and how the last line of its answer begins.
_CONVERSATIONS: Mapping[str, Sequence[tuple[bytes, str]]] = {
    "smtp": [(b"", "220 "), (b"EHLO wedsync-monitor\r\n", "250 "), (b"STARTTLS\r\n", "220 ")],
    "imap": [(b"", r"\* OK"), (b"a1 STARTTLS\r\n", "a1 OK")],
    "pop3": [(b"", r"\+OK"), (b"STLS\r\n", r"\+OK")],
    "ftp": [(b"", "220 "), (b"AUTH TLS\r\n", "234 ")],
}
_REFUSAL = re.compile(r"[45][0-9][0-9] |-ERR|a1 (NO|BAD)|\* BYE", re.IGNORECASE)


async def upgrade(stream: Stream, protocol: str, trace: Trace) -> None:
    """Talk until the server waits for the handshake. Raises Trouble."""
    trace.watch.enter("tls_handshake_ms")
    reader = Reader(stream)
    for sent, last in _CONVERSATIONS[protocol]:
        await stream.send(sent)
        await _answered(reader, protocol, re.compile(last, re.IGNORECASE))
    if reader.held:
        # Taken for a part of the conversation in TLS it would be somebody else's words.
        raise Trouble("protocol", "the server goes on in the clear after it agreed to TLS")


async def _answered(reader: Reader, protocol: str, last: re.Pattern[str]) -> None:
    for _ in range(MAX_LINES):
        line = (await reader.until(b"\n", _LINE_BYTES, f"an answer of {protocol}")).decode("latin-1")
        if last.match(line):
            return
        if _REFUSAL.match(line):
            raise Trouble("expectation", f"no STARTTLS: the server answers {line.strip()[:100]!a}")
    raise Trouble("protocol", f"an answer of {protocol} has more than {MAX_LINES} lines")
