"""Who is told next when nobody acknowledges."""

from contextlib import suppress
from datetime import date
from typing import Any

import msgspec
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from alerts import conditions, escalation
from alerts.channels.checks import check_channels
from alerts.models.choices import AlertStatus
from alerts.models.oncall import OnCallSchedule, check_people
from alerts.suppression.recurrence import Unusable, zone_of
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField


class EscalationPolicy(models.Model):
    """Who is told next when nobody acknowledges (alerts.escalation)."""

    id = schema.uuid_key()
    policy_name = models.TextField(unique=True)
    policy_description = models.TextField(null=True, blank=True)
    escalation_steps = StructuredField(structure=conditions.EscalationSteps, check=check_channels)
    business_hours = StructuredField(structure=conditions.BusinessHours, default=dict, blank=True)
    holiday_schedule = StructuredField(structure=conditions.HolidaySchedule, default=dict, blank=True)
    repeat_escalation = models.BooleanField(**schema.fixed(False))
    repeat_interval = models.IntegerField(null=True, blank=True, help_text="Minutes.")
    max_escalations = models.IntegerField(
        null=True, blank=True, help_text="Steps that are taken at most, over all rounds."
    )
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        """What was changed takes effect at once: alerts that follow the policy are looked at again."""
        with transaction.atomic():
            super().save(*args, **kwargs)
            alerts = apps.get_model("alerts", "AlertInstance").objects.filter(status=AlertStatus.OPEN)
            alerts.filter(alert_rule__escalation_policy=self).update(next_escalation_at=timezone.now())

    @property
    def steps(self) -> list[conditions.EscalationStep]:
        """In the order in which they come."""
        return escalation.ordered(msgspec.convert(self.escalation_steps, conditions.EscalationSteps))

    @property
    def plan(self) -> escalation.Plan:
        return escalation.plan_of(
            self.steps,
            msgspec.convert(self.business_hours, conditions.BusinessHours),
            msgspec.convert(self.holiday_schedule, conditions.HolidaySchedule),
            self.repeat_interval if self.repeat_escalation else None,
            self.max_escalations,
        )

    def clean(self) -> None:
        """A zone or a day that does not exist is refused, and a repetition that does not say when."""
        super().clean()
        self._check_names()
        if self.repeat_escalation and self.repeat_interval is None:
            raise ValidationError({"repeat_interval": "send the minutes after which the steps are repeated"})
        for column in ("business_hours", "holiday_schedule"):
            said = getattr(self, column)
            if isinstance(said, dict) and (problem := _problem_with(said)):
                raise ValidationError({column: problem})

    def _check_names(self) -> None:
        with suppress(msgspec.ValidationError):  # the column says itself what is wrong with its structure
            steps = self.steps
            check_people({"escalation_steps": {name for step in steps for name in step.users}})
            named = {name for step in steps for name in step.schedules}
            known = set(OnCallSchedule.objects.filter(schedule_name__in=named).values_list("schedule_name", flat=True))
            if strangers := sorted(named - known):
                problem = f"no on-call schedule has the name {strangers[0][:80]!r}; send one that is known"
                raise ValidationError({"escalation_steps": problem})


def _problem_with(said: dict[str, Any]) -> str:
    try:
        zone_of(str(said.get("timezone", "UTC")))
        for day in said.get("dates", []):
            date.fromisoformat(day)
    except (Unusable, ValueError, TypeError) as error:
        return str(error)
    return ""
