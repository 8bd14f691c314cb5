"""Memory and swap."""

import psutil

from wedsync_agent.configuration import Collection
from wedsync_agent.wire import Reading


def memory(wanted: Collection) -> list[Reading]:
    state = psutil.virtual_memory()
    return [
        Reading("memory_usage_percent", state.percent, "percent"),
        Reading("memory_available_bytes", state.available, "bytes"),
    ]


def swap(wanted: Collection) -> list[Reading]:
    return [Reading("swap_usage_percent", psutil.swap_memory().percent, "percent")]
