"""`manage.py enroll_agent NAME --asset ASSET_NAME`: an agent's key, printed once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from assets import enrolment
from assets.models import InfrastructureAsset
from wedsync_monitor import audit


class Command(BaseCommand):
    help = "Print a key for the agent NAME of an asset; the agent is made where it is missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--asset", required=True, help="the asset's name")

    def handle(self, *args: Any, **options: Any) -> None:
        asset = InfrastructureAsset.objects.filter(asset_name=options["asset"]).first()
        if asset is None:
            raise CommandError(f"there is no asset named {options['asset']!r}; register it first")
        try:
            with audit.acting("command line"):
                self.stdout.write(enrolment.enrol_by_name(options["name"], asset, timezone.now()))
        except enrolment.Spent as error:
            raise CommandError(str(error)) from error
