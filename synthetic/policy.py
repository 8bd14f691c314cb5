"""Who may do what with synthetic checks and their results."""

from wedsync_monitor.policy import OPERATIONS, Policy, Role, managed_by

POLICIES = (
    Policy(
        "synthetic",
        (
            "synthetic.SyntheticCheck",
            "synthetic.SyntheticCheckResult",
            "synthetic.CheckPlace",
            "synthetic.ProbeLocation",
        ),
        managed_by(OPERATIONS, (Role.DEVELOPER, Role.VIEWER)),
    ),
    Policy("probe_secrets", ("synthetic.ProbeSecret",), managed_by(OPERATIONS)),
)
