"""Running probes: one within its time, and many beside each other."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping

from wedsync_agent.probes.base import Check, Outcome, Phase, Probe, Surroundings, Trace, Trouble
from wedsync_agent.probes.connecting import refused
from wedsync_agent.probes.redaction import Missing

log = logging.getLogger(__name__)
DEFAULT_CONCURRENCY = 500
_WAITED_FOR: Mapping[Phase, str] = {
    "dns_lookup_ms": "the name was not resolved",
    "connection_ms": "there was no connection",
    "tls_handshake_ms": "the TLS handshake did not end",
    "first_byte_ms": "nothing was answered",
    "download_ms": "the answer did not end",
}


class Runner:
    """Runs checks by the probes of their kinds."""

    def __init__(self, probes: Mapping[str, Probe]):
        self._probes = probes

    async def run(self, check: Check, around: Surroundings | None = None) -> Outcome:
        """Run `check` once. Raises nothing but CancelledError, where the caller is cancelled."""
        around = around or Surroundings()
        trace = Trace(around)
        try:
            trouble = await self._trouble(check, trace, around)
        except Exception as error:  # a defect of a probe is no reason to lose the round of all others
            log.exception("a probe of type %s failed", check.kind)
            trouble = Trouble("impossible", f"the probe itself failed: {type(error).__name__}")
        return trace.outcome(trouble)

    async def _trouble(self, check: Check, trace: Trace, around: Surroundings) -> Trouble | None:
        try:
            probe = self._probes[check.kind]
        except KeyError:
            return Trouble("configuration", f"no probe is called {check.kind!r}: send one of {', '.join(self._probes)}")
        try:
            async with asyncio.timeout(check.timeout_seconds):
                await probe(check, trace, around)
        except Trouble as trouble:
            return trouble
        except Missing as error:
            return Trouble("configuration", str(error))
        except TimeoutError as error:
            if error.errno is None:
                waited = _WAITED_FOR[trace.watch.phase]
                return Trouble("timeout", f"{waited} within {check.timeout_seconds:g} seconds")
            return refused(error, "the connection was lost")
        except ssl.SSLError as error:
            return Trouble("tls", f"TLS failed: {error.reason or error}")
        except OSError as error:
            return refused(error, "the connection was lost")
        return _late(check, trace) or _expiring(check, trace)

    async def run_many(
        self, checks: Iterable[Check], around: Surroundings | None = None, *, concurrency: int = DEFAULT_CONCURRENCY
    ) -> AsyncIterator[tuple[Check, Outcome]]:
        """Run all, `concurrency` at a time, each outcome as soon as it is there. A target that hangs holds one place of
        them until its timeout, and nothing else. What is left by the caller is cancelled."""
        waiting = iter(checks)
        done: asyncio.Queue[tuple[Check, Outcome] | None] = asyncio.Queue()

        async def work() -> None:
            try:
                for check in waiting:
                    done.put_nowait((check, await self.run(check, around)))
            finally:
                done.put_nowait(None)

        workers = [asyncio.ensure_future(work()) for _ in range(concurrency)]
        try:
            ended = 0
            while ended < len(workers):
                if (result := await done.get()) is None:
                    ended += 1
                else:
                    yield result
            for worker in workers:
                worker.result()  # raises what `checks` raised
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


def _late(check: Check, trace: Trace) -> Trouble | None:
    limits = [check.config.expected_response_time_ms, check.expected.response_time_ms]
    limit = min((one for one in limits if one), default=None)
    if limit is None or (took := trace.watch.so_far().total_ms) <= limit:
        return None
    return Trouble("slow", f"it took {took:.0f} ms, expected at most {limit} ms")


def _expiring(check: Check, trace: Trace) -> Trouble | None:
    least, certificate = check.config.certificate_days_warning, trace.certificate
    if least is None or certificate is None or "earliest_days_left" not in certificate:
        return None
    left = certificate["earliest_days_left"]
    if left > least:
        return None
    return Trouble("expiring", f"a certificate of the chain ends in {left:g} days, expected more than {least}")
