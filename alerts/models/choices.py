"""What the columns of alerting may say."""

from django.db import models


class Severity(models.TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class AlertType(models.TextChoices):
    THRESHOLD = "threshold"
    ANOMALY = "anomaly"
    COMPOSITE = "composite"
    ABSENCE = "absence"
    EXTERNAL = "external"


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
    ESCALATED = "escalated"
    SNOOZED = "snoozed"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    FLAPPING = "flapping"


class DeliveryStatus(models.TextChoices):
    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


class DecisionKind(models.TextChoices):
    """What is decided of a message or an escalation and would leave no other trace."""

    FAILED = "failed"
    GIVEN_UP = "given_up"
    SENT_AGAIN = "sent_again"
    RATE_LIMITED = "rate_limited"
    OUTSIDE_HOURS = "outside_hours"


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
