"""Checks run beside each other in an asyncio loop in a thread of its own, each with its attempts: server and agents.

    with Prober(references) as prober:
        prober.start(ticket, check, around, retries)     # at once, and never waits
        for ended in prober.take(timeout_seconds): ...   # what has ended since; waits for the first

A target that hangs holds one place of those that its owner counts (`under_way`), and nothing else.
"""

from __future__ import annotations

import asyncio
import queue
import resource
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from wedsync_agent import connectivity
from wedsync_agent.connectivity import Connectivity
from wedsync_agent.probes import Check, Outcome, Problem, Surroundings, run

# What another attempt would not change.
_FINAL: frozenset[Problem] = frozenset({"configuration", "forbidden", "expiring"})
CUT_OFF = "this location is cut off from the network: nothing that it looks at can be reached"


@dataclass(frozen=True)
class Ended:
    """A run that ended: the last attempt's outcome, and what it says. `ticket` is its owner's."""

    ticket: Any
    outcome: Outcome
    attempts: int
    is_counted: bool


async def attempts(check: Check, around: Surroundings, retries: int, pause_seconds: float) -> tuple[Outcome, int]:
    """Run `check` until it succeeds, at most `retries` times more; only the last outcome counts."""
    number = 0
    while True:
        outcome = await run(check, around)
        number += 1
        if outcome.problem is None or outcome.problem in _FINAL or number > retries:
            return outcome, number
        await asyncio.sleep(pause_seconds)


class Prober:
    """Runs what it is given until it is left. `references` are host:port that answer unless this host is cut off."""

    def __init__(self, references: Sequence[tuple[str, int]] = (), pause_seconds: float = 1.0):
        self._loop = asyncio.new_event_loop()
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)
        self._references, self._pause_seconds = references, pause_seconds
        self._connectivity = Connectivity()
        self.is_cut_off = False  # by what the last attempts say
        self._tasks: set[asyncio.Task[None]] = set()
        self.under_way: set[Any] = set()

    def __enter__(self) -> Prober:
        _allow_many_sockets()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                self._loop.run_until_complete(task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def start(self, ticket: Any, check: Check, around: Surroundings, retries: int) -> None:
        """Begin a run; `ticket` comes back with what it ended with."""
        self.under_way.add(ticket)
        self._loop.call_soon_threadsafe(self._begin, ticket, check, around, retries)

    def _begin(self, ticket: Any, check: Check, around: Surroundings, retries: int) -> None:
        task = self._loop.create_task(self._probe(ticket, check, around, retries))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _probe(self, ticket: Any, check: Check, around: Surroundings, retries: int) -> None:
        outcome, number = await attempts(check, around, retries, self._pause_seconds)
        self._connectivity.note(connectivity.target_of(check), outcome, around.clock())
        is_counted = not outcome.says_nothing_about_the_target
        if connectivity.is_network_failure(outcome):
            self.is_cut_off = await self._reaches_nothing(around.clock())
            if self.is_cut_off:
                outcome, is_counted = replace(outcome, error_message=f"{CUT_OFF}; {outcome.error_message}"), False
        elif is_counted:
            self.is_cut_off = False
        self._ended.put(Ended(ticket, outcome, number, is_counted))

    async def _reaches_nothing(self, now: float) -> bool:
        """Asked only after a failure: what can be reached needs no proof."""
        if self._references:
            return not await connectivity.any_answers(self._references)
        return self._connectivity.is_cut_off(now)

    def take(self, timeout_seconds: float, at_most: int = 1000) -> list[Ended]:
        """What has ended since; waits for the first of it."""
        found: list[Ended] = []
        with suppress(queue.Empty):
            found.append(self._ended.get(timeout=timeout_seconds))
            while len(found) < at_most:
                found.append(self._ended.get_nowait())
        self.under_way.difference_update(one.ticket for one in found)
        return found


def _allow_many_sockets() -> None:
    """The usual limit of open files is below what many targets that hang need at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
