"""Probes from outside: what is checked, where and when it runs next, and what was seen."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from synthetic.structures import CheckConfig, ExpectedResponse, Hosts, Locations, SecretText
from synthetic.verdict import State
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
    locations = StructuredField(
        structure=Locations,
        default=list,
        blank=True,
        help_text="Names of agents of type synthetic, and of the server's own location; that one where left empty.",
    )
    alert_on_failure = models.BooleanField(**schema.fixed(True))
    failure_threshold = models.IntegerField(**schema.fixed(1))
    success_threshold = models.IntegerField(**schema.fixed(1))
    business_impact_score = models.IntegerField(**schema.fixed(1), help_text="1 to 10.")
    is_enabled = models.BooleanField(**schema.fixed(True))
    slo_target_percent = models.FloatField(
        **schema.fixed(99.9), help_text="Share of results that is to succeed over 30 days."
    )
    asset = models.ForeignKey(
        "assets.InfrastructureAsset",
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="synthetic_checks",
        help_text="Whose series its results are.",
    )
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
            schema.in_range("synthetic_checks", "slo_target_percent", 50, 99.999),
        ]

    def __str__(self) -> str:
        return self.check_name

    def save(self, *args: Any, **options: Any) -> None:
        """Store the check, and let what is new take effect at once: whose its series are, where and when it runs."""
        from synthetic import places

        with transaction.atomic():
            options = places.before_saving(self, options)
            super().save(*args, **options)
            places.arrange(self, timezone.now())

    def clean(self) -> None:
        super().clean()
        if self.check_type in ("http", "api") and not self.target_url:
            raise ValidationError({"target_url": f"A check of type {self.check_type} needs target_url."})
        if self.check_type in ("dns", "tcp", "ping", "ssl") and not self.target_host:
            raise ValidationError({"target_host": f"A check of type {self.check_type} needs target_host."})
        if self.check_type == "tcp" and not self.target_port:
            raise ValidationError({"target_port": "A check of type tcp needs target_port."})


class PlaceState(models.TextChoices):
    UNKNOWN = State.UNKNOWN.value
    UP = State.UP.value
    DOWN = State.DOWN.value


class CheckPlace(models.Model):
    """A check at one location: when it runs there next, and the verdict over what was seen from there."""

    id = schema.uuid_key()
    synthetic_check = models.ForeignKey(SyntheticCheck, on_delete=models.CASCADE, related_name="places")
    location = models.TextField()
    next_run_at = models.DateTimeField(null=True, help_text="None while the check is disabled.")
    busy_until = models.DateTimeField(null=True, help_text="Until then nobody else runs it.")
    missed = models.BigIntegerField(**schema.fixed(0), help_text="Slots in which it was not run.")
    state = schema.choice(PlaceState, PlaceState.UNKNOWN)
    state_since = models.DateTimeField(null=True)
    failures_in_a_row = models.IntegerField(**schema.fixed(0))
    successes_in_a_row = models.IntegerField(**schema.fixed(0))
    last_result_at = models.DateTimeField(null=True)
    last_status = models.TextField(**schema.fixed(""))

    class Meta:
        db_table = "synthetic_check_places"
        ordering = ["location"]
        constraints = [
            schema.one_of("synthetic_check_places", "state", PlaceState),
            models.UniqueConstraint(fields=["synthetic_check", "location"], name="synthetic_check_places_once"),
        ]
        indexes = [
            models.Index(
                fields=["location", "next_run_at"],
                condition=models.Q(next_run_at__isnull=False),
                name="idx_check_places_next",
            )
        ]

    def __str__(self) -> str:
        return f"{self.synthetic_check_id} at {self.location}"


class ProbeLocation(models.Model):
    """A place from which probes run, as its runner last said that it is."""

    location_name = models.TextField(primary_key=True)
    seen_at = models.DateTimeField()
    cut_off_since = models.DateTimeField(null=True, help_text="Since when nothing can be reached from there.")

    class Meta:
        db_table = "synthetic_locations"
        ordering = ["location_name"]

    def __str__(self) -> str:
        return self.location_name


class ProbeSecret(models.Model):
    """A secret that checks refer to as {{secret:NAME}}. It goes to its hosts and nowhere else."""

    id = schema.uuid_key()
    secret_name = models.TextField(unique=True, help_text="Checks refer to it as {{secret:NAME}}.")
    hosts = StructuredField(
        structure=Hosts, default=list, help_text='Host names to which checks may send it: ["wedsync.example"].'
    )
    secret = StructuredField(structure=SecretText, sent_to=("hosts",), help_text='{"value": "…"}')
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "synthetic_secrets"
        ordering = ["secret_name"]

    def __str__(self) -> str:
        return self.secret_name

    def clean(self) -> None:
        super().clean()
        if not re.fullmatch(r"[^}\s]{1,200}", self.secret_name):
            raise ValidationError({"secret_name": "Send 1 to 200 characters without spaces and }."})


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
    is_counted = models.BooleanField(
        **schema.fixed(True), help_text="False where it says nothing of the target: the prober was at fault."
    )
    in_maintenance = models.BooleanField(
        **schema.fixed(False), help_text="Its asset was in planned maintenance: it is no downtime."
    )
    created_at = schema.created_at()

    class Meta:
        managed = False
        db_table = "synthetic_check_results"
        ordering = ["-check_timestamp"]

    def __str__(self) -> str:
        return f"{self.status} at {self.check_timestamp:%Y-%m-%d %H:%M:%S}"
