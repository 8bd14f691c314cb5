"""Whether this host itself is cut off: then what it cannot reach is unknown, and not down.

Where references are configured they say so. Else it is inferred: several targets that could be reached before are all
out of reach now, and nothing has been reached meanwhile. Then either this host is cut off or all that it looks at is
down at once; nobody can tell from here, so whoever uses this must alarm on the location itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from wedsync_agent.probes.base import Check, Outcome, Problem

# Fewer targets that fail at once may well be down.
MIN_TARGETS = 3
# Attempts that are older say nothing of now.
RECENT_SECONDS = 120.0
_REFERENCE_TIMEOUT_SECONDS = 3.0
# Nothing came back: neither an answer nor a refusal, which would have needed a network.
_NETWORK: frozenset[Problem] = frozenset({"resolve", "connect", "timeout"})


@dataclass
class _Target:
    attempted_at: float
    is_reached: bool
    was_reached: bool


def is_network_failure(outcome: Outcome) -> bool:
    return outcome.problem in _NETWORK


def target_of(check: Check) -> str:
    """What is reached or not: the host and port of a check."""
    return check.host or urlsplit(check.url).netloc


class Connectivity:
    """What the attempts of the last minutes say of this host's own network. `now` is in seconds that never go back."""

    def __init__(self) -> None:
        self._targets: dict[str, _Target] = {}

    def note(self, target: str, outcome: Outcome, now: float) -> None:
        """An attempt ended. What does not go over the network says nothing."""
        if outcome.says_nothing_about_the_target:
            return
        reached, before = not is_network_failure(outcome), self._targets.get(target)
        self._targets[target] = _Target(now, reached, reached or (before is not None and before.was_reached))

    def is_cut_off(self, now: float) -> bool:
        """Whether at least MIN_TARGETS were attempted lately, all of them failed, and each had been reached before."""
        lately = [one for one in self._targets.values() if now - one.attempted_at <= RECENT_SECONDS]
        if any(one.is_reached for one in lately):
            return False
        return sum(one.was_reached for one in lately) >= MIN_TARGETS


async def any_answers(references: Sequence[tuple[str, int]]) -> bool:
    """Whether one of the references takes a connection."""
    tries = [asyncio.ensure_future(_answers(host, port)) for host, port in references]
    try:
        for one in asyncio.as_completed(tries):
            if await one:
                return True
        return False
    finally:
        for one in tries:
            one.cancel()


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_REFERENCE_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
