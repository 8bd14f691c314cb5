"""REST: the chart of an alert about what is unusual, with the band that was expected."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from alerts import anomaly_history, anomaly_rules
from alerts.models import AlertInstance, AlertStatus, AlertType
from assets.api import SPAN_PARAMETERS, json_answer, requested_span
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import refuse_unknown

_POINTS = serializers.ListField(child=serializers.ListField(child=serializers.FloatField(allow_null=True)))
SHOWN = inline_serializer(
    "AlertChart",
    {
        "span": serializers.ListField(child=serializers.IntegerField(), help_text="From and to, milliseconds."),
        "series": inline_serializer(
            "AlertChartSeries",
            {"label": serializers.CharField(), "unit": serializers.CharField(), "points": _POINTS},
            many=True,
        ),
        "bands": inline_serializer(
            "AlertChartBand",
            {"label": serializers.CharField(), "points": _POINTS},
            many=True,
            help_text="[ms, from, to].",
        ),
    },
)


class AlertChart(APIView):
    """What an anomaly rule watched, and what it expected; no series where it is kept no more."""

    policy_resource = "alerts"

    @extend_schema(parameters=SPAN_PARAMETERS[:3], responses={200: SHOWN})
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        told = AlertInstance.objects.exclude(status=AlertStatus.PENDING).filter(
            alert_rule__alert_type=AlertType.ANOMALY
        )
        rows = policy.permitted(request.user, Verb.READ, "alerts", told.select_related("alert_rule"))
        alert, span = get_object_or_404(rows, pk=pk), requested_span(request)
        refuse_unknown(request, {"format", "range", "from", "to"})
        question = anomaly_rules.question_of(alert.alert_rule)
        named = SeriesSelector((question.asked.metric_name,), (alert.asset_id,)) if alert.asset_id else None
        found = (
            [one for one in query.find_series(named) if one.id == alert.context_data.get("series_id")] if named else []
        )
        return json_answer(_drawn(question, found, span.start, span.end))


def _drawn(question: anomaly_rules.Question, series: list[Any], start: Any, end: Any) -> dict[str, Any]:
    if series:
        return anomaly_history.drawn(question, series[0], start, end)
    return {"span": [int(one.timestamp() * 1000) for one in (start, end)], "series": [], "bands": []}
