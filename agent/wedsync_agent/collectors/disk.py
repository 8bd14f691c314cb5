"""File systems and block devices."""

import os

import psutil

from wedsync_agent.configuration import Collection
from wedsync_agent.wire import Reading

MAX_MOUNTS = MAX_DEVICES = 32
PSEUDO = frozenset({"tmpfs", "devtmpfs", "overlay", "squashfs", "proc", "sysfs", "autofs", "iso9660"})


def _mounts(wanted: Collection) -> list[str]:
    """Real file systems, each device once; the root always."""
    if wanted.disk_mounts is not None:
        return list(wanted.disk_mounts)[:MAX_MOUNTS]
    devices: dict[str, str] = {}
    for part in psutil.disk_partitions(all=False):
        if part.fstype not in PSEUDO and os.path.isdir(part.mountpoint):
            known = devices.get(part.device)
            if known is None or len(part.mountpoint) < len(known):
                devices[part.device] = part.mountpoint
    return sorted({"/", *devices.values()})[:MAX_MOUNTS]


def usage(wanted: Collection) -> list[Reading]:
    readings = []
    for mount in _mounts(wanted):
        state, labels = psutil.disk_usage(mount), {"mount": mount}
        readings.append(Reading("disk_usage_percent", state.percent, "percent", labels=labels))
        readings.append(Reading("disk_free_bytes", state.free, "bytes", labels=labels))
    return readings


def traffic(wanted: Collection) -> list[Reading]:
    devices = psutil.disk_io_counters(perdisk=True, nowrap=True) or {}
    real = [name for name in sorted(devices) if not name.startswith(("loop", "ram", "dm-"))][:MAX_DEVICES]
    readings = []
    for name in real:
        labels, state = {"device": name}, devices[name]
        readings.append(Reading("disk_read_bytes", state.read_bytes, "bytes", "counter", labels))
        readings.append(Reading("disk_write_bytes", state.write_bytes, "bytes", "counter", labels))
    return readings
