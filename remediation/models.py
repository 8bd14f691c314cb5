"""What may be done about trouble, and what was done."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from alerts.models import AlertInstance
from assets.references import check_assets
from remediation.structures import ActionConfig, Prerequisite, SuccessCriterion
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField
from wedsync_monitor.structures import AnyObject

NEEDED = {
    "script": "script_path",
    "api_call": "api_endpoint",
    "restart_service": "service_name",
    "scale_resource": "resource_type",
}


class ActionType(models.TextChoices):
    SCRIPT = "script"
    API_CALL = "api_call"
    RESTART_SERVICE = "restart_service"
    SCALE_RESOURCE = "scale_resource"
    FAILOVER = "failover"


class RiskLevel(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class RemediationAction(models.Model):
    """A safe step against known trouble."""

    id = schema.uuid_key()
    action_name = models.TextField(unique=True)
    action_type = schema.choice(ActionType)
    action_config = StructuredField(structure=ActionConfig)
    target_assets = StructuredField(
        structure=list[str], check=check_assets, default=list, blank=True, help_text="Ids of assets."
    )
    prerequisites = StructuredField(structure=list[Prerequisite], default=list, blank=True)
    success_criteria = StructuredField(structure=list[SuccessCriterion], default=list, blank=True)
    rollback_action = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    execution_timeout = models.IntegerField(**schema.fixed(300), help_text="Seconds.")
    cooldown_period = models.IntegerField(**schema.fixed(900), help_text="Seconds.")
    max_executions_per_hour = models.IntegerField(**schema.fixed(5))
    approval_required = models.BooleanField(**schema.fixed(False))
    risk_level = schema.choice(RiskLevel, RiskLevel.MEDIUM)
    business_impact = models.TextField(null=True, blank=True)
    runbook_reference = models.TextField(null=True, blank=True)
    is_enabled = models.BooleanField(**schema.fixed(True))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "remediation_actions"
        ordering = ["action_name"]
        constraints = [
            schema.one_of("remediation_actions", "action_type", ActionType),
            schema.one_of("remediation_actions", "risk_level", RiskLevel),
            schema.in_range("remediation_actions", "execution_timeout", 1, 86400),
            schema.in_range("remediation_actions", "cooldown_period", 0, 31 * 86400),
            schema.in_range("remediation_actions", "max_executions_per_hour", 1, 3600),
        ]

    def __str__(self) -> str:
        return self.action_name

    def clean(self) -> None:
        super().clean()
        needed = NEEDED.get(self.action_type)
        if needed and not (self.action_config or {}).get(needed):
            raise ValidationError({"action_config": f"An action of type {self.action_type} needs {needed}."})


class ExecutionTrigger(models.TextChoices):
    ALERT = "alert"
    MANUAL = "manual"
    SCHEDULED = "scheduled"
    API = "api"


class ExecutionStatus(models.TextChoices):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class RemediationExecution(models.Model):
    """One run of an action."""

    id = schema.uuid_key()
    action = models.ForeignKey(RemediationAction, on_delete=models.CASCADE, related_name="executions")
    alert_instance = models.ForeignKey(
        AlertInstance, null=True, blank=True, on_delete=models.SET_NULL, related_name="executions"
    )
    execution_trigger = schema.choice(ExecutionTrigger)
    triggered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    status = schema.choice(ExecutionStatus, ExecutionStatus.RUNNING)
    exit_code = models.IntegerField(null=True, blank=True)
    execution_output = models.TextField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)
    execution_context = StructuredField(structure=AnyObject, default=dict, blank=True)
    success_verification = StructuredField(structure=AnyObject, default=dict, blank=True)
    rollback_executed = models.BooleanField(**schema.fixed(False))
    rollback_successful = models.BooleanField(null=True, blank=True)
    performance_impact = StructuredField(structure=AnyObject, default=dict, blank=True)
    business_impact = StructuredField(structure=AnyObject, default=dict, blank=True)
    created_at = schema.created_at()

    class Meta:
        db_table = "remediation_executions"
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["-started_at"], name="idx_remediation_started_at")]
        constraints = [
            schema.one_of("remediation_executions", "execution_trigger", ExecutionTrigger),
            schema.one_of("remediation_executions", "status", ExecutionStatus),
        ]

    def __str__(self) -> str:
        return f"{self.action_id} at {self.started_at:%Y-%m-%d %H:%M}"
