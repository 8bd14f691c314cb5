"""Who is told next when nobody acknowledges."""

from django.conf import settings
from django.db import models

from alerts import conditions
from alerts.channels.checks import check_channels
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField


class EscalationPolicy(models.Model):
    """Who is told next when nobody acknowledges."""

    id = schema.uuid_key()
    policy_name = models.TextField(unique=True)
    policy_description = models.TextField(null=True, blank=True)
    escalation_steps = StructuredField(structure=conditions.EscalationSteps, check=check_channels)
    business_hours = StructuredField(structure=conditions.BusinessHours, default=dict, blank=True)
    holiday_schedule = StructuredField(structure=conditions.HolidaySchedule, default=dict, blank=True)
    repeat_escalation = models.BooleanField(**schema.fixed(False))
    repeat_interval = models.IntegerField(null=True, blank=True, help_text="Minutes.")
    max_escalations = models.IntegerField(null=True, blank=True)
    is_active = models.BooleanField(**schema.fixed(True))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "escalation_policies"
        ordering = ["policy_name"]
        verbose_name_plural = "escalation policies"
        constraints = [
            schema.in_range("escalation_policies", "repeat_interval", 1, 10080),
            schema.in_range("escalation_policies", "max_escalations", 1, 1000),
        ]

    def __str__(self) -> str:
        return self.policy_name
