"""What the collectors see of the machine that the tests run on."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import psutil
import pytest
from wedsync_agent.collectors import COLLECTORS, collect, disk, memory, network, processes
from wedsync_agent.configuration import Collection
from wedsync_agent.wire import Reading, fits


def values(readings: list[Reading]) -> dict[str, float]:
    return {reading.name: reading.value for reading in readings}


def test_memory_is_a_share_and_what_is_left_of_the_whole():
    seen = values(memory.memory(Collection()))
    assert 0 < seen["memory_usage_percent"] <= 100
    assert 0 < seen["memory_available_bytes"] <= psutil.virtual_memory().total
    assert 0 <= values(memory.swap(Collection()))["swap_usage_percent"] <= 100


def test_the_root_is_always_among_the_disks():
    readings = disk.usage(Collection())
    assert "/" in {reading.labels["mount"] for reading in readings}
    assert all(0 <= one.value <= 100 for one in readings if one.name == "disk_usage_percent")
    assert all(one.value >= 0 for one in readings if one.name == "disk_free_bytes")


def test_mounts_that_are_named_are_looked_at_and_no_others(tmp_path):
    readings = disk.usage(Collection(disk_mounts=(str(tmp_path),)))
    assert {reading.labels["mount"] for reading in readings} == {str(tmp_path)}
    assert values(readings)["disk_free_bytes"] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert disk.usage(Collection(disk_mounts=())) == []


def test_devices_count_upwards():
    first, second = (disk.traffic(Collection()) for _ in range(2))
    assert all(reading.kind == "counter" for reading in first)
    assert all(after.value >= before.value for before, after in zip(first, second, strict=True))


def test_bytes_that_cross_an_interface_are_counted():
    wanted = Collection(network_interfaces=(_loopback(), "no-such-interface"))
    before, total = values(network.counters(wanted)), network.total_bytes(wanted)
    _send_to_oneself(100_000)
    after = values(network.counters(wanted))
    assert after["network_receive_bytes"] - before["network_receive_bytes"] >= 100_000
    assert after["network_transmit_bytes"] - before["network_transmit_bytes"] >= 100_000
    assert network.total_bytes(wanted) - total >= 200_000


def _loopback() -> str:
    addresses = psutil.net_if_addrs()
    return next(name for name, held in addresses.items() if any(one.address == "127.0.0.1" for one in held))


def _send_to_oneself(size: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sender:
        receiver, _ = server.accept()
        with receiver:
            sent = received = 0
            while received < size:
                sent += sender.send(b"x" * min(10_000, size - sent)) if sent < size else 0
                received += len(receiver.recv(10_000))


def test_load_and_processes_are_those_of_the_machine():
    seen = values(processes.load(Collection()) + processes.count(Collection()))
    assert seen["uptime_seconds"] > 0
    assert {"load_1m", "load_5m", "load_15m"} < set(seen)
    assert seen["process_count"] >= 1


def test_a_watched_service_is_up_while_a_process_of_its_name_runs(tmp_path: Path):
    program = tmp_path / "seating-plan"
    shutil.copy(shutil.which("sleep") or "", program)
    wanted = Collection(watched_services=("seating-plan", "no-such-service"))
    with subprocess.Popen([str(program), "60"]) as running:
        assert _up(wanted) == {"seating-plan": 1.0, "no-such-service": 0.0}
        running.kill()
    assert _up(wanted) == {"seating-plan": 0.0, "no-such-service": 0.0}
    assert processes.services(Collection()) == []


def _up(wanted: Collection) -> dict[str, float]:
    return {reading.labels["service"]: reading.value for reading in processes.services(wanted)}


def test_everything_that_is_collected_here_fits_the_wire():
    readings, problems = collect(Collection(collectors=tuple(COLLECTORS)))
    assert problems == []
    assert all(fits(reading) for reading in readings)
    identities = [reading.identity() for reading in readings]
    assert len(set(identities)) == len(identities)


def test_a_collector_that_fails_is_told_and_stops_no_other():
    readings, problems = collect(Collection(collectors=("disk", "unknown", "memory"), disk_mounts=("/no/such/mount",)))
    assert {reading.name for reading in readings} == {"memory_usage_percent", "memory_available_bytes"}
    assert len(problems) == 1
    assert problems[0].startswith("disk: FileNotFoundError")
