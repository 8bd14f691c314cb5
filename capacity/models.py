"""Forecasts of when capacity runs out."""

from django.db import models
from django.db.models import F, Q

from assets.models import InfrastructureAsset
from capacity.structures import CapacityThresholds, ConfidenceIntervals, ForecastPoint
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField
from wedsync_monitor.structures import AnyObject


class ForecastAlgorithm(models.TextChoices):
    LINEAR = "linear"
    SEASONAL = "seasonal"
    ARIMA = "arima"
    ML = "ml"


class CapacityForecast(models.Model):
    """One forecast of one metric of one asset, with what it was made from."""

    id = schema.uuid_key()
    asset = models.ForeignKey(InfrastructureAsset, on_delete=models.CASCADE, related_name="forecasts")
    metric_name = models.TextField()
    forecast_horizon_days = models.IntegerField()
    forecast_algorithm = schema.choice(ForecastAlgorithm, ForecastAlgorithm.LINEAR)
    historical_data_points = models.IntegerField(help_text="Number of points used.")
    forecast_values = StructuredField(structure=list[ForecastPoint])
    confidence_intervals = StructuredField(structure=ConfidenceIntervals, default=dict, blank=True)
    trend_analysis = StructuredField(structure=AnyObject, default=dict, blank=True)
    seasonal_analysis = StructuredField(structure=AnyObject, default=dict, blank=True)
    capacity_thresholds = StructuredField(structure=CapacityThresholds, default=dict, blank=True)
    recommendations = StructuredField(structure=list[AnyObject], default=list, blank=True)
    accuracy_score = models.FloatField(null=True, blank=True)
    model_metadata = StructuredField(structure=AnyObject, default=dict, blank=True)
    calculated_at = models.DateTimeField()
    valid_until = models.DateTimeField()
    created_at = schema.created_at()

    class Meta:
        db_table = "capacity_forecasts"
        ordering = ["-calculated_at"]
        indexes = [models.Index(fields=["asset", "metric_name"], name="idx_capacity_asset_metric")]
        constraints = [
            schema.one_of("capacity_forecasts", "forecast_algorithm", ForecastAlgorithm),
            schema.in_range("capacity_forecasts", "forecast_horizon_days", 1, 1095),
            schema.in_range("capacity_forecasts", "historical_data_points", 0),
            models.CheckConstraint(
                condition=Q(valid_until__gte=F("calculated_at")), name="capacity_forecasts_validity"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric_name} for {self.forecast_horizon_days} days"
