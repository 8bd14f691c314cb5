"""Load, processes and watched services."""

import time

import psutil

from wedsync_agent.configuration import Collection
from wedsync_agent.wire import Reading


def load(wanted: Collection) -> list[Reading]:
    one, five, fifteen = psutil.getloadavg()
    uptime = max(time.time() - psutil.boot_time(), 0)
    return [
        Reading("load_1m", one),
        Reading("load_5m", five),
        Reading("load_15m", fifteen),
        Reading("uptime_seconds", uptime, "seconds"),
    ]


def count(wanted: Collection) -> list[Reading]:
    return [Reading("process_count", len(psutil.pids()), "count")]


def services(wanted: Collection) -> list[Reading]:
    """1 where a process of the watched name runs, 0 where none does."""
    if not wanted.watched_services:
        return []
    running = {process.info["name"] for process in psutil.process_iter(["name"])}
    return [
        Reading("service_up", float(name in running), "", labels={"service": name}) for name in wanted.watched_services
    ]
