"""What tells that a job ran: a heartbeat and its secret address."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from assets.heartbeats import cron, states
from assets.heartbeats.states import Standing
from wedsync_monitor import schema

_YEAR_SECONDS = 366 * 86400
STANDING = ("expected_from", "started_at", "has_failed", "due_at", "down_at")
_TOLD = ("last_ping_at", "last_success_at", "last_duration_seconds", "last_exit_status", "last_log", "ping_count")


class Heartbeat(models.Model):
    """A job that is to say when it ran. It pings an address that only it knows; silence is what alarms."""

    id = schema.uuid_key()
    heartbeat_name = models.TextField(unique=True)
    asset = models.ForeignKey("assets.InfrastructureAsset", on_delete=models.CASCADE, related_name="heartbeats")
    ping_key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    period_seconds = models.IntegerField(
        null=True, blank=True, help_text="Seconds from one run to the next; or write a cron expression."
    )
    cron_expression = models.TextField(
        blank=True,
        **schema.fixed(""),
        help_text="Minute, hour, day of month, month, day of week; for example 30 3 * * 1-5.",
    )
    time_zone = models.TextField(**schema.fixed("UTC"), help_text="Of the cron expression, for example Europe/Berlin.")
    grace_seconds = models.IntegerField(
        **schema.fixed(3600), help_text="How late it may be, and how long a run that started may take."
    )
    is_paused = models.BooleanField(**schema.fixed(False))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    last_ping_at = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_duration_seconds = models.FloatField(null=True, editable=False)
    last_exit_status = models.IntegerField(null=True, editable=False)
    last_log = models.TextField(editable=False, **schema.fixed(""))
    ping_count = models.BigIntegerField(editable=False, **schema.fixed(0))
    expected_from = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    has_failed = models.BooleanField(editable=False, **schema.fixed(False))
    due_at = models.DateTimeField(null=True, editable=False)
    down_at = models.DateTimeField(null=True, editable=False)
    next_check_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "heartbeats"
        ordering = ["heartbeat_name"]
        indexes = [
            models.Index(fields=["next_check_at"], condition=models.Q(is_paused=False), name="idx_heartbeats_next")
        ]
        constraints = [
            schema.in_range("heartbeats", "period_seconds", 10, _YEAR_SECONDS),
            schema.in_range("heartbeats", "grace_seconds", 10, _YEAR_SECONDS),
            models.CheckConstraint(
                condition=models.Q(period_seconds=None) ^ models.Q(cron_expression=""),
                name="heartbeats_one_schedule",
                violation_error_message="period_seconds or cron_expression must be there, and not both.",
            ),
        ]

    def __str__(self) -> str:
        return self.heartbeat_name

    def save(self, *args: Any, **options: Any) -> None:
        """Store the configuration: what pings have told meanwhile stays, and the deadlines follow what is new."""
        now = timezone.now()
        with transaction.atomic():
            stored = type(self)._base_manager.select_for_update().filter(pk=self.pk).first()
            standing = self.standing()
            if stored is not None:
                for name in (*STANDING, *_TOLD):
                    setattr(self, name, getattr(stored, name))
                standing = self.standing()
                if stored.is_paused and not self.is_paused:
                    standing = states.resumed(standing, now)
            self.stand(self.reckon(standing))
            self.next_check_at = now
            super().save(*args, **options)

    def clean(self) -> None:
        super().clean()
        if self.time_zone not in available_timezones():
            raise ValidationError({"time_zone": "Send a name of the IANA time zone database, as Europe/Berlin."})
        if self.cron_expression:
            try:
                cron.next_after(self.cron_expression, ZoneInfo(self.time_zone), datetime(2026, 1, 1, tzinfo=UTC))
            except cron.BadCron as error:
                raise ValidationError({"cron_expression": f"{error}."}) from error

    def standing(self) -> Standing:
        return Standing(is_paused=self.is_paused, **{name: getattr(self, name) for name in STANDING})

    def stand(self, standing: Standing) -> None:
        for name in STANDING:
            setattr(self, name, getattr(standing, name))

    def reckon(self, standing: Standing) -> Standing:
        return states.reckoned(standing, self._next_due, timedelta(seconds=self.grace_seconds))

    def _next_due(self, moment: datetime) -> datetime:
        if self.period_seconds is not None:
            return moment + timedelta(seconds=self.period_seconds)
        return cron.next_after(self.cron_expression, ZoneInfo(self.time_zone), moment)

    @property
    def schedule(self) -> str:
        """In words, for lists."""
        if self.cron_expression:
            return f"{self.cron_expression} ({self.time_zone})"
        return f"every {timedelta(seconds=self.period_seconds or 0)}"

    @property
    def ping_url(self) -> str:
        return f"{settings.PUBLIC_URL}/ping/{self.ping_key}"
