"""`manage.py api_token USERNAME [--role ROLE]`: a person's bearer token, printed once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from wedsync_monitor import audit, tokens
from wedsync_monitor.models import TokenScope, User
from wedsync_monitor.policy import Role


class Command(BaseCommand):
    help = "Print a bearer token for USERNAME; the person is made where missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", choices=[role.value for role in Role], help="also give the person this role")
        parser.add_argument("--may-discover", action="store_true", help="make assets of unknown hosts that it sends of")
        parser.add_argument("--scope", choices=TokenScope.values, default=TokenScope.FULL)

    def handle(self, *args: Any, **options: Any) -> None:
        with audit.acting("command line"):
            user, made = User.objects.get_or_create(username=options["username"])
            if made:
                user.set_unusable_password()
                user.save()
            if options["role"]:
                user.groups.add(Group.objects.get_or_create(name=options["role"])[0])
            secret = tokens.issue(
                user, "command line", timezone.now(), options["scope"], may_discover=options["may_discover"]
            )
            self.stdout.write(secret)
