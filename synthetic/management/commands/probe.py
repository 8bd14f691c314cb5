"""`manage.py probe`: the server's own location, which runs the checks that are due there until it is asked to stop.

A process of its own: checks run every second at best, and what they cost is no other worker's loss. Several of them, on
one machine or more, share the work.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any

from django.core.management.base import BaseCommand

from synthetic import running
from wedsync_monitor import counters


class Command(BaseCommand):
    help = "Run the synthetic checks of this server's own location until asked to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for wanted in (signal.SIGINT, signal.SIGTERM):
            signal.signal(wanted, lambda *_: stopping.set())
        counters.report_as("probes", f"probes@{socket.gethostname()}/{os.getpid()}")
        with running.prober() as prober:
            running.Runner(prober).run_until(stopping.is_set)
        counters.stop_reporting()
