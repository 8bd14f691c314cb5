"""Who may do what with dashboards, people, tokens, the audit trail and the system itself."""

from django.db.models import Q

from wedsync_monitor.models import User
from wedsync_monitor.policy import EVERY_ROLE, Policy, Role, Verb, managed_by, roles_of

ADMINISTRATORS = frozenset({Role.SYSTEM_ADMIN})
# Whoever keeps this system itself running.
KEEPERS = ADMINISTRATORS | {Role.SRE}


def _named(person: User, access: str) -> Q:
    """Dashboards that `person` owns or whose access_control names them or a role of theirs for `access`."""
    allowed = Q(created_by=person) | Q(**{f"access_control__{access}_users__contains": [person.username]})
    for role in roles_of(person):
        allowed |= Q(**{f"access_control__{access}_roles__contains": [role.value]})
    return allowed


def viewable(person: User) -> Q:
    shared = _named(person, "view") | _named(person, "edit")
    return shared | Q(is_public=True) if roles_of(person) else shared


def editable(person: User) -> Q:
    return _named(person, "edit")


POLICIES = (
    Policy(
        "dashboards",
        ("wedsync_monitor.MonitoringDashboard",),
        {Verb.CREATE: EVERY_ROLE},
        {Verb.READ: viewable, Verb.CHANGE: editable, Verb.DELETE: lambda person: Q(created_by=person)},
    ),
    Policy("users", ("wedsync_monitor.User", "auth.Group"), managed_by(ADMINISTRATORS)),
    Policy("tokens", ("wedsync_monitor.ApiToken",), managed_by(ADMINISTRATORS)),
    Policy(
        "system",
        (
            "wedsync_monitor.DeadMansSwitch",
            "wedsync_monitor.SystemCounter",
            "wedsync_monitor.SystemProcess",
            "wedsync_monitor.SystemState",
        ),
        managed_by(KEEPERS, {Role.OPS_ENGINEER}),
    ),
    Policy("configuration", (), {Verb.READ: KEEPERS, Verb.CHANGE: KEEPERS}),
    Policy("audit", ("wedsync_monitor.AuditEntry",), {Verb.READ: KEEPERS}),
    Policy(
        "schedule",
        (
            "django_celery_beat.PeriodicTask",
            "django_celery_beat.IntervalSchedule",
            "django_celery_beat.CrontabSchedule",
            "django_celery_beat.SolarSchedule",
            "django_celery_beat.ClockedSchedule",
        ),
        managed_by(ADMINISTRATORS),
    ),
)
