"""What of remediation is configuration."""

from assets.models import InfrastructureAsset
from remediation.api import ActionSerializer
from remediation.models import RemediationAction
from wedsync_monitor.configuration.kinds import Kind, Reference

KINDS = (
    Kind(
        "remediation_actions",
        "remediation_actions",
        ActionSerializer,
        "action_name",
        references={
            "target_assets": Reference("target_assets", InfrastructureAsset, "asset_name", many=True),
            "rollback_action_id": Reference("rollback_action", RemediationAction, "action_name"),
        },
    ),
)
