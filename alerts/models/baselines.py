"""What is normal for a metric."""

from django.db import models

from alerts.models.choices import BaselineType, TimePeriod
from assets.models import InfrastructureAsset
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField
from wedsync_monitor.structures import AnyObject


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
        indexes = [
            models.Index(
                fields=["next_calculation"], condition=models.Q(is_active=True), name="idx_performance_baselines_due"
            )
        ]
        constraints = [
            schema.one_of("performance_baselines", "baseline_type", BaselineType),
            schema.one_of("performance_baselines", "time_period", TimePeriod),
            schema.in_range("performance_baselines", "confidence_interval", 0, 1),
            schema.in_range("performance_baselines", "calculation_frequency", 60),
            models.UniqueConstraint(fields=["asset", "metric_name", "time_period"], name="performance_baselines_once"),
        ]

    def __str__(self) -> str:
        return f"{self.metric_name} ({self.time_period})"
