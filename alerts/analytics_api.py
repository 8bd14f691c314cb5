"""REST: how alerting did in a span of time."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import analytics
from alerts.models import AlertInstance
from assets.api import SPAN_NAMES, SPAN_PARAMETERS
from assets.spans import BadSpan, Span, span_of
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web.resources import refuse_unknown

USUAL = "30d"
ANALYTICS = inline_serializer(
    "AlertAnalytics",
    {
        "alert_statistics": serializers.DictField(),
        "top_alerting_assets": serializers.ListField(child=serializers.DictField()),
        "alert_patterns": serializers.ListField(child=serializers.DictField()),
        "noise_analysis": serializers.DictField(),
    },
)
CHART = inline_serializer(
    "AlertAnalyticsChart",
    {
        "span": serializers.ListField(child=serializers.IntegerField()),
        "series": serializers.ListField(child=serializers.DictField()),
    },
)


def _rows(request: Request) -> QuerySet[AlertInstance]:
    rows: QuerySet[AlertInstance] = policy.permitted(request.user, Verb.READ, "alerts", AlertInstance.objects.all())
    return rows


def _span(request: Request) -> Span:
    try:
        return span_of(request.query_params, timezone.now(), USUAL)
    except BadSpan as error:
        raise ValidationError({error.field: str(error)}) from error


class Analytics(APIView):
    """How alerting did in the last 30 days, or in another span; null where nothing is known."""

    policy_resource = "alerts"

    @extend_schema(parameters=SPAN_PARAMETERS, responses={200: ANALYTICS})
    def get(self, request: Request) -> Response:
        refuse_unknown(request, SPAN_NAMES)
        return Response(analytics.analyse(_rows(request), _span(request)))


class AnalyticsChart(APIView):
    """Alerts, or the times to acknowledge and to resolve, by day: {span: [ms, ms], series: [{label, unit, points}]}."""

    policy_resource = "alerts"

    @extend_schema(
        parameters=[OpenApiParameter("chart", enum=sorted(analytics.CHARTS)), *SPAN_PARAMETERS], responses={200: CHART}
    )
    def get(self, request: Request) -> Response:
        refuse_unknown(request, {*SPAN_NAMES, "chart"})
        name = request.query_params.get("chart", "alerts")
        if name not in analytics.CHARTS:
            raise ValidationError({"chart": f"send one of: {', '.join(analytics.CHARTS)}"})
        return Response(analytics.chart(_rows(request), _span(request), name))
