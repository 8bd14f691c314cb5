"""One request and its answer in HTTP/1.1 (RFC 9112), strictly and within bounds. A reader of its own: it takes
little of the time that a general one would."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from wedsync_agent.probes import cookies
from wedsync_agent.probes.base import Trace, Trouble
from wedsync_agent.probes.connecting import Stream
from wedsync_agent.probes.reading import Reader, too_large

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
MAX_INTERIM_ANSWERS = 8
# Chunks of a byte each would keep the loop from everybody else.
MAX_CHUNKS = 20_000
_LINE_BYTES = 1024
_STATUS = re.compile(r"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n\0]*)?")
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*)\r\n")
_HEADERS = re.compile(rf"(?:{_HEADER.pattern})*+")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")

Headers = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Answer:
    """A response: names of headers in lower case and in their order, the body as it was sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    version: str = "1.1"
    joined: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.headers:
            self.joined[name] = f"{self.joined[name]}, {value}" if name in self.joined else value


def request(method: str, target: str, headers: Headers, body: bytes) -> bytes:
    """A request as it stands on the wire."""
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers], "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


async def exchange(stream: Stream, method: str, sent: bytes, max_body: int, trace: Trace) -> Answer:
    """Send and read. Status and headers are in the trace before the body is read. Raises Trouble."""
    trace.watch.enter("first_byte_ms")
    await stream.send(sent)
    reader = Reader(stream)
    await reader.fill()
    trace.watch.enter("download_ms")
    answer = await _final_head(reader)
    note(answer, trace)
    answer.body = await _body(reader, method, answer, max_body, trace)
    return answer


def note(answer: Answer, trace: Trace) -> None:
    """The head, whatever becomes of the body. Nobody else may see the cookies that came with it."""
    for value in cookies.values(answer.headers):
        trace.vault.hide(value)
    trace.status_code, trace.headers = answer.status, answer.joined


async def tunnel(stream: Stream, sent: bytes) -> int:
    """Ask a proxy for a connection (RFC 9110, section 9.3.6). The status of its answer; raises Trouble."""
    await stream.send(sent)
    reader = Reader(stream)
    answer = await _final_head(reader)
    if reader.held:
        raise Trouble("protocol", "the proxy sent more than its answer")
    return answer.status


async def _final_head(reader: Reader) -> Answer:
    for _ in range(MAX_INTERIM_ANSWERS):
        answer = _head(await reader.until(b"\r\n\r\n", MAX_HEAD_BYTES, "the headers"))
        if answer.status >= 200 or answer.status == 101:
            return answer
    raise Trouble("protocol", f"more than {MAX_INTERIM_ANSWERS} interim answers")


def _head(raw: bytes) -> Answer:
    first, _, lines = f"{raw.decode('latin-1')}\r\n".partition("\r\n")
    match = _STATUS.fullmatch(first)
    if match is None:
        raise Trouble("protocol", f"the answer is not HTTP/1.1; it begins with {first[:60]!a}")
    readable = _HEADERS.match(lines)
    if readable is not None and readable.end() < len(lines):
        raise Trouble("protocol", f"a header cannot be read: {lines[readable.end() :][:60]!a}")
    headers = [(name.lower(), value.rstrip(" \t")) for name, value in _HEADER.findall(lines)]
    if len(headers) > MAX_HEADERS:
        raise Trouble("protocol", f"more than {MAX_HEADERS} headers")
    return Answer(int(match[1]), headers)


async def _body(reader: Reader, method: str, answer: Answer, limit: int, trace: Trace) -> bytes:
    """RFC 9112, section 6.3."""
    if method == "HEAD" or answer.status in (101, 204, 304):
        body = b""
    elif "transfer-encoding" in answer.joined:
        if answer.joined["transfer-encoding"].lower() != "chunked":
            raise Trouble("protocol", f"transfer-encoding {answer.joined['transfer-encoding'][:60]} is not read here")
        body = await _chunks(reader, limit)
    elif "content-length" in answer.joined:
        body = await _counted(reader, answer.joined["content-length"], limit)
    else:
        body = await reader.rest(limit)
    trace.size_bytes = len(body)
    return body


async def _counted(reader: Reader, said: str, limit: int) -> bytes:
    lengths = {text.strip() for text in said.split(",")}
    length = lengths.pop()
    if lengths or _LENGTH.fullmatch(length) is None:
        raise Trouble("protocol", f"content-length cannot be read: {said[:60]!a}")
    if int(length) > limit:
        raise too_large(limit)
    return await reader.exactly(int(length))


async def _chunks(reader: Reader, limit: int) -> bytes:
    body = bytearray()
    for _ in range(MAX_CHUNKS):
        line = await reader.until(b"\r\n", _LINE_BYTES, "the size of a chunk")
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise Trouble("protocol", f"the size of a chunk cannot be read: {line[:60].decode('latin-1')!a}")
        size = int(match[1], 16)
        if size == 0:
            await _trailers(reader)
            return bytes(body)
        if len(body) + size > limit:
            raise too_large(limit)
        body += await reader.exactly(size)
        if await reader.exactly(2) != b"\r\n":
            raise Trouble("protocol", "a chunk does not end where it should")
    raise Trouble("protocol", f"more than {MAX_CHUNKS} chunks")


async def _trailers(reader: Reader) -> None:
    size = 0
    while line := await reader.until(b"\r\n", _LINE_BYTES, "the trailers"):
        size += len(line)
        if size > MAX_HEAD_BYTES:
            raise Trouble("protocol", f"trailers longer than {MAX_HEAD_BYTES} bytes")
