"""Rules: when metrics of which assets mean trouble."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models, transaction
from django.utils import timezone

from alerts import conditions
from alerts.channels.checks import check_channels
from alerts.models import consistency
from alerts.models.choices import AlertStatus, AlertType, DeliveryStatus, Severity
from alerts.models.escalation import EscalationPolicy
from wedsync_monitor import outgoing, schema
from wedsync_monitor.structured import StructuredField


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
    """When metrics of which assets mean trouble, and who is told. `profile` names the one that holds (profiles)."""

    profile = ""

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
    absence_config = StructuredField(structure=conditions.AbsenceConfig, default=dict, blank=True)
    composite_config = StructuredField(structure=conditions.CompositeConfig, default=dict, blank=True)
    profiles = StructuredField(structure=conditions.Profiles, default=list, blank=True)
    suppression_config = StructuredField(structure=conditions.SuppressionConfig, default=dict, blank=True)
    escalation_policy = models.ForeignKey(
        EscalationPolicy, null=True, blank=True, on_delete=models.SET_NULL, related_name="rules"
    )
    notification_channels = StructuredField(
        structure=conditions.Channels, check=check_channels, default=list, blank=True
    )
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
        evaluator does, so that one that runs meanwhile cannot push it ahead again. Raises ValidationError where the
        columns do not make a rule together."""
        consistency.check(self)
        with transaction.atomic():
            RuleEvaluation.objects.filter(rule_id=self.pk).update(next_evaluation_at=timezone.now())
            super().save(*args, **kwargs)
            self.instances.filter(status=AlertStatus.OPEN).update(next_escalation_at=timezone.now())

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
        consistency.check(self)
        if self.is_enabled and (problem := _unreachable(self.notification_channels)):
            raise ValidationError({"notification_channels": problem})

    def is_in_use(self) -> bool:
        """Whether it has live alerts, or messages that are still to be delivered."""
        undelivered = self.instances.filter(events__deliveries__status=DeliveryStatus.QUEUED)
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
    last_state = models.TextField(**schema.fixed(""), help_text="What the rule says of itself, such as that it learns.")

    class Meta:
        db_table = "alert_rule_evaluations"
        indexes = [models.Index(fields=["next_evaluation_at"], name="idx_rule_evaluations_due")]

    def __str__(self) -> str:
        return self.rule.rule_name
