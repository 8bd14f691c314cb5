"""What is monitored and who reports it: assets, agents, their keys, and what discovery offers."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models

from assets import topology
from assets.heartbeats.models import Heartbeat as Heartbeat
from assets.scraping.models import ScrapeJob as ScrapeJob
from assets.scraping.models import ScrapeTarget as ScrapeTarget
from assets.structures import AgentConfig, Configuration, MonitoringConfig, Tag
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField


class Environment(models.TextChoices):
    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"


class HealthStatus(models.TextChoices):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class AssetType(models.TextChoices):
    SERVER = "server"
    DATABASE = "database"
    LOAD_BALANCER = "load_balancer"
    CONTAINER = "container"
    SERVICE = "service"


class AssetCategory(models.TextChoices):
    COMPUTE = "compute"
    STORAGE = "storage"
    NETWORK = "network"
    APPLICATION = "application"


class Provider(models.TextChoices):
    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"
    ON_PREMISES = "on-premises"


class InfrastructureAsset(models.Model):
    """A server, database, load balancer, container or service that is watched."""

    id = schema.uuid_key()
    asset_name = models.TextField(unique=True)
    asset_type = schema.choice(AssetType)
    asset_category = schema.choice(AssetCategory)
    environment = schema.choice(Environment)
    location = models.TextField(null=True, blank=True, help_text="Data centre, region or availability zone.")
    provider = schema.choice(Provider, null=True, blank=True)
    configuration = StructuredField(structure=Configuration, default=dict, blank=True)
    tags = StructuredField(
        structure=list[Tag], default=list, blank=True, help_text='A list of words or "key:value" pairs.'
    )
    parent_asset = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="child_assets"
    )
    dependencies = StructuredField(
        structure=list[str], default=list, blank=True, help_text="Ids of the assets that this one needs."
    )
    monitoring_config = StructuredField(structure=MonitoringConfig, default=dict, blank=True)
    is_critical = models.BooleanField(**schema.fixed(False), help_text="Critical for wedding operations.")
    is_active = models.BooleanField(**schema.fixed(True))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="assets"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "infrastructure_assets"
        ordering = ["asset_name"]
        indexes = [
            models.Index(fields=["environment", "asset_type", "asset_name"], name="idx_assets_env_type"),
            models.Index(fields=["created_by"], name="idx_assets_created_by"),
        ]
        constraints = [
            schema.one_of("infrastructure_assets", "asset_type", AssetType),
            schema.one_of("infrastructure_assets", "asset_category", AssetCategory),
            schema.one_of("infrastructure_assets", "environment", Environment),
            schema.one_of("infrastructure_assets", "provider", Provider),
            models.CheckConstraint(
                condition=~models.Q(parent_asset=models.F("id")),
                name="infrastructure_assets_own_parent",
                violation_error_message="An asset cannot be its own parent.",
            ),
        ]

    def __str__(self) -> str:
        return self.asset_name

    def dependants(self) -> "models.QuerySet[InfrastructureAsset]":
        """The assets that have this one as their parent or need it."""
        return InfrastructureAsset.objects.filter(
            models.Q(parent_asset=self) | models.Q(dependencies__contains=[str(self.pk)])
        )

    def detach(self, other: "InfrastructureAsset") -> None:
        """No longer have `other` as parent or need it."""
        if self.parent_asset_id == other.pk:
            self.parent_asset = None
        self.dependencies = [pk for pk in self.dependencies if pk != str(other.pk)]
        self.save()

    def clean(self) -> None:
        """Refuse dependencies that do not exist and a cycle among parents or dependencies."""
        super().clean()
        try:
            topology.check(self)
        except topology.Refused as refusal:
            raise ValidationError({refusal.field: refusal.reason}) from refusal


class AssetHealth(models.Model):
    """The latest assessment of an asset, kept by beat for lists and counts; its history is the metric series
    `asset_health_score`."""

    asset = models.OneToOneField(InfrastructureAsset, primary_key=True, on_delete=models.CASCADE, related_name="health")
    health_status = schema.choice(HealthStatus, HealthStatus.UNKNOWN)
    health_score = models.FloatField(null=True, help_text="0 to 100; null where nothing is known.")
    last_metric_timestamp = models.DateTimeField(null=True)
    assessed_at = models.DateTimeField()

    class Meta:
        db_table = "asset_health"
        verbose_name_plural = "asset health"
        constraints = [
            schema.one_of("asset_health", "health_status", HealthStatus),
            schema.in_range("asset_health", "health_score", 0, 100),
        ]

    def __str__(self) -> str:
        return f"{self.asset_id}: {self.health_status}"


class AgentType(models.TextChoices):
    SYSTEM = "system"
    APPLICATION = "application"
    SYNTHETIC = "synthetic"
    CUSTOM = "custom"


class AgentHealth(models.TextChoices):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class MonitoringAgent(models.Model):
    """A program that reports metrics of one asset."""

    id = schema.uuid_key()
    agent_name = models.TextField(unique=True)
    agent_type = schema.choice(AgentType, AgentType.SYSTEM)
    asset = models.ForeignKey(InfrastructureAsset, on_delete=models.CASCADE, related_name="agents")
    agent_version = models.TextField(default="", blank=True)
    agent_config = StructuredField(structure=AgentConfig, default=dict, blank=True)
    collection_interval = models.IntegerField(**schema.fixed(60), help_text="Seconds.")
    retention_days = models.IntegerField(**schema.fixed(90))
    max_series = models.IntegerField(
        null=True, blank=True, help_text="Series that it may have; the installation's limit where empty."
    )
    compression_enabled = models.BooleanField(**schema.fixed(True))
    encryption_enabled = models.BooleanField(**schema.fixed(True))
    health_status = schema.choice(AgentHealth, AgentHealth.UNKNOWN)
    last_heartbeat = models.DateTimeField(null=True, blank=True)
    last_report = models.JSONField(default=dict, editable=False, help_text="What the last heartbeat said.")
    metrics_collected = models.BigIntegerField(**schema.fixed(0))
    bytes_transmitted = models.BigIntegerField(**schema.fixed(0))
    is_active = models.BooleanField(**schema.fixed(True))
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "monitoring_agents"
        ordering = ["agent_name"]
        constraints = [
            schema.one_of("monitoring_agents", "agent_type", AgentType),
            schema.one_of("monitoring_agents", "health_status", AgentHealth),
            schema.in_range("monitoring_agents", "collection_interval", 1, 86400),
            schema.in_range("monitoring_agents", "retention_days", 1, 3650),
            schema.in_range("monitoring_agents", "max_series", 1, 10_000_000),
            schema.in_range("monitoring_agents", "metrics_collected", 0),
            schema.in_range("monitoring_agents", "bytes_transmitted", 0),
        ]

    def __str__(self) -> str:
        return self.agent_name


class AgentKey(models.Model):
    """A bearer key of an agent: stored as a SHA-256 digest, shown once; two may be valid while one replaces the
    other."""

    id = schema.uuid_key()
    agent = models.ForeignKey(MonitoringAgent, on_delete=models.CASCADE, related_name="keys")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = schema.created_at()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    first_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "agent_keys"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"key of {self.agent} made {self.created_at:%Y-%m-%d %H:%M}"


class EnrolmentToken(models.Model):
    """Lets one new agent in, once: it is spent by the enrolment that uses it."""

    id = schema.uuid_key()
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    agent_name = models.TextField()
    asset = models.ForeignKey(InfrastructureAsset, on_delete=models.CASCADE, related_name="enrolment_tokens")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True, editable=False)
    agent = models.ForeignKey(MonitoringAgent, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        db_table = "agent_enrolment_tokens"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"enrolment of {self.agent_name}"


class DiscoveryKind(models.TextChoices):
    SERVICE = "service"
    CONTAINER = "container"
    EXPORTER = "exporter"


class DiscoveryDecision(models.TextChoices):
    OFFERED = "offered"
    ACCEPTED = "accepted"
    IGNORED = "ignored"


class Discovery(models.Model):
    """Something an agent found running on its host, offered as a new asset."""

    id = schema.uuid_key()
    agent = models.ForeignKey(MonitoringAgent, on_delete=models.CASCADE, related_name="discoveries")
    kind = schema.choice(DiscoveryKind)
    name = models.TextField()
    details = models.JSONField(default=dict)
    decision = schema.choice(DiscoveryDecision, DiscoveryDecision.OFFERED)
    asset = models.ForeignKey(InfrastructureAsset, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    first_seen_at = schema.created_at()
    last_seen_at = models.DateTimeField()

    class Meta:
        db_table = "asset_discoveries"
        ordering = ["-last_seen_at"]
        verbose_name_plural = "discoveries"
        constraints = [
            schema.one_of("asset_discoveries", "kind", DiscoveryKind),
            schema.one_of("asset_discoveries", "decision", DiscoveryDecision),
            models.UniqueConstraint(fields=["agent", "kind", "name"], name="asset_discoveries_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class MetricSeries(models.Model):
    """One series: what the specification's metric row repeats on every sample is here once."""

    pk = models.CompositePrimaryKey("asset_id", "id")
    asset = models.ForeignKey(InfrastructureAsset, on_delete=models.DO_NOTHING, related_name="+")
    id = models.BigIntegerField()
    agent_id = models.UUIDField(null=True)
    metric_name = models.TextField()
    metric_type = models.TextField()
    metric_unit = models.TextField()
    metric_labels = models.JSONField()
    collection_method = models.TextField()
    data_quality_score = models.FloatField()
    fingerprint = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "metric_series"

    def __str__(self) -> str:
        return self.metric_name


class CatalogueEntry(models.Model):
    """A metric by its name, summed up over all of its series (assets/metrics/catalogue.py)."""

    metric_name = models.TextField(primary_key=True, editable=False)
    meaning = models.TextField(default="", db_default="", blank=True, help_text="What it says, in your words.")
    metric_types = ArrayField(models.TextField(), default=list, editable=False)
    metric_units = ArrayField(models.TextField(), default=list, editable=False)
    collection_methods = ArrayField(models.TextField(), default=list, editable=False)
    labels = models.JSONField(default=dict, editable=False, help_text="The number of values of each label.")
    series = models.BigIntegerField(**schema.fixed(0), editable=False)
    assets = models.BigIntegerField(**schema.fixed(0), editable=False)
    agents = models.BigIntegerField(**schema.fixed(0), editable=False)
    first_seen = models.DateTimeField(editable=False)
    last_seen = models.DateTimeField(editable=False)
    refused = models.BigIntegerField(**schema.fixed(0), editable=False)
    refused_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "metric_catalogue"
        ordering = ["metric_name"]
        verbose_name_plural = "metric catalogue"

    def __str__(self) -> str:
        return self.metric_name


class SeriesUsage(models.Model):
    """How many series an agent has on an asset, or those without an agent (tokens), and how many were refused."""

    asset = models.ForeignKey(InfrastructureAsset, on_delete=models.CASCADE, related_name="series_usage")
    agent = models.ForeignKey(MonitoringAgent, null=True, on_delete=models.CASCADE, related_name="series_usage")
    series = models.BigIntegerField(**schema.fixed(0))
    refused = models.BigIntegerField(**schema.fixed(0), help_text="Times that a new series was refused.")
    reported = models.BigIntegerField(**schema.fixed(0), help_text="Of these, told as the series series_refused.")
    refused_at = models.DateTimeField(null=True)
    example = models.TextField(default="", db_default="", help_text="The last one that was refused.")

    class Meta:
        db_table = "metric_series_usage"
        verbose_name_plural = "series usage"
        ordering = ["-series", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["asset", "agent"], nulls_distinct=False, name="metric_series_usage_once")
        ]
        indexes = [
            models.Index(fields=["-series", "id"], name="idx_series_usage_size"),
            models.Index(fields=["refused_at"], condition=models.Q(refused_at__isnull=False), name="idx_refused"),
        ]

    def __str__(self) -> str:
        return f"{self.agent or 'tokens'} on {self.asset}"


class InfrastructureMetric(models.Model):
    """The specification's row per sample, as a read-only view over frames and series."""

    id = models.UUIDField(primary_key=True)
    asset = models.ForeignKey(InfrastructureAsset, on_delete=models.DO_NOTHING, related_name="metrics")
    agent = models.ForeignKey(MonitoringAgent, null=True, on_delete=models.DO_NOTHING, related_name="+")
    metric_name = models.TextField()
    metric_type = models.TextField()
    metric_value = models.DecimalField(max_digits=1000, decimal_places=300)
    metric_unit = models.TextField()
    metric_labels = models.JSONField()
    collection_timestamp = models.DateTimeField()
    collection_method = models.TextField()
    data_quality_score = models.DecimalField(max_digits=1000, decimal_places=300)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "infrastructure_metrics"
        ordering = ["-collection_timestamp"]

    def __str__(self) -> str:
        return f"{self.metric_name} {self.metric_value}"
