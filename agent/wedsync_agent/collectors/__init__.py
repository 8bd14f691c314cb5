"""Collectors by name: each looks at one part of the host and answers readings."""

from __future__ import annotations

from collections.abc import Callable

from wedsync_agent.collectors import disk, memory, network, processes
from wedsync_agent.configuration import Collection
from wedsync_agent.wire import Reading

Collector = Callable[[Collection], list[Reading]]

COLLECTORS: dict[str, Collector] = {
    "memory": memory.memory,
    "swap": memory.swap,
    "disk": disk.usage,
    "disk_io": disk.traffic,
    "network": network.counters,
    "load": processes.load,
    "processes": processes.count,
    "services": processes.services,
}


def collect(wanted: Collection) -> tuple[list[Reading], list[str]]:
    """The readings of all wanted collectors, and what went wrong: one that fails does not stop the others."""
    readings: list[Reading] = []
    problems: list[str] = []
    for name in wanted.collectors:
        collector = COLLECTORS.get(name)
        if collector is None:
            continue
        try:
            readings += collector(wanted)
        except Exception as error:  # hosts differ in what they allow; the rest is still worth having
            problems.append(f"{name}: {type(error).__name__}: {error}")
    return readings, problems
