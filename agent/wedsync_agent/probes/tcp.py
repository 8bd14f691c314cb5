"""tcp: a connection, TLS where asked for, and a dialogue of what is sent and expected."""

from __future__ import annotations

from wedsync_agent.probes import assertions, connecting, excerpts, starttls, tls
from wedsync_agent.probes.base import Check, Surroundings, Trace, Trouble
from wedsync_agent.probes.connecting import Stream
from wedsync_agent.probes.reading import Reader

MAX_ANSWER_BYTES = 16 * 1024


async def probe(check: Check, trace: Trace, around: Surroundings) -> None:
    config = check.config
    if not check.host or not check.port:
        raise Trouble("configuration", "a check of type tcp needs target_host and target_port")
    stream = await connecting.connect(check.host, check.port, config, trace, around)
    try:
        if config.starttls:
            await starttls.upgrade(stream, config.starttls, trace)
        if config.tls or config.starttls:
            await tls.secure(stream, check.host, config, trace)
        if config.dialogue:
            await _talk(stream, check, trace)
    finally:
        stream.close()


async def _talk(stream: Stream, check: Check, trace: Trace) -> None:
    trace.watch.enter("first_byte_ms")
    reader, heard = Reader(stream), bytearray()
    try:
        for line in check.config.dialogue:
            await stream.send(trace.vault.fill(line.send).encode())
            if line.expect:
                heard += await _answer(reader, line.expect, trace)
    finally:
        heard += reader.held
        trace.size_bytes = len(heard)
        if check.config.sample_bytes:
            trace.body_sample = excerpts.beginning(heard.decode("utf-8", "replace"), check.config, trace)


async def _answer(reader: Reader, expected: str, trace: Trace) -> bytes:
    """What comes until it matches."""
    pattern = assertions.pattern(expected)
    while not pattern.search(reader.held.decode("utf-8", "replace")):
        if len(reader.held) > MAX_ANSWER_BYTES:
            raise Trouble("expectation", f"{MAX_ANSWER_BYTES} bytes came, and none match {expected!r}")
        if not await reader.fill():
            saw = ascii(reader.held[:100].decode("latin-1"))
            raise Trouble("expectation", f"the connection ended, expected {expected!r}, came {saw}")
        trace.watch.enter("download_ms")
    answer = bytes(reader.held)
    reader.held.clear()
    return answer
