"""What others said last about their own alerts."""

from django.db import models

from alerts.models.rules import AlertRule
from assets.models import InfrastructureAsset


class ExternalAlert(models.Model):
    """An alert that is found elsewhere, as it was said last: it lasts until `ends_at` unless it is said again."""

    alert_key = models.TextField(primary_key=True)
    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="external_alerts")
    asset = models.ForeignKey(InfrastructureAsset, null=True, on_delete=models.SET_NULL, related_name="+")
    severity = models.TextField()
    labels = models.JSONField()
    annotations = models.JSONField(default=dict)
    generator_url = models.TextField(default="")
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField()

    class Meta:
        db_table = "external_alerts"
        indexes = [models.Index(fields=["ends_at"], name="idx_external_alerts_ends")]

    def __str__(self) -> str:
        return str(self.labels.get("alertname", self.alert_key))
