"""Who may do what with remediation actions and executions."""

from wedsync_monitor.policy import OPERATIONS, Policy, Role, Verb, managed_by

OWNERS = frozenset({Role.SRE, Role.SYSTEM_ADMIN})
READERS = (Role.OPS_ENGINEER, Role.DEVELOPER)

POLICIES = (
    Policy(
        "remediation_actions",
        ("remediation.RemediationAction",),
        managed_by(OWNERS, READERS) | {Verb.EXECUTE: OPERATIONS, Verb.APPROVE: OWNERS},
    ),
    Policy(
        "remediation_executions",
        ("remediation.RemediationExecution",),
        {Verb.READ: OWNERS | frozenset(READERS)},
    ),
)
