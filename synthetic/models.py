"""Probes from outside and what they saw."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from synthetic.structures import CheckConfig, ExpectedResponse, Locations
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField


class CheckType(models.TextChoices):
    HTTP = "http"
    DNS = "dns"
    TCP = "tcp"
    PING = "ping"
    SSL = "ssl"
    API = "api"


class SyntheticCheck(models.Model):
    """A probe of one target, repeated."""

    id = schema.uuid_key()
    check_name = models.TextField(unique=True)
    check_type = schema.choice(CheckType)
    target_url = models.TextField(null=True, blank=True)
    target_host = models.TextField(null=True, blank=True)
    target_port = models.IntegerField(null=True, blank=True)
    check_config = StructuredField(
        structure=CheckConfig, sent_to=("target_url", "target_host", "target_port"), default=dict, blank=True
    )
    expected_response = StructuredField(structure=ExpectedResponse, default=dict, blank=True)
    check_frequency = models.IntegerField(**schema.fixed(60), help_text="Seconds.")
    timeout_seconds = models.IntegerField(**schema.fixed(10))
    retry_attempts = models.IntegerField(**schema.fixed(3))
    locations = StructuredField(structure=Locations, default=list, blank=True)
    alert_on_failure = models.BooleanField(**schema.fixed(True))
    failure_threshold = models.IntegerField(**schema.fixed(1))
    success_threshold = models.IntegerField(**schema.fixed(1))
    business_impact_score = models.IntegerField(**schema.fixed(1), help_text="1 to 10.")
    is_enabled = models.BooleanField(**schema.fixed(True))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "synthetic_checks"
        ordering = ["check_name"]
        constraints = [
            schema.one_of("synthetic_checks", "check_type", CheckType),
            schema.in_range("synthetic_checks", "target_port", 1, 65535),
            schema.in_range("synthetic_checks", "check_frequency", 1, 86400),
            schema.in_range("synthetic_checks", "timeout_seconds", 1, 300),
            schema.in_range("synthetic_checks", "retry_attempts", 0, 10),
            schema.in_range("synthetic_checks", "failure_threshold", 1, 100),
            schema.in_range("synthetic_checks", "success_threshold", 1, 100),
            schema.in_range("synthetic_checks", "business_impact_score", 1, 10),
        ]

    def __str__(self) -> str:
        return self.check_name

    def clean(self) -> None:
        super().clean()
        if self.check_type in ("http", "api") and not self.target_url:
            raise ValidationError({"target_url": f"A check of type {self.check_type} needs target_url."})
        if self.check_type in ("dns", "tcp", "ping", "ssl") and not self.target_host:
            raise ValidationError({"target_host": f"A check of type {self.check_type} needs target_host."})
        if self.check_type == "tcp" and not self.target_port:
            raise ValidationError({"target_port": "A check of type tcp needs target_port."})


class ResultStatus(models.TextChoices):
    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    ERROR = "error"


class SyntheticCheckResult(models.Model):
    """What one probe saw; partitioned by day (migrations/sql)."""

    id = schema.uuid_key()
    # Named `check_id` in the table; `check` is a method of Django's models.
    synthetic_check = models.ForeignKey(
        SyntheticCheck, on_delete=models.DO_NOTHING, related_name="results", db_column="check_id"
    )
    check_timestamp = models.DateTimeField()
    location = models.TextField(null=True, blank=True)
    status = schema.choice(ResultStatus)
    response_time_ms = models.IntegerField(null=True, blank=True)
    status_code = models.IntegerField(null=True, blank=True)
    response_size_bytes = models.IntegerField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)
    response_headers = models.JSONField(null=True, blank=True)
    response_body_sample = models.TextField(null=True, blank=True)
    certificate_info = models.JSONField(null=True, blank=True)
    dns_info = models.JSONField(null=True, blank=True)
    network_info = models.JSONField(null=True, blank=True)
    created_at = schema.created_at()

    class Meta:
        managed = False
        db_table = "synthetic_check_results"
        ordering = ["-check_timestamp"]

    def __str__(self) -> str:
        return f"{self.status} at {self.check_timestamp:%Y-%m-%d %H:%M:%S}"
