"""REST: scrape jobs, and the targets that they come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from assets.models import Environment, InfrastructureAsset
from assets.scraping.listing import STATES, in_state, with_counts
from assets.scraping.models import ScrapeJob, ScrapeTarget
from wedsync_monitor.web.resources import Resource, Resources, StrictSerializer


class ScrapeJobSerializer(StrictSerializer):
    """A scrape job; what its request sends along is never shown."""

    asset_id = serializers.PrimaryKeyRelatedField(
        source="asset", queryset=InfrastructureAsset.objects.all(), allow_null=True, required=False
    )
    environment = serializers.ChoiceField(choices=Environment.choices, default=Environment.PRODUCTION.value)
    target_count = serializers.IntegerField(read_only=True)
    up_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = ScrapeJob
        fields = [
            "id", "job_name", "source", "static_targets", "sd_url", "sd_file", "refresh_interval", "scheme",
            "metrics_path", "scrape_interval", "scrape_timeout", "request", "verify_tls", "ca_certificate", "labels",
            "sample_limit", "body_limit_bytes", "asset_id", "asset_label", "create_assets", "environment", "is_active",
            "last_refresh_at", "last_refresh_error", "target_count", "up_count", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["last_refresh_at", "last_refresh_error", "created_at", "updated_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A new job's timeout that is not sent is at most its interval."""
        if self.instance is None and "scrape_interval" in attrs and "scrape_timeout" not in attrs:
            usual = ScrapeJob._meta.get_field("scrape_timeout").default
            attrs["scrape_timeout"] = min(usual, attrs["scrape_interval"])
        return super().validate(attrs)


class ScrapeJobFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="job_name", lookup_expr="icontains")

    class Meta:
        model = ScrapeJob
        fields = ["source", "is_active"]


class ScrapeJobs(Resources):
    """What the server reads by itself."""

    policy_resource, listed_as = "scraping", "scrape_jobs"
    rows = ScrapeJob.objects.order_by("job_name")
    serializer_class = ScrapeJobSerializer
    filterset_class = ScrapeJobFilters

    def shown(self, page: Sequence[ScrapeJob]) -> Sequence[Any]:
        found = with_counts(ScrapeJob.objects.all()).in_bulk([job.pk for job in page])
        return super().shown([found[job.pk] for job in page if job.pk in found])


class ScrapeJobRow(Resource):
    """One scrape job: read, change, remove."""

    policy_resource = "scraping"
    rows = with_counts(ScrapeJob.objects.all())
    serializer_class = ScrapeJobSerializer


class ScrapeTargetSerializer(serializers.ModelSerializer[ScrapeTarget]):
    job_id = serializers.UUIDField(read_only=True)
    job_name = serializers.CharField(source="job.job_name", read_only=True)
    asset_id = serializers.UUIDField(read_only=True, allow_null=True)
    asset_name = serializers.CharField(source="asset.asset_name", read_only=True, allow_null=True, default=None)
    state = serializers.ChoiceField(choices=[(state, state) for state in STATES], read_only=True)
    problem = serializers.CharField(read_only=True)

    class Meta:
        model = ScrapeTarget
        fields = [
            "id", "job_id", "job_name", "address", "url", "labels", "asset_id", "asset_name", "state", "problem",
            "last_scrape_at", "last_duration_seconds", "last_samples", "next_scrape_at", "vanished_at",
            "first_seen_at",
        ]  # fmt: skip
        read_only_fields = fields


class ScrapeTargetFilters(filters.FilterSet):
    job = filters.UUIDFilter(field_name="job_id")
    asset = filters.UUIDFilter(field_name="asset_id")
    state = filters.ChoiceFilter(choices=[(state, state) for state in STATES], method="by_state")
    q = filters.CharFilter(field_name="address", lookup_expr="icontains")

    class Meta:
        model = ScrapeTarget
        fields: list[str] = []

    def by_state(self, rows: QuerySet[ScrapeTarget], name: str, value: str) -> QuerySet[ScrapeTarget]:
        return in_state(rows, value)


class ScrapeTargets(Resources):
    """Targets as the jobs' lists have them, and what their last reading came to."""

    http_method_names = ["get", "head", "options"]
    policy_resource, listed_as = "scraping", "scrape_targets"
    rows = ScrapeTarget.objects.select_related("job", "asset").order_by("address")
    serializer_class = ScrapeTargetSerializer
    filterset_class = ScrapeTargetFilters


class ScrapeTargetRow(Resource):
    """One target."""

    http_method_names = ["get", "head", "options"]
    policy_resource = "scraping"
    rows = ScrapeTarget.objects.select_related("job", "asset")
    serializer_class = ScrapeTargetSerializer
