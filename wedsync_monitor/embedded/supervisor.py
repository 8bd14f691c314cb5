"""Runs the processes of the Procfile: starts them, starts again the one that died, stops all of them.

Every process carries WEDSYNC_OWNER=<data folder> in its environment, so that what a killed supervisor left behind is
found and ended by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

OWNER = "WEDSYNC_OWNER"
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.2
# A process that dies again and again is started ever more slowly, up to this pause.
_LONGEST_PAUSE_SECONDS = 15.0
_STEADY_SECONDS = 30.0

Start = Callable[[], "subprocess.Popen[bytes]"]


@dataclass
class Service:
    """One process that is to run always."""

    name: str
    start: Start
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_seconds: float = 0.5
    due_at: float = 0.0
    deaths: int = field(default=0)


def procfile_commands(path: Path) -> dict[str, str]:
    """The lines of a Procfile by name."""
    lines = (line.partition(":") for line in path.read_text().splitlines() if line.strip() and line[0] != "#")
    return {name.strip(): command.strip() for name, _, command in lines}


def command_starter(command: str, environment: Mapping[str, str], log: Path, folder: Path) -> Start:
    """Start a Procfile line with its output appended to `log`; programs come from this interpreter's folder first."""
    arguments = shlex.split(string.Template(command).safe_substitute(environment))
    beside = Path(sys.executable).with_name(arguments[0])
    program = [str(beside) if beside.exists() else arguments[0], *arguments[1:]]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as stream:
            return subprocess.Popen(
                program,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    return start


class AlreadyRunning(Exception):
    """Another supervisor runs the system of this data folder."""


def claim(data_dir: Path) -> IO[bytes]:
    """Hold the data folder for this supervisor until the answer is closed or the process ends, however it ends.

    Two supervisors of one folder would each end what the other started. Raises AlreadyRunning.
    """
    lock = (data_dir / "run.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise AlreadyRunning(
            f"a system already runs from {data_dir}; stop it, or choose another folder: WEDSYNC_DATA=… make run"
        ) from error
    return lock


def end_leftovers(data_dir: Path) -> int:
    """End every process that an earlier supervisor of this data folder left running; answers how many there were."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    left = [process for process in _owned(data_dir) if process.pid not in mine]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(left, timeout=_STOP_SECONDS)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)
    return len(left)


def _owned(data_dir: Path) -> Iterable[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(OWNER) == str(data_dir):
                yield process


class Supervisor:
    """Keeps `services` running until `stop` is asked for."""

    def __init__(self, services: list[Service], say: Callable[[str], None]):
        self.services, self.say = services, say
        self.stopping = False
        self._starting = False

    def heed_signals(self) -> None:
        """From now on SIGINT, SIGTERM and SIGHUP ask to stop. Until `run` or `stop` they raise KeyboardInterrupt too,
        so that a long start is left at once; from there on nothing is interrupted half-way."""
        self._starting = True
        for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(wanted, self._ask_to_stop)

    def run(self, each_round: Callable[[], None] = lambda: None) -> None:
        """Watch until asked to stop; `each_round` is called as often as the services are looked at."""
        self._starting = False
        while not self.stopping:
            for service in self.services:
                self._attend(service)
            each_round()
            time.sleep(_POLL_SECONDS)

    def _ask_to_stop(self, *_: object) -> None:
        self.stopping = True
        if self._starting:
            self._starting = False
            raise KeyboardInterrupt

    def _attend(self, service: Service) -> None:
        now = time.monotonic()
        if service.process is None:
            if now >= service.due_at:
                self._launch(service, now)
        elif (code := service.process.poll()) is not None:
            self._kill_group(service)
            steady = now - service.started_at > _STEADY_SECONDS
            service.pause_seconds = 0.5 if steady else min(service.pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
            service.due_at, service.process = now + service.pause_seconds, None
            service.deaths += 1
            self.say(f"{service.name} ended ({code}); starting it again in {service.pause_seconds:.0f} s")

    def _launch(self, service: Service, now: float) -> None:
        service.started_at = now
        try:
            service.process = service.start()
        except Exception as error:  # whatever it is, the next try may succeed, and the others must go on
            service.due_at = now + _LONGEST_PAUSE_SECONDS
            self.say(f"{service.name} does not start: {error}")

    def stop(self) -> None:
        """Stop the services in reverse order, each with its children; what does not go is killed."""
        self._starting = False
        for service in reversed(self.services):
            if service.process is not None and service.process.poll() is None:
                service.process.send_signal(service.stop_signal)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    service.process.wait(_STOP_SECONDS)
            self._kill_group(service)

    def _kill_group(self, service: Service) -> None:
        """What a service forked goes with it: it has a session, and so a process group, of its own."""
        if service.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(service.process.pid, signal.SIGKILL)
        service.process.wait()
