"""Reading an answer piece by piece, each within a bound."""

from __future__ import annotations

from wedsync_agent.probes.base import Trouble
from wedsync_agent.probes.connecting import Stream


def too_large(limit: int) -> Trouble:
    return Trouble("expectation", f"the answer is larger than {limit} bytes (max_body_bytes)")


class Reader:
    """What has come of an answer and is not read yet."""

    __slots__ = ("_stream", "held")

    def __init__(self, stream: Stream):
        self._stream, self.held = stream, bytearray()

    async def fill(self) -> bool:
        """Wait for more; False at the end."""
        data = await self._stream.receive()
        self.held += data
        return bool(data)

    async def until(self, end: bytes, limit: int, what: str) -> bytes:
        """The bytes before `end`, which is read too."""
        looked = 0
        while (place := self.held.find(end, looked)) < 0:
            if len(self.held) > limit:
                raise Trouble("protocol", f"{what} longer than {limit} bytes")
            looked = max(len(self.held) - len(end) + 1, 0)
            if not await self.fill():
                raise Trouble("protocol", self._ended(what))
        found = bytes(self.held[:place])
        del self.held[: place + len(end)]
        return found

    def _ended(self, what: str) -> str:
        return f"the connection ended within {what}" if self.held else f"the connection ended before {what}"

    async def exactly(self, size: int) -> bytes:
        while len(self.held) < size:
            if not await self.fill():
                raise Trouble("protocol", f"the connection ended after {len(self.held)} of {size} bytes")
        found = bytes(self.held[:size])
        del self.held[:size]
        return found

    async def rest(self, limit: int) -> bytes:
        while await self.fill():
            if len(self.held) > limit:
                raise too_large(limit)
        return bytes(self.held)
