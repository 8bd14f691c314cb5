"""What a new installation starts with: roles, the administrator, partitions, beat's ticks, this machine, rules."""

import platform
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.contrib.auth.models import Group
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from wedsync_monitor import audit, partitions
from wedsync_monitor.embedded.keys import write_private
from wedsync_monitor.models import User
from wedsync_monitor.policy import Role
from wedsync_monitor.retention import partitioned_tables

ADMINISTRATOR = "admin"
# What beat ticks: task, seconds. Every tick finds what is due by itself, so a tick that nobody took in time is stale.
TICKS = (
    ("alerts.tasks.evaluate_due_rules", 1),
    ("alerts.tasks.escalate_due_alerts", 5),
    ("alerts.tasks.settle_maintenance_windows", 30),
    ("alerts.tasks.settle_external_alerts", 15),
    ("alerts.tasks.calculate_due_baselines", 60),
    ("alerts.tasks.deliver_due_notifications", 5),
    ("assets.tasks.refresh_health", 15),
    ("assets.tasks.watch_agents", 30),
    ("assets.tasks.check_heartbeats", 5),
    ("assets.tasks.scrape_due_targets", 1),
    ("assets.tasks.refresh_scrape_targets", 5),
    ("assets.tasks.compact_metrics", 300),
    ("assets.tasks.tally_series", 60),
    ("assets.tasks.recount_series", 3600),
    ("assets.tasks.forget_discoveries", 3600),
    ("synthetic.tasks.tell_burning", 60),
    ("synthetic.tasks.restate_verdicts", 30),
    ("wedsync_monitor.tasks.maintain_partitions", 3600),
    ("wedsync_monitor.tasks.note_beat", 5),
    ("wedsync_monitor.tasks.observe_system", 15),
    ("wedsync_monitor.tasks.signal_outside", 5),
)


def prepare(data_dir: Path, demo: bool = False) -> None:
    """Everything that must be there before the processes start; each part is made only where it is missing."""
    create_roles()
    create_administrator(data_dir)
    for table in partitioned_tables():
        # What cannot be dropped is no reason not to start: it is logged, and the next tick tells /readyz.
        with suppress(partitions.KeptBack):
            partitions.maintain(table, datetime.now(UTC).date())
    schedule_ticks()
    with audit.acting("first start"):
        from alerts import defaults
        from assets import enrolment
        from assets.metrics import head
        from synthetic.models import ProbeLocation
        from wedsync_monitor.selfmonitoring import recording

        head.make_ahead(datetime.now(UTC))
        enrolment.enrol_this_machine(platform.node() or "localhost", data_dir / "agent-key", datetime.now(UTC))
        defaults.create_rules()
        if not ProbeLocation.objects.exists():
            defaults.create_check_rules()
        if recording.create_asset():
            defaults.create_own_rules()
        defaults.create_heartbeat_rule()
        if demo:
            from wedsync_monitor.embedded import demonstration

            demonstration.fill(datetime.now(UTC))


def schedule_ticks() -> None:
    """Beat's rows; a person may change an interval or switch one off in the admin, and that stays."""
    for task, seconds in TICKS:
        every, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.get_or_create(
            name=task.rpartition(".")[2].replace("_", " "),
            defaults={"task": task, "interval": every, "expire_seconds": max(2 * seconds, 5)},
        )


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
