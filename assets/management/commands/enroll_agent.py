"""`manage.py enroll_agent NAME --asset ASSET_NAME`: an agent's key, printed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from assets import enrolment
from assets.models import InfrastructureAsset
from wedsync_monitor import audit
from wedsync_monitor.embedded.keys import write_private


class Command(BaseCommand):
    help = "Print a key for the agent NAME of an asset; the agent is made where it is missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--asset", required=True, help="the asset's name")
        parser.add_argument("--create", action="store_true", help="register the asset as a server where it is missing")
        parser.add_argument("--key-file", type=Path, help="write the key there (mode 600) instead of printing it")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["key_file"] and options["key_file"].exists():
            raise CommandError(f"{options['key_file']} exists; a key is never written over another")
        try:
            with audit.acting("command line"), transaction.atomic():
                asset = self._asset(options["asset"], options["create"])
                secret = enrolment.enrol_by_name(options["name"], asset, timezone.now())
        except enrolment.Taken as error:
            raise CommandError(str(error)) from error
        if options["key_file"]:
            write_private(options["key_file"], secret)
        else:
            self.stdout.write(secret)

    def _asset(self, name: str, create: bool) -> InfrastructureAsset:
        asset = InfrastructureAsset.objects.filter(asset_name=name).first()
        if asset is None and not create:
            raise CommandError(f"there is no asset named {name!r}; register it first or add --create")
        return asset or InfrastructureAsset.objects.create(
            asset_name=name, asset_type="server", asset_category="compute", environment="production"
        )
