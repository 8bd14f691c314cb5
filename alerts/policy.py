"""Who may do what with rules, alerts, escalation, maintenance and baselines."""

from django.db.models import Q

from wedsync_monitor.models import User
from wedsync_monitor.policy import OPERATIONS, Policy, Role, Verb, managed_by

RESPONDERS = OPERATIONS | {Role.DEVELOPER}
READERS = (Role.DEVELOPER, Role.VIEWER)


def on_own_assets(person: User) -> Q:
    """A person without a role sees the alerts on assets that they created."""
    return Q(asset__created_by=person)


def of_oneself(person: User) -> Q:
    """Everybody says how they are reached."""
    return Q(user=person)


POLICIES = (
    Policy("alert_rules", ("alerts.AlertRule", "alerts.RuleEvaluation"), managed_by(RESPONDERS, READERS)),
    Policy(
        "alerts",
        (
            "alerts.AlertInstance",
            "alerts.AlertEvent",
            "alerts.NotificationDelivery",
            "alerts.NotificationDecision",
            "alerts.ExternalAlert",
        ),
        {
            Verb.READ: RESPONDERS | {Role.VIEWER},
            Verb.ACKNOWLEDGE: RESPONDERS,
            Verb.RESOLVE: RESPONDERS,
            Verb.SEND: RESPONDERS,
        },
        {Verb.READ: on_own_assets},
    ),
    Policy("escalation", ("alerts.EscalationPolicy",), managed_by(OPERATIONS, READERS)),
    Policy("on_call", ("alerts.OnCallSchedule", "alerts.OnCallOverride"), managed_by(OPERATIONS, READERS)),
    Policy(
        "contact_preferences",
        ("alerts.ContactPreference",),
        managed_by(frozenset({Role.SYSTEM_ADMIN})),
        dict.fromkeys((Verb.READ, Verb.CHANGE), of_oneself),
    ),
    Policy("maintenance", ("alerts.MaintenanceWindow",), managed_by(OPERATIONS, READERS)),
    Policy("silences", ("alerts.Silence",), managed_by(RESPONDERS, (Role.VIEWER,))),
    Policy("baselines", ("alerts.PerformanceBaseline",), managed_by(OPERATIONS, READERS)),
)
