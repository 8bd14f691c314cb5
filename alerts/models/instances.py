"""Alerts and what happened to them."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from alerts.models.choices import AlertStatus, EventKind, ResolutionType, Severity
from alerts.models.rules import AlertRule
from assets.models import InfrastructureAsset
from wedsync_monitor import schema


class AlertInstance(models.Model):
    """One piece of trouble on one asset, from the first breach to its resolution (alerts.lifecycle)."""

    id = schema.uuid_key()
    alert_rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="instances")
    asset = models.ForeignKey(
        InfrastructureAsset, null=True, blank=True, on_delete=models.SET_NULL, related_name="alert_instances"
    )
    alert_key = models.TextField(help_text="What it is about; at most one live instance has it.")
    alert_title = models.TextField()
    alert_description = models.TextField()
    severity = schema.choice(Severity)
    status = schema.choice(AlertStatus, AlertStatus.OPEN)
    trigger_value = models.FloatField(null=True, blank=True)
    threshold_value = models.FloatField(null=True, blank=True)
    context_data = models.JSONField(default=dict, blank=True)
    first_triggered_at = models.DateTimeField()
    last_triggered_at = models.DateTimeField()
    breach_count = models.IntegerField(**schema.fixed(0), help_text="Evaluations in a row that breached.")
    opened_at = models.DateTimeField(null=True, blank=True)
    clear_since = models.DateTimeField(null=True, blank=True, help_text="Recovered without a break since then.")
    missing_since = models.DateTimeField(null=True, blank=True, help_text="Without data since then.")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    acknowledged_until = models.DateTimeField(null=True, blank=True, help_text="From the estimated resolution time.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    resolution_type = schema.choice(ResolutionType, null=True, blank=True)
    resolution_notes = models.TextField(null=True, blank=True)
    false_positive = models.BooleanField(**schema.fixed(False), help_text="A person said that there was no trouble.")
    escalation_level = models.IntegerField(**schema.fixed(0))
    next_escalation_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it is looked at again: its next step, or the end of an acknowledgement or a snooze.",
    )
    snoozed_until = models.DateTimeField(null=True, blank=True)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    flips = ArrayField(
        models.DateTimeField(), default=list, blank=True, help_text="When the trouble began and ended lately."
    )
    flapping_since = models.DateTimeField(null=True, blank=True)
    notification_status = models.JSONField(default=dict, blank=True)
    impact_assessment = models.JSONField(default=dict, blank=True)
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "alert_instances"
        ordering = ["-first_triggered_at"]
        indexes = [
            models.Index(fields=["status"], name="idx_alert_instances_status"),
            models.Index(fields=["severity"], name="idx_alert_instances_severity"),
            models.Index(fields=["-first_triggered_at"], name="idx_alert_instances_triggered"),
            models.Index(fields=["asset", "status"], name="idx_alert_instances_asset"),
            models.Index(fields=["alert_rule", "-first_triggered_at"], name="idx_alert_instances_rule"),
            models.Index(
                fields=["next_escalation_at"],
                condition=Q(next_escalation_at__isnull=False),
                name="idx_alerts_escalation_due",
            ),
        ]
        constraints = [
            schema.one_of("alert_instances", "severity", Severity),
            schema.one_of("alert_instances", "status", AlertStatus),
            schema.one_of("alert_instances", "resolution_type", ResolutionType),
            schema.in_range("alert_instances", "escalation_level", 0),
            models.UniqueConstraint(
                fields=["alert_key"], condition=~Q(status="resolved"), name="alert_instances_one_live"
            ),
            models.CheckConstraint(
                condition=Q(status="resolved", resolved_at__isnull=False)
                | (~Q(status="resolved") & Q(resolved_at__isnull=True)),
                name="alert_instances_resolved_at",
            ),
        ]

    def __str__(self) -> str:
        return self.alert_title


class AlertEvent(models.Model):
    """What happened to an alert, in order; written with the change itself and never changed after."""

    id = models.BigAutoField(primary_key=True)
    alert = models.ForeignKey(AlertInstance, on_delete=models.CASCADE, related_name="events")
    kind = schema.choice(EventKind)
    at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.TextField(**schema.fixed(""))
    data = models.JSONField(default=dict)

    class Meta:
        db_table = "alert_events"
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["alert", "at"], name="idx_alert_events_alert")]
        constraints = [schema.one_of("alert_events", "kind", EventKind)]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M:%S}"
