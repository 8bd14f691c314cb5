"""Network interfaces."""

import psutil

from wedsync_agent.configuration import Collection
from wedsync_agent.wire import Reading

MAX_INTERFACES = 32
VIRTUAL = ("lo", "veth", "docker", "br-", "virbr", "cni", "flannel")


def _interfaces(wanted: Collection, present: list[str]) -> list[str]:
    if wanted.network_interfaces is not None:
        return [name for name in wanted.network_interfaces if name in present]
    real = [name for name in sorted(present) if not name.startswith(VIRTUAL)]
    return (real or sorted(present))[:MAX_INTERFACES]


def counters(wanted: Collection) -> list[Reading]:
    states = psutil.net_io_counters(pernic=True, nowrap=True)
    readings = []
    for name in _interfaces(wanted, list(states)):
        labels, state = {"interface": name}, states[name]
        readings.append(Reading("network_receive_bytes", state.bytes_recv, "bytes", "counter", labels))
        readings.append(Reading("network_transmit_bytes", state.bytes_sent, "bytes", "counter", labels))
        readings.append(Reading("network_errors", state.errin + state.errout, "count", "counter", labels))
    return readings


def total_bytes(wanted: Collection) -> int:
    """Bytes of all interfaces in both directions since boot."""
    states = psutil.net_io_counters(pernic=True, nowrap=True)
    return sum(states[name].bytes_recv + states[name].bytes_sent for name in _interfaces(wanted, list(states)))
