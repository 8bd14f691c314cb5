"""`manage.py demonstrate`: the demonstration's assets go on reporting, a sample a minute."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.db import OperationalError

from assets.metrics.committing import Unavailable
from wedsync_monitor.embedded import demonstration

EVERY_SECONDS = 60


class Command(BaseCommand):
    help = "Keep the demonstration's assets reporting until stopped (make demo runs this)."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        while True:
            try:
                demonstration.go_on(datetime.now(UTC))
            except (OperationalError, Unavailable) as error:
                self.stderr.write(f"the database is away: {error}")
            time.sleep(EVERY_SECONDS - time.time() % EVERY_SECONDS)
