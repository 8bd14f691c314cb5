"""REST: remediation actions as configuration."""

from remediation.models import RemediationAction
from wedsync_monitor.web.plain import views_of

Actions, Action = views_of(
    RemediationAction,
    "remediation_actions",
    "actions",
    [
        "id", "action_name", "action_type", "action_config", "target_assets", "prerequisites", "success_criteria",
        "rollback_action", "execution_timeout", "cooldown_period", "max_executions_per_hour", "approval_required",
        "risk_level", "business_impact", "runbook_reference", "is_enabled", "created_at", "updated_at",
    ],
)  # fmt: skip
