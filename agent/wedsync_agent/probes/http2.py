"""One request and its answer in HTTP/2 (RFC 9113), over the library h2."""

from __future__ import annotations

from contextlib import suppress

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from hpack.exceptions import HPACKError

from wedsync_agent.probes.base import Trace, Trouble
from wedsync_agent.probes.connecting import Stream
from wedsync_agent.probes.http1 import MAX_HEADERS, Answer, Headers, note
from wedsync_agent.probes.reading import too_large

# Of these a connection would be said to have forbidden ones (RFC 9113, section 8.2.2).
_HOP_BY_HOP = {"connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
# What frames may take beside the body: pings, settings and empty frames without end stop here.
_OVERHEAD_BYTES = 1024 * 1024


async def exchange(
    stream: Stream, method: str, authority: str, scheme: str, target: str, headers: Headers, body: bytes,
    max_body: int, trace: Trace,
) -> Answer:  # fmt: skip
    """Send and read, as http1.exchange. Raises Trouble."""
    trace.watch.enter("first_byte_ms")
    spoken = _Conversation(stream, max_body, trace)
    pseudo = [(":method", method), (":authority", authority), (":scheme", scheme), (":path", target)]
    sent = [(name.lower(), value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
    try:
        await spoken.say([*pseudo, *sent], body)
        return await spoken.hear()
    except (h2.exceptions.H2Error, HPACKError) as error:
        raise Trouble("protocol", f"not HTTP/2: {type(error).__name__}: {error}") from error


class _Conversation:
    """One connection with one request."""

    def __init__(self, stream: Stream, max_body: int, trace: Trace):
        self._stream, self._max_body, self._trace = stream, max_body, trace
        self._spoken = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1"))
        self._answer: Answer | None = None
        self._body = bytearray()
        self._ended = False
        self._heard = 0

    async def say(self, headers: Headers, body: bytes) -> None:
        self._spoken.initiate_connection()
        self._spoken.send_headers(1, headers, end_stream=not body)
        await self._flush()
        while body and not self._ended:
            room = min(self._spoken.local_flow_control_window(1), self._spoken.max_outbound_frame_size, len(body))
            if room <= 0:
                await self._listen()
                continue
            self._spoken.send_data(1, body[:room], end_stream=room == len(body))
            body = body[room:]
            await self._flush()

    async def hear(self) -> Answer:
        while not self._ended:
            await self._listen()
        if self._answer is None:
            raise Trouble("protocol", "the stream ended before the headers")
        self._answer.body = bytes(self._body)
        self._trace.size_bytes = len(self._body)
        with suppress(h2.exceptions.H2Error, OSError):
            self._spoken.close_connection()
            await self._flush()
        return self._answer

    async def _flush(self) -> None:
        await self._stream.send(self._spoken.data_to_send())

    async def _listen(self) -> None:
        data = await self._stream.receive()
        if not data:
            raise Trouble("protocol", "the connection ended within the answer")
        self._heard += len(data)
        if self._heard > self._max_body + _OVERHEAD_BYTES:
            raise too_large(self._max_body)
        for event in self._spoken.receive_data(data):
            self._take(event)
        await self._flush()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self._head(event)
        elif isinstance(event, h2.events.DataReceived):
            self._body += event.data
            if len(self._body) > self._max_body:
                raise too_large(self._max_body)
            self._spoken.acknowledge_received_data(event.flow_controlled_length, 1)
        elif isinstance(event, h2.events.StreamEnded):
            self._ended = True
        elif isinstance(event, h2.events.StreamReset) and not self._ended:
            raise Trouble("protocol", f"the stream was reset: {_named(event.error_code)}")
        elif isinstance(event, h2.events.ConnectionTerminated) and event.error_code:
            raise Trouble("protocol", f"the connection was ended: {_named(event.error_code)}")

    def _head(self, event: h2.events.ResponseReceived) -> None:
        self._trace.watch.enter("download_ms")
        received = [(str(name), str(value)) for name, value in event.headers or []]
        if len(received) > MAX_HEADERS:
            raise Trouble("protocol", f"more than {MAX_HEADERS} headers")
        status = dict(received).get(":status", "")
        if not (status.isascii() and status.isdigit() and len(status) == 3):
            raise Trouble("protocol", f"the status cannot be read: {status[:60]!a}")
        self._answer = Answer(int(status), [pair for pair in received if pair[0] != ":status"], version="2")
        note(self._answer, self._trace)


def _named(code: int | h2.errors.ErrorCodes | None) -> str:
    return code.name if isinstance(code, h2.errors.ErrorCodes) else str(code)
