"""The console's analytics of alerts: figures, charts and tables of a span of time, and each table as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from alerts import analytics
from alerts.models import AlertInstance
from assets import spans
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

USUAL = "30d"
# The tables, their titles, and their columns.
TABLES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "days": (
        "By day (UTC)",
        {
            "day": "Day",
            "alert_count": "Alerts",
            "critical_alerts": "Critical",
            "mean_time_to_acknowledge": "Minutes to acknowledge",
            "mean_time_to_resolve": "Minutes to resolve",
        },
    ),
    "assets": (
        "Assets with the most alerts",
        {
            "asset_name": "Asset",
            "alert_count": "Alerts",
            "critical_alerts": "Critical",
            "avg_resolution_time": "Minutes to resolve",
        },
    ),
    "rules": (
        "Noisy rules",
        {
            "rule_name": "Rule",
            "trigger_frequency": "Alerts a day",
            "resolution_rate": "Acted on (%)",
            "recommendation": "Recommendation",
        },
    ),
    "patterns": (
        "Patterns",
        {
            "pattern_type": "Kind",
            "description": "What",
            "frequency": "How often",
            "impact_score": "Share",
            "suggested_action": "What to do",
        },
    ),
    "storms": (
        "Storms",
        {
            "timestamp": "Began",
            "duration_minutes": "Minutes",
            "alert_count": "Alerts",
            "affected_assets": "Assets",
        },
    ),
}
FIGURES = (
    ("total_alerts_30d", "Alerts", ""),
    ("avg_alerts_per_day", "Alerts a day", ""),
    ("mean_time_to_acknowledge", "Mean time to acknowledge", "min"),
    ("mean_time_to_resolve", "Mean time to resolve", "min"),
    ("escalation_rate", "Escalated", "%"),
    ("false_positive_rate", "False positives", "%"),
)


def _rows(request: HttpRequest) -> QuerySet[AlertInstance]:
    rows: QuerySet[AlertInstance] = policy.permitted(request.user, Verb.READ, "alerts", AlertInstance.objects.all())
    return rows


def _tables(found: Mapping[str, Any], days: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Mapping[str, Any]]]:
    noise = found["noise_analysis"]
    return {
        "days": [row | {"day": f"{row['day']:%Y-%m-%d}"} for row in map(dict, days)],
        "assets": found["top_alerting_assets"],
        "rules": noise["noisy_rules"],
        "patterns": found["alert_patterns"],
        "storms": noise["alert_storms"],
    }


def _asked(request: HttpRequest) -> tuple[spans.Span, str]:
    """The span that the address asks for, and what is wrong with the address where it asks for none."""
    now = timezone.now()
    try:
        return spans.span_of(request.GET.dict(), now, USUAL), ""
    except spans.BadSpan as error:
        return spans.span_of({}, now, USUAL), f"{error.field}: {error}. This is the last 30 days."


@guarded("alerts", GET=Verb.READ)
def analytics_page(request: HttpRequest) -> HttpResponse:
    """How alerting did in a span of time."""
    span, wrong = _asked(request)
    found = analytics.analyse(_rows(request), span)
    tables = _tables(found, analytics.by_day(analytics.begun(_rows(request), span)))
    kept = urlencode({name: request.GET[name] for name in ("range", "from", "to") if request.GET.get(name)})
    kept = "" if wrong else kept
    url = reverse("alert-analytics-chart")
    context = {
        "wrong": wrong,
        "span": span,
        "query": kept,
        "ranges": list(spans.RANGES),
        "range": "" if request.GET.get("from") else request.GET.get("range") or USUAL,
        "figures": [(title, found["alert_statistics"][name], unit) for name, title, unit in FIGURES],
        "charts": [
            ("Alerts by day", f"{url}?{kept}&chart=alerts"),
            ("Minutes to acknowledge and to resolve, by day", f"{url}?{kept}&chart=times"),
        ],
        "tables": [
            (name, title, list(columns.values()), [[row[column] for column in columns] for row in tables[name]])
            for name, (title, columns) in TABLES.items()
        ],
    }
    return htmx.respond(request, "alerts/analytics.html", "alerts/_analytics.html", context)


@guarded("alerts", GET=Verb.READ)
def analytics_table(request: HttpRequest) -> HttpResponse:
    """One of the tables as CSV; what is not known is empty."""
    table = request.GET.get("table", "days")
    span, wrong = _asked(request)
    if table not in TABLES:
        wrong = f"table: send one of: {', '.join(TABLES)}"
    if wrong:
        return HttpResponse(wrong, status=400, content_type="text/plain; charset=utf-8")
    rows = _rows(request)
    found = _tables(analytics.analyse(rows, span), analytics.by_day(analytics.begun(rows, span)))[table]
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="alert-{table}.csv"'
    columns = TABLES[table][1]
    writer = csv.writer(answer)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in found)
    return answer


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula comes after a quote."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
