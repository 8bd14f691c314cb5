"""What a new installation starts with: roles and the administrator."""

import secrets
from pathlib import Path

from django.contrib.auth.models import Group

from wedsync_monitor import audit
from wedsync_monitor.embedded.keys import write_private
from wedsync_monitor.models import User
from wedsync_monitor.policy import Role

ADMINISTRATOR = "admin"


def create_roles() -> None:
    """The groups that the policy names."""
    for role in Role:
        Group.objects.get_or_create(name=role.value)


def create_administrator(data_dir: Path) -> None:
    """A system_admin with a random password, written to `data_dir`/admin-password (mode 600), unless there is one."""
    if User.objects.filter(groups__name=Role.SYSTEM_ADMIN).exists():
        return
    path = data_dir / "admin-password"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(15))
    with audit.acting("first start"):
        user, _ = User.objects.get_or_create(username=ADMINISTRATOR)
        user.set_password(path.read_text().strip())
        user.save()
        user.groups.add(Group.objects.get(name=Role.SYSTEM_ADMIN))
