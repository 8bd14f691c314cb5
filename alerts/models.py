"""Rules, what they opened, what followed: the tables of alerting."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from alerts import conditions
from assets.models import InfrastructureAsset
from assets.references import check_assets
from wedsync_monitor import outgoing, schema
from wedsync_monitor.structured import StructuredField
from wedsync_monitor.structures import AnyObject


class Severity(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class EscalationPolicy(models.Model):
    """Who is told next when nobody acknowledges."""

    id = schema.uuid_key()
    policy_name = models.TextField(unique=True)
    policy_description = models.TextField(null=True, blank=True)
    escalation_steps = StructuredField(structure=conditions.EscalationSteps)
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


class AlertType(models.TextChoices):
    THRESHOLD = "threshold"
    ANOMALY = "anomaly"
    COMPOSITE = "composite"
    ABSENCE = "absence"


class InUse(Exception):
    """The rule cannot be deleted yet."""

    advice = "it has live alerts or undelivered messages. Switch it off first; its alerts end then."


def _unreachable(channels: Any) -> str | None:
    """Which address of `channels` messages would never be sent to, and why; None where none is known to be so."""
    configs = [one.get("config") for one in channels if isinstance(one, dict)] if isinstance(channels, list) else []
    urls = [config.get("url") or config.get("webhook_url") for config in configs if isinstance(config, dict)]
    problems = (outgoing.refusal_of_url(url) for url in urls if isinstance(url, str))
    return next((problem for problem in problems if problem), None)


class AlertRule(models.Model):
    """When metrics of which assets mean trouble, and who is told."""

    id = schema.uuid_key()
    rule_name = models.TextField(unique=True)
    rule_description = models.TextField(null=True, blank=True)
    asset_filter = StructuredField(structure=conditions.AssetFilter, default=dict, blank=True)
    metric_conditions = StructuredField(structure=conditions.Conditions)
    severity = schema.choice(Severity, Severity.MEDIUM)
    alert_type = schema.choice(AlertType, AlertType.THRESHOLD)
    evaluation_window = models.IntegerField(**schema.fixed(300), help_text="Seconds.")
    evaluation_frequency = models.IntegerField(**schema.fixed(60), help_text="Seconds.")
    threshold_config = StructuredField(structure=conditions.ThresholdConfig, default=dict, blank=True)
    anomaly_config = StructuredField(structure=conditions.AnomalyConfig, default=dict, blank=True)
    suppression_config = StructuredField(structure=conditions.SuppressionConfig, default=dict, blank=True)
    escalation_policy = models.ForeignKey(
        EscalationPolicy, null=True, blank=True, on_delete=models.SET_NULL, related_name="rules"
    )
    notification_channels = StructuredField(structure=conditions.Channels, default=list, blank=True)
    auto_resolve_timeout = models.IntegerField(null=True, blank=True, help_text="Seconds.")
    runbook_url = models.TextField(null=True, blank=True, validators=[URLValidator(["http", "https"])])
    business_impact = models.TextField(null=True, blank=True)
    is_enabled = models.BooleanField(**schema.fixed(True))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "alert_rules"
        ordering = ["rule_name"]
        constraints = [
            schema.one_of("alert_rules", "severity", Severity),
            schema.one_of("alert_rules", "alert_type", AlertType),
            schema.in_range("alert_rules", "evaluation_window", 1, 31 * 86400),
            schema.in_range("alert_rules", "evaluation_frequency", 1, 86400),
            schema.in_range("alert_rules", "auto_resolve_timeout", 1, 31 * 86400),
        ]

    def __str__(self) -> str:
        return self.rule_name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """What was changed takes effect at once: the rule is due. The evaluation's row is locked first, as the
        evaluator does, so that one that runs meanwhile cannot push it ahead again."""
        with transaction.atomic():
            RuleEvaluation.objects.filter(rule_id=self.pk).update(next_evaluation_at=timezone.now())
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises InUse: whoever was told that trouble began is to be told its end."""
        with transaction.atomic():
            list(RuleEvaluation.objects.select_for_update().filter(rule_id=self.pk))
            if self.is_in_use():
                raise InUse(f"{self.rule_name}: {InUse.advice}")
            return super().delete(*args, **kwargs)

    def clean(self) -> None:
        """A rule that is on must be able to tell somebody; one that is off may wait for its network to be allowed."""
        super().clean()
        if self.is_enabled and (problem := _unreachable(self.notification_channels)):
            raise ValidationError({"notification_channels": problem})

    def is_in_use(self) -> bool:
        """Whether it has live alerts, or messages that are still to be delivered."""
        undelivered = NotificationDelivery.objects.filter(event__alert__alert_rule=self, status=DeliveryStatus.QUEUED)
        return self.instances.exclude(status=AlertStatus.RESOLVED).exists() or undelivered.exists()


class RuleEvaluation(models.Model):
    """When a rule is due and how its last evaluation went; apart from the rule, whose rows are configuration."""

    rule = models.OneToOneField(AlertRule, primary_key=True, on_delete=models.CASCADE, related_name="evaluation")
    next_evaluation_at = models.DateTimeField(help_text="Due from then on.")
    last_evaluated_at = models.DateTimeField(null=True)
    last_duration_ms = models.FloatField(null=True)
    last_lag_ms = models.FloatField(null=True, help_text="How long after it was due the last evaluation began.")
    last_series_seen = models.IntegerField(null=True)
    missed_evaluations = models.IntegerField(**schema.fixed(0), help_text="So many were due and fell out.")
    last_error = models.TextField(**schema.fixed(""))

    class Meta:
        db_table = "alert_rule_evaluations"
        indexes = [models.Index(fields=["next_evaluation_at"], name="idx_rule_evaluations_due")]

    def __str__(self) -> str:
        return self.rule.rule_name


class AlertStatus(models.TextChoices):
    PENDING = "pending"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SUPPRESSED = "suppressed"
    RESOLVED = "resolved"


class ResolutionType(models.TextChoices):
    MANUAL = "manual"
    AUTO = "auto"
    TIMEOUT = "timeout"


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
    escalation_level = models.IntegerField(**schema.fixed(0))
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


class EventKind(models.TextChoices):
    PENDING = "pending"
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement_expired"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    DATA_MISSING = "data_missing"
    DATA_BACK = "data_back"
    RESOLVED = "resolved"


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


class DeliveryStatus(models.TextChoices):
    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


class NotificationDelivery(models.Model):
    """The outbox: one message of one event to one channel, from the transaction that made it due to its arrival."""

    id = schema.uuid_key()
    event = models.ForeignKey(AlertEvent, on_delete=models.CASCADE, related_name="deliveries")
    channel_key = models.TextField(help_text="Type of the channel and a digest of its address.")
    channel = StructuredField(structure=conditions.Channel)
    status = schema.choice(DeliveryStatus, DeliveryStatus.QUEUED)
    attempts = models.IntegerField(**schema.fixed(0))
    next_attempt_at = models.DateTimeField(help_text="Due from then on; a claim moves it ahead.")
    last_error = models.TextField(**schema.fixed(""))
    created_at = schema.created_at()
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "notification_deliveries"
        ordering = ["-created_at"]
        verbose_name_plural = "notification deliveries"
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(status="queued"), name="idx_deliveries_due"),
            models.Index(fields=["-created_at"], name="idx_deliveries_created"),
        ]
        constraints = [
            schema.one_of("notification_deliveries", "status", DeliveryStatus),
            models.UniqueConstraint(fields=["event", "channel_key"], name="notification_deliveries_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_key}: {self.status}"


class BaselineType(models.TextChoices):
    STATISTICAL = "statistical"
    SEASONAL = "seasonal"
    TREND = "trend"
    CUSTOM = "custom"


class TimePeriod(models.TextChoices):
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class PerformanceBaseline(models.Model):
    """What is normal for a metric of an asset in a period."""

    id = schema.uuid_key()
    asset = models.ForeignKey(InfrastructureAsset, on_delete=models.CASCADE, related_name="baselines")
    metric_name = models.TextField()
    baseline_type = schema.choice(BaselineType, BaselineType.STATISTICAL)
    time_period = schema.choice(TimePeriod)
    baseline_config = StructuredField(structure=AnyObject, default=dict, blank=True)
    statistical_data = StructuredField(structure=AnyObject, default=dict, blank=True)
    seasonal_patterns = StructuredField(structure=AnyObject, default=dict, blank=True)
    confidence_interval = models.FloatField(**schema.fixed(0.95))
    last_calculated = models.DateTimeField()
    next_calculation = models.DateTimeField()
    calculation_frequency = models.IntegerField(**schema.fixed(86400), help_text="Seconds.")
    is_active = models.BooleanField(**schema.fixed(True))
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "performance_baselines"
        ordering = ["metric_name"]
        constraints = [
            schema.one_of("performance_baselines", "baseline_type", BaselineType),
            schema.one_of("performance_baselines", "time_period", TimePeriod),
            schema.in_range("performance_baselines", "confidence_interval", 0, 1),
            schema.in_range("performance_baselines", "calculation_frequency", 60),
            models.UniqueConstraint(fields=["asset", "metric_name", "time_period"], name="performance_baselines_once"),
        ]

    def __str__(self) -> str:
        return f"{self.metric_name} ({self.time_period})"


class MaintenanceType(models.TextChoices):
    PLANNED = "planned"
    EMERGENCY = "emergency"


class ImpactLevel(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class WindowStatus(models.TextChoices):
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class MaintenanceWindow(models.Model):
    """Planned work on assets, in which their alerts may be kept from people."""

    id = schema.uuid_key()
    window_name = models.TextField()
    description = models.TextField(null=True, blank=True)
    affected_assets = StructuredField(
        structure=list[str], check=check_assets, default=list, blank=True, help_text="Ids of assets."
    )
    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    recurrence_config = StructuredField(structure=conditions.Recurrence, null=True, blank=True)
    maintenance_type = schema.choice(MaintenanceType, MaintenanceType.PLANNED)
    impact_level = schema.choice(ImpactLevel, ImpactLevel.LOW)
    notification_config = StructuredField(structure=conditions.WindowNotification, default=dict, blank=True)
    alert_suppression = models.BooleanField(**schema.fixed(True))
    status = schema.choice(WindowStatus, WindowStatus.SCHEDULED)
    actual_start_time = models.DateTimeField(null=True, blank=True)
    actual_end_time = models.DateTimeField(null=True, blank=True)
    completion_notes = models.TextField(null=True, blank=True)
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
