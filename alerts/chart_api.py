"""REST: the chart of an alert about what is unusual, with the band that was expected."""

from __future__ import annotations

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
from assets.metrics.samples import Series
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
    """What an anomaly rule watched, and what it expected. Alerts of other rules have no series here: the chart of their
    asset shows their metric."""

    policy_resource = "alerts"

    @extend_schema(parameters=SPAN_PARAMETERS[:3], responses={200: SHOWN})
    def get(self, request: Request, pk: UUID) -> HttpResponse:
        told = AlertInstance.objects.exclude(status=AlertStatus.PENDING).select_related("alert_rule")
        alert = get_object_or_404(policy.permitted(request.user, Verb.READ, "alerts", told), pk=pk)
        span = requested_span(request)
        refuse_unknown(request, {"format", "range", "from", "to"})
        if series := _series_of(alert):
            question = anomaly_rules.question_of(alert.alert_rule)
            return json_answer(anomaly_history.drawn(question, series, span.start, span.end))
        ends = [int(moment.timestamp() * 1000) for moment in (span.start, span.end)]
        return json_answer({"span": ends, "series": [], "bands": []})


def _series_of(alert: AlertInstance) -> Series | None:
    """What the alert is about; None where that is no single series of an asset, or it is kept no more."""
    if alert.alert_rule.alert_type != AlertType.ANOMALY or alert.asset_id is None:
        return None
    named = SeriesSelector((alert.context_data.get("metric_name", ""),), (alert.asset_id,))
    wanted = alert.context_data.get("series_id")
    return next((one for one in query.find_series(named) if one.id == wanted), None)
