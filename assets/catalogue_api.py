"""REST: the metric catalogue."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assets.metrics.identity import COLLECTION_METHODS, METRIC_TYPES
from assets.metrics.meanings import MEANINGS
from assets.models import CatalogueEntry
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import Resources, refuse_unknown

# Senders are found among so many series of a name, in the order of its index.
SEARCHED_SERIES = 2_000
SHOWN_SENDERS = 50


def meaning_of(entry: CatalogueEntry) -> str:
    """What somebody wrote down, else what is known of metrics of this name."""
    return entry.meaning or MEANINGS.get(entry.metric_name, "")


def senders_of(name: str) -> list[dict[str, Any]]:
    """Some of those who send the metric: {agent_id, agent_name, asset_id, asset_name, collection_method}.

    A bounded part of the name's series is read, however many there are; CatalogueEntry says how many senders it has.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT agent.id, agent.agent_name, asset.id, asset.asset_name, part.collection_method
               FROM (SELECT asset_id, agent_id, collection_method FROM metric_series
                     WHERE metric_name = %s ORDER BY asset_id LIMIT %s) AS part
               JOIN infrastructure_assets asset ON asset.id = part.asset_id
               LEFT JOIN monitoring_agents agent ON agent.id = part.agent_id
               ORDER BY asset.asset_name, agent.agent_name LIMIT %s""",
            [name, SEARCHED_SERIES, SHOWN_SENDERS],
        )
        columns = ("agent_id", "agent_name", "asset_id", "asset_name", "collection_method")
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


class CatalogueSerializer(serializers.ModelSerializer[CatalogueEntry]):
    meaning = serializers.SerializerMethodField()
    metric_types = serializers.ListField(child=serializers.CharField())
    metric_units = serializers.ListField(child=serializers.CharField())
    collection_methods = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = CatalogueEntry
        fields = [
            "metric_name", "meaning", "metric_types", "metric_units", "collection_methods", "series", "assets",
            "agents", "first_seen", "last_seen", "refused", "refused_at",
        ]  # fmt: skip

    def get_meaning(self, entry: CatalogueEntry) -> str:
        return meaning_of(entry)


SENDER = serializers.DictField(child=serializers.CharField(allow_null=True))


class CatalogueDetailSerializer(CatalogueSerializer):
    labels = serializers.DictField(child=serializers.IntegerField(), help_text="The number of values of each label.")
    senders = serializers.SerializerMethodField(help_text=f"Some of the senders, at most {SHOWN_SENDERS}.")

    class Meta(CatalogueSerializer.Meta):
        fields = [*CatalogueSerializer.Meta.fields, "labels", "senders"]

    @extend_schema_field(serializers.ListField(child=SENDER))
    def get_senders(self, entry: CatalogueEntry) -> list[dict[str, Any]]:
        return senders_of(entry.metric_name)


class CatalogueFilters(filters.FilterSet):
    q = filters.CharFilter(field_name="metric_name", lookup_expr="icontains")
    metric_type = filters.ChoiceFilter(choices=[(name, name) for name in METRIC_TYPES], method="containing")
    collection_method = filters.ChoiceFilter(choices=[(name, name) for name in COLLECTION_METHODS], method="containing")
    ordering = filters.OrderingFilter(
        fields={name: name for name in ("metric_name", "series", "assets", "agents", "last_seen", "refused")}
    )

    class Meta:
        model = CatalogueEntry
        fields: list[str] = []

    def containing(self, rows: QuerySet[CatalogueEntry], name: str, value: str) -> QuerySet[CatalogueEntry]:
        return rows.filter(**{f"{name}s__contains": [value]})


class Catalogue(Resources):
    """Every metric name that is stored: type, unit, meaning, who sends it, how many series, last seen.

    The numbers are those of the last count: of new series within a minute, of names with very many series, and of
    what deleted assets took along, within an hour.
    """

    http_method_names = ["get", "head", "options"]
    policy_resource, listed_as = "metric_catalogue", "metrics"
    rows = CatalogueEntry.objects.order_by("metric_name")
    serializer_class = CatalogueSerializer
    filterset_class = CatalogueFilters


class CatalogueDetail(APIView):
    """One metric name, with its labels, the number of their values, and some of its senders."""

    policy_resource = "metric_catalogue"

    @extend_schema(operation_id="metrics_catalogue_one", responses={200: CatalogueDetailSerializer})
    def get(self, request: Request, name: str) -> Response:
        refuse_unknown(request, {"format"})
        rows = policy.permitted(request.user, Verb.READ, "metric_catalogue", CatalogueEntry.objects.all())
        entry = get_object_or_404(rows, pk=name)
        return Response(CatalogueDetailSerializer(entry).data)
