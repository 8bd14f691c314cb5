"""`manage.py run`: the whole system on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from wedsync_monitor.embedded import location, supervisor
from wedsync_monitor.embedded.postgres import Postgres, StartFailed
from wedsync_monitor.embedded.redis import Redis
from wedsync_monitor.embedded.supervisor import Service, Supervisor

POSTGRES_STOP = signal.SIGINT  # PostgreSQL's fast shutdown
EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104


def address_from_here(host: str, port: int) -> str:
    """How this machine's agent reaches a server that listens on `host`; one that listens everywhere, on loopback."""
    if host in EVERY_ADDRESS:
        return f"http://127.0.0.1:{port}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def takes_connections(host: str, port: int) -> bool:
    """Whether a server that was to listen on `host` does."""
    reached = urlsplit(address_from_here(host, port))
    try:
        socket.create_connection((reached.hostname or "", port), timeout=1).close()
    except OSError:
        return False
    return True


class Command(BaseCommand):
    help = "Run the database, broker, web server, workers, beat and this machine's agent until Ctrl-C."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true", help="fill 30 days of demonstration history")

    def handle(self, *args: Any, **options: Any) -> None:
        data_dir = settings.DATA_DIR
        (data_dir / "log").mkdir(parents=True, exist_ok=True)
        os.environ[supervisor.OWNER] = str(data_dir)
        try:
            lock = supervisor.claim(data_dir)
        except supervisor.AlreadyRunning as error:
            raise CommandError(str(error)) from error
        with lock:
            if left := supervisor.end_leftovers(data_dir):
                self._say(f"ended {left} processes that an earlier run had left")
            self._refuse_taken_port()
            self._run(data_dir, options["demo"])

    def _run(self, data_dir: Path, demo: bool) -> None:
        running = Supervisor([], self._say)
        running.heed_signals()
        try:
            self._start_servers(running)
            call_command("prepare", demo=demo)
            running.services += self._programs(demo)
            running.run(self._announcement(data_dir))
        except KeyboardInterrupt:
            self._say("asked to stop while starting")
        except StartFailed as error:
            raise CommandError(str(error)) from error
        finally:
            self._say("Stopping …")
            running.stop()
            # A start that was interrupted, or that failed, has not noted its process.
            supervisor.end_leftovers(data_dir)
            location.remove_socket_dirs(data_dir)

    def _announcement(self, data_dir: Path) -> Callable[[], None]:
        """Says where the console is, once, as soon as somebody listens there."""
        texts = [f"WedSync Monitor: {settings.PUBLIC_URL} (user admin, password in {data_dir / 'admin-password'})"]

        def announce() -> None:
            if texts and takes_connections(settings.HOST, settings.PORT):
                self._say(texts.pop())

        return announce

    def _refuse_taken_port(self) -> None:
        family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.HOST, settings.PORT))
            except OSError as error:
                raise CommandError(
                    f"port {settings.PORT} is taken ({error}); choose another: PORT=8001 make run"
                ) from error

    def _start_servers(self, running: Supervisor) -> None:
        """Bring the embedded database and broker up, unless the environment names others."""
        if settings.EMBEDDED_DATABASE:
            running.services.append(Service("postgres", Postgres(settings.DATA_DIR).start, POSTGRES_STOP))
        if settings.EMBEDDED_REDIS:
            running.services.append(Service("redis", Redis(settings.DATA_DIR).start))
        for service in running.services:
            service.process, service.started_at = service.start(), time.monotonic()

    def _programs(self, demo: bool) -> list[Service]:
        environment = os.environ | {
            "PORT": str(settings.PORT),
            "WEDSYNC_HOST": settings.HOST,
            "WEB_WORKERS": os.environ.get("WEB_WORKERS", "2"),
            "DJANGO_SETTINGS_MODULE": "wedsync_monitor.settings",
            "WEDSYNC_DATA": str(settings.DATA_DIR),
            "WEDSYNC_SERVER": address_from_here(settings.HOST, settings.PORT),
            "WEDSYNC_AGENT_KEY_FILE": str(settings.DATA_DIR / "agent-key"),
            "WEDSYNC_SPOOL": str(settings.DATA_DIR / "spool"),
            "PYTHONPATH": os.pathsep.join([str(settings.BASE_DIR), str(settings.BASE_DIR / "agent")]),
        }
        log = settings.DATA_DIR / "log"
        commands = supervisor.procfile_commands(settings.BASE_DIR / "Procfile")
        if demo:
            commands["demonstration"] = "python manage.py demonstrate"
        return [
            Service(name, supervisor.command_starter(line, environment, log / f"{name}.log", settings.BASE_DIR))
            for name, line in commands.items()
        ]

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone must not keep the system from stopping
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
