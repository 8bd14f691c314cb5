"""`manage.py prepare`: the tables, and what must be in them before the Procfile's processes start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from wedsync_monitor.embedded import first_start


class Command(BaseCommand):
    help = "Migrate, and make roles, the administrator, partitions, beat's ticks and rules where they are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true", help="fill 30 days of demonstration history")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        first_start.prepare(settings.DATA_DIR, demo=options["demo"])
