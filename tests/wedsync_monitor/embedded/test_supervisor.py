"""The supervisor with real processes: it starts again what died, and stops everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from wedsync_monitor.embedded import supervisor
from wedsync_monitor.embedded.supervisor import Service, Supervisor, command_starter

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); "
STUBBORN += "time.sleep(60)"


def python(code: str) -> Callable[[], subprocess.Popen[bytes]]:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)

    return start


@pytest.fixture
def services() -> Iterator[list[Service]]:
    kept: list[Service] = []
    yield kept
    for service in kept:
        if service.process:
            service.process.kill()
            service.process.wait()
            if service.process.stdout:
                service.process.stdout.close()


def attend_until(running: Supervisor, is_so: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        for service in running.services:
            running._attend(service)
        threading.Event().wait(0.02)


def test_a_procfile_line_has_a_name_and_a_command(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("# a comment\nweb: serve --port $PORT\n\nbeat: tick --file=a:b\n")
    commands = supervisor.procfile_commands(tmp_path / "Procfile")
    assert commands == {"web": "serve --port $PORT", "beat": "tick --file=a:b"}


def test_a_command_gets_its_variables_and_its_log(tmp_path: Path) -> None:
    start = command_starter(
        "echo $GREETING", {"GREETING": "hello", "PATH": os.environ["PATH"]}, tmp_path / "log", tmp_path
    )
    assert start().wait(10) == 0
    assert (tmp_path / "log").read_text() == "hello\n"


def test_a_process_that_dies_is_started_again_and_said_so(services: list[Service]) -> None:
    said: list[str] = []
    services.append(Service("sleeper", python(SLEEP)))
    running = Supervisor(services, said.append)
    attend_until(running, lambda: services[0].process is not None)
    first = services[0].process
    assert first is not None
    assert first.stdout is not None
    first.kill()
    first.stdout.close()
    attend_until(running, lambda: services[0].process not in (None, first))
    assert services[0].deaths == 1
    assert said == ["sleeper ended (-9); starting it again in 1 s"]


def test_a_process_that_dies_at_once_is_started_ever_more_slowly(services: list[Service]) -> None:
    service = Service("crasher", lambda: subprocess.Popen(["false"], start_new_session=True))
    services.append(service)
    running = Supervisor(services, lambda text: None)
    pauses = []
    for deaths in range(1, 8):
        service.due_at = 0
        attend_until(running, lambda wanted=deaths: service.deaths == wanted)  # type: ignore[misc]
        pauses.append(service.pause_seconds)
    assert pauses == [1, 2, 4, 8, 15, 15, 15]


def test_one_that_cannot_be_started_does_not_keep_the_others_from_running(services: list[Service]) -> None:
    def fail() -> subprocess.Popen[bytes]:
        raise OSError("no such program")

    said: list[str] = []
    services += [Service("broken", fail), Service("sleeper", python(SLEEP))]
    attend_until(Supervisor(services, said.append), lambda: services[1].process is not None)
    assert said == ["broken does not start: no such program"]


def test_stopping_goes_backwards_and_leaves_nothing(services: list[Service]) -> None:
    services += [Service(name, python(SLEEP)) for name in ("database", "web")]
    running = Supervisor(services, lambda text: None)
    attend_until(running, lambda: all(service.process for service in services))
    running.stop()
    assert [service.process.returncode for service in services if service.process] == [-15, -15]


def test_a_child_that_ignores_sigterm_is_killed(services: list[Service], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_STOP_SECONDS", 0.3)
    service = Service("stubborn", python(STUBBORN))
    services.append(service)
    service.process = service.start()
    assert service.process.stdout is not None
    service.process.stdout.readline()
    Supervisor(services, lambda text: None).stop()
    assert service.process.returncode == -signal.SIGKILL


def test_what_a_service_forked_goes_with_it(services: list[Service]) -> None:
    code = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True); {SLEEP}"
    )
    service = Service("forker", python(code))
    services.append(service)
    service.process = service.start()
    assert service.process.stdout is not None
    child = psutil.Process(int(service.process.stdout.readline()))
    Supervisor(services, lambda text: None).stop()
    assert psutil.wait_procs([child], timeout=5)[1] == []


@pytest.fixture
def heeding(services: list[Service]) -> Iterator[Supervisor]:
    before = {wanted: signal.getsignal(wanted) for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    running = Supervisor(services, lambda text: None)
    running.heed_signals()
    yield running
    for wanted, handler in before.items():
        signal.signal(wanted, handler)


def test_sigterm_ends_the_watch(heeding: Supervisor) -> None:
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    heeding.run()
    timer.join()
    assert heeding.stopping


@pytest.mark.parametrize("wanted", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_breaks_off_a_start_and_a_second_one_does_not_break_off_the_stop(
    heeding: Supervisor, wanted: signal.Signals
) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(wanted)
    signal.raise_signal(wanted)
    heeding.stop()
    heeding.run()


def test_what_a_killed_supervisor_left_is_ended_and_nothing_else(
    tmp_path: Path, services: list[Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path / "mine", tmp_path / "other"):
        monkeypatch.setenv(supervisor.OWNER, str(folder))
        services.append(Service(folder.name, python(SLEEP)))
        services[-1].process = services[-1].start()
    monkeypatch.delenv(supervisor.OWNER)
    mine, other = (service.process for service in services)
    assert supervisor.end_leftovers(tmp_path / "mine") == 1
    assert mine is not None
    assert mine.poll() is not None
    assert other is not None
    assert other.poll() is None


def test_a_data_folder_has_one_supervisor(tmp_path: Path) -> None:
    with supervisor.claim(tmp_path), pytest.raises(supervisor.AlreadyRunning, match="already runs"):
        supervisor.claim(tmp_path)
    supervisor.claim(tmp_path).close()
