"""Planned work, and silences."""

from contextlib import suppress

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from alerts import conditions
from alerts.channels.checks import check_channels
from alerts.models.choices import ImpactLevel, MaintenanceType, WindowStatus
from alerts.suppression import matching
from alerts.suppression.recurrence import Schedule, Span, Unusable
from assets.references import check_assets
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField


class MaintenanceWindow(models.Model):
    """Planned work on assets, in which their alerts may be kept from people."""

    id = schema.uuid_key()
    window_name = models.TextField()
    description = models.TextField(null=True, blank=True)
    affected_assets = StructuredField(
        structure=list[str], check=check_assets, default=list, blank=True, help_text="Ids of assets."
    )
    asset_filter = StructuredField(
        structure=conditions.AssetFilter, default=dict, blank=True, help_text="Assets besides those that are named."
    )
    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    recurrence_config = StructuredField(structure=conditions.Recurrence, null=True, blank=True)
    maintenance_type = schema.choice(MaintenanceType, MaintenanceType.PLANNED)
    impact_level = schema.choice(ImpactLevel, ImpactLevel.LOW)
    notification_config = StructuredField(
        structure=conditions.WindowNotification, check=check_channels, default=dict, blank=True
    )
    alert_suppression = models.BooleanField(**schema.fixed(True))
    status = schema.choice(WindowStatus, WindowStatus.SCHEDULED)
    actual_start_time = models.DateTimeField(null=True, blank=True)
    actual_end_time = models.DateTimeField(null=True, blank=True)
    completion_notes = models.TextField(null=True, blank=True)
    calendar_uid = models.TextField(
        null=True, blank=True, unique=True, editable=False, help_text="The event's UID in the calendar it came from."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "maintenance_windows"
        ordering = ["-start_time"]
        indexes = [models.Index(fields=["end_time", "start_time"], name="idx_maintenance_span")]
        constraints = [
            schema.one_of("maintenance_windows", "maintenance_type", MaintenanceType),
            schema.one_of("maintenance_windows", "impact_level", ImpactLevel),
            schema.one_of("maintenance_windows", "status", WindowStatus),
            models.CheckConstraint(
                condition=Q(end_time__gt=F("start_time")),
                name="maintenance_windows_span",
                violation_error_message="The end must be after the start.",
            ),
        ]

    def __str__(self) -> str:
        return self.window_name

    def clean(self) -> None:
        """A schedule that never happens, or that cannot be followed, is refused."""
        super().clean()
        recurrence = self.recurrence_config
        if not isinstance(recurrence, dict) or not (self.start_time and self.end_time):
            return
        try:
            first = Span(self.start_time, self.end_time)
            Schedule(first, recurrence.get("rrule", ""), recurrence.get("timezone", "UTC")).check()
        except Unusable as error:
            raise ValidationError({"recurrence_config": str(error)}) from error


class Silence(models.Model):
    """From when until when nobody is told of the alerts that match."""

    id = schema.uuid_key()
    matchers = StructuredField(structure=matching.Matchers, help_text="All of them must match.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    comment = models.TextField(help_text="Why, for whoever wonders.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "silences"
        ordering = ["-starts_at"]
        indexes = [models.Index(fields=["ends_at", "starts_at"], name="idx_silences_span")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="silences_span",
                violation_error_message="The end must be after the start.",
            ),
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        return " and ".join(one.text for one in matching.matchers_of(self.matchers))

    def clean(self) -> None:
        """Matchers that cannot be followed, or that match everything, are refused."""
        super().clean()
        if not isinstance(self.matchers, list):
            return
        with suppress(msgspec.ValidationError):  # the column says itself what is wrong with its structure
            if problem := matching.problem_with(matching.matchers_of(self.matchers)):
                raise ValidationError({"matchers": problem})
