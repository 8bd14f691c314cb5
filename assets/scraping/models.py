"""What the server reads itself: jobs, and the targets that they come to."""

from __future__ import annotations

import re
import ssl
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from assets.scraping import discovery
from assets.scraping.discovery import TargetGroup
from assets.scraping.structures import JobLabels, ScrapeRequest, StaticTargets
from wedsync_monitor import outgoing, schema
from wedsync_monitor.structured import StructuredField

_FILE_PATTERN = re.compile(r"[A-Za-z0-9._*?-]+\.(?:json|ya?ml)")
RESERVED_LABELS = {"job", "instance", "le", "quantile"}


class Scheme(models.TextChoices):
    HTTP = "http"
    HTTPS = "https"


class TargetSource(models.TextChoices):
    STATIC = "static"
    HTTP_SD = "http_sd"
    FILE_SD = "file_sd"


class ScrapeJob(models.Model):
    """Prometheus exporters that the server reads: where their list comes from, and how each is read."""

    id = schema.uuid_key()
    job_name = models.TextField(unique=True)
    source = schema.choice(TargetSource, TargetSource.STATIC)
    static_targets = StructuredField(
        structure=StaticTargets,
        default=list,
        blank=True,
        help_text='For static: [{"targets": ["host:9100"], "labels": {"team": "web"}}].',
    )
    sd_url = models.TextField(blank=True, **schema.fixed(""), help_text="For http_sd: what answers the list.")
    sd_file = models.TextField(
        blank=True,
        **schema.fixed(""),
        help_text="For file_sd: a file or pattern in this server's folder of such files, for example web-*.json.",
    )
    refresh_interval = models.IntegerField(**schema.fixed(60), help_text="Seconds between two looks at the list.")
    scheme = schema.choice(Scheme, Scheme.HTTP)
    metrics_path = models.TextField(**schema.fixed("/metrics"))
    scrape_interval = models.IntegerField(**schema.fixed(60), help_text="Seconds.")
    scrape_timeout = models.IntegerField(**schema.fixed(10), help_text="Seconds, at most the interval.")
    request = StructuredField(
        structure=ScrapeRequest,
        default=dict,
        blank=True,
        sent_to=("scheme", "source", "static_targets", "sd_url", "sd_file", "verify_tls", "ca_certificate"),
        help_text='Secrets sent along: {"bearer_token": …, "headers": {…}, "discovery_headers": {…}}.',
    )
    verify_tls = models.BooleanField(**schema.fixed(True), help_text="Check the certificates of targets.")
    ca_certificate = models.TextField(
        blank=True, **schema.fixed(""), help_text="PEM of the authority that signs them, where it is not a public one."
    )
    labels = StructuredField(structure=JobLabels, default=dict, blank=True, help_text="Added to every series.")
    sample_limit = models.IntegerField(**schema.fixed(10_000), help_text="A page with more samples is not taken.")
    body_limit_bytes = models.IntegerField(**schema.fixed(4 * 1024 * 1024))
    asset = models.ForeignKey(
        "assets.InfrastructureAsset",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="scrape_jobs",
        help_text="Whose series all targets are; empty: their labels or addresses say.",
    )
    asset_label = models.TextField(
        blank=True, **schema.fixed(""), help_text="The label of a target that names its asset; empty: the usual ones."
    )
    create_assets = models.BooleanField(
        **schema.fixed(False), help_text="Make an asset of a target whose asset is not known."
    )
    environment = models.TextField(**schema.fixed("production"), help_text="Of assets that are made.")
    is_active = models.BooleanField(**schema.fixed(True))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    next_refresh_at = models.DateTimeField(default=timezone.now, editable=False)
    last_refresh_at = models.DateTimeField(null=True, editable=False)
    last_refresh_error = models.TextField(editable=False, **schema.fixed(""))

    class Meta:
        db_table = "scrape_jobs"
        ordering = ["job_name"]
        indexes = [
            models.Index(fields=["next_refresh_at"], condition=models.Q(is_active=True), name="idx_scrape_jobs_next")
        ]
        constraints = [
            schema.one_of("scrape_jobs", "source", TargetSource),
            schema.one_of("scrape_jobs", "scheme", Scheme),
            schema.in_range("scrape_jobs", "refresh_interval", 5, 86400),
            schema.in_range("scrape_jobs", "scrape_interval", 5, 86400),
            schema.in_range("scrape_jobs", "scrape_timeout", 1, 30),
            schema.in_range("scrape_jobs", "sample_limit", 1, 100_000),
            schema.in_range("scrape_jobs", "body_limit_bytes", 1024, 32 * 1024 * 1024),
            models.CheckConstraint(
                condition=models.Q(scrape_timeout__lte=models.F("scrape_interval")),
                name="scrape_jobs_timeout_within_interval",
                violation_error_message="scrape_timeout must be at most scrape_interval.",
            ),
        ]

    def __str__(self) -> str:
        return self.job_name

    def save(self, *args: Any, **options: Any) -> None:
        """A change is followed at once: the list of targets is due."""
        self.next_refresh_at = timezone.now()
        super().save(*args, **options)

    def clean(self) -> None:
        """Refuse what cannot be read, by the field that is at fault."""
        super().clean()
        checks = {
            "static_targets": self._check_targets,
            "sd_url": self._check_url,
            "sd_file": self._check_file,
            "ca_certificate": self._check_certificate,
            "labels": self._check_labels,
            "environment": self._check_environment,
        }
        problems = {name: problem for name, check in checks.items() if (problem := check())}
        if problems:
            raise ValidationError(problems)

    def _check_targets(self) -> str | None:
        try:
            groups = [TargetGroup(one["targets"], one.get("labels")) for one in self.static_targets]
            found = discovery.targets_of(groups, self.scheme, self.metrics_path)
        except (discovery.BadList, KeyError, TypeError, AttributeError) as error:
            return f"{error}."
        return "Name at least one target." if self.source == TargetSource.STATIC and not found else None

    def _check_url(self) -> str | None:
        if self.source != TargetSource.HTTP_SD:
            return None
        if not self.sd_url.startswith(("http://", "https://")):
            return "Send the http or https URL that answers the list."
        return outgoing.refusal_of_url(self.sd_url)

    def _check_file(self) -> str | None:
        if self.source == TargetSource.FILE_SD and not _FILE_PATTERN.fullmatch(self.sd_file):
            return "Send the name of a .json, .yml or .yaml file, without a folder; * and ? stand for others."
        return None

    def _check_certificate(self) -> str | None:
        if not self.ca_certificate:
            return None
        try:
            ssl.create_default_context(cadata=self.ca_certificate)
        except (ssl.SSLError, ValueError) as error:
            return f"This is no certificate in PEM: {error}."
        return None

    def _check_labels(self) -> str | None:
        clashing = sorted(RESERVED_LABELS & set(self.labels)) if isinstance(self.labels, dict) else []
        return f"These labels have a meaning of their own: {', '.join(clashing)}." if clashing else None

    def _check_environment(self) -> str | None:
        known = ("production", "staging", "development")
        return None if self.environment in known else f"Send one of: {', '.join(known)}."

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.scrape_interval)


class ScrapeTarget(models.Model):
    """One page that is read, as the job's list had it last; what its last reading came to."""

    id = schema.uuid_key()
    job = models.ForeignKey(ScrapeJob, on_delete=models.CASCADE, related_name="targets")
    address = models.TextField()
    url = models.TextField()
    labels = models.JSONField(default=dict)
    asset = models.ForeignKey(
        "assets.InfrastructureAsset", null=True, on_delete=models.SET_NULL, related_name="scrape_targets"
    )
    asset_problem = models.TextField(**schema.fixed(""))
    is_up = models.BooleanField(null=True)
    last_scrape_at = models.DateTimeField(null=True)
    last_duration_seconds = models.FloatField(null=True)
    last_samples = models.IntegerField(null=True)
    last_error = models.TextField(**schema.fixed(""))
    next_scrape_at = models.DateTimeField()
    # Until then a reading may be under way.
    busy_until = models.DateTimeField(null=True)
    # When the job's list no longer had it; it is not read since.
    vanished_at = models.DateTimeField(null=True)
    first_seen_at = schema.created_at()

    class Meta:
        db_table = "scrape_targets"
        ordering = ["address"]
        indexes = [
            models.Index(
                fields=["next_scrape_at"],
                condition=models.Q(vanished_at=None, asset__isnull=False),
                name="idx_scrape_targets_next",
            ),
            models.Index(fields=["address"], name="idx_scrape_targets_address"),
        ]
        constraints = [models.UniqueConstraint(fields=["job", "url"], name="scrape_targets_once")]

    def __str__(self) -> str:
        return self.url

    @property
    def state(self) -> str:
        """In a word, for lists."""
        if self.vanished_at is not None:
            return "vanished"
        if self.asset_id is None:
            return "without asset"
        return "unknown" if self.is_up is None else "up" if self.is_up else "down"

    @property
    def problem(self) -> str:
        return self.asset_problem if self.asset_id is None else self.last_error
