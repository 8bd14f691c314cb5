"""What else the demonstration's tabs show: checks, forecasts, baselines, windows, escalation, dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from alerts.models import EscalationPolicy, MaintenanceWindow, OnCallSchedule, PerformanceBaseline
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from assets.models import InfrastructureAsset
from capacity.models import CapacityForecast
from synthetic.models import SyntheticCheck
from wedsync_monitor.embedded.demonstration.samples import CHECK_PREFIX
from wedsync_monitor.embedded.demonstration.story import CHANNELS
from wedsync_monitor.models import MonitoringDashboard

Assets = Mapping[str, InfrastructureAsset]
HORIZON_DAYS = 30
# name, type, target, impact; .example never resolves
CHECKS: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("booking page", "http", {"target_url": "https://www.wedsync.example/book"}, 9),
    ("RSVP page", "http", {"target_url": "https://rsvp.wedsync.example/"}, 10),
    ("payments API", "api", {"target_url": "https://api.wedsync.example/payments/health"}, 10),
    ("certificate", "ssl", {"target_host": "www.wedsync.example", "target_port": 443}, 8),
    ("name servers", "dns", {"target_host": "wedsync.example"}, 7),
    ("mail relay", "tcp", {"target_host": "mail.wedsync.example", "target_port": 587}, 4),
)
FORECASTS = (
    ("demo-photo-store", "disk_usage_percent"),
    ("demo-booking-db", "disk_usage_percent"),
    ("demo-web-01", "disk_usage_percent"),
    ("demo-web-01", "cpu_usage_percent"),
)
BASELINES = ("cpu_usage_percent", "response_time_ms")


def place(assets: Assets, now: datetime, days: int) -> None:
    """Make what is missing of it."""
    _checks()
    _windows(assets, now)
    _escalation()
    _dashboards()
    for name, metric in FORECASTS:
        _forecast(assets[name], metric, now, days)
    for metric in BASELINES:
        for asset in assets.values():
            if asset.is_critical:
                _baseline(asset, metric, now, days)


def _checks() -> None:
    """Switched off, so that nothing of the demonstration leaves this machine; their results are made up."""
    for name, kind, target, impact in CHECKS:
        SyntheticCheck.objects.get_or_create(
            check_name=f"{CHECK_PREFIX}{name}",
            defaults={
                "check_type": kind,
                **target,
                "check_frequency": 900,
                "locations": ["London", "New York"],
                "failure_threshold": 2,
                "business_impact_score": impact,
                "is_enabled": False,
            },
        )


def _windows(assets: Assets, now: datetime) -> None:
    production = [str(asset.pk) for asset in assets.values() if asset.environment == "production"]
    night = now.replace(hour=2, minute=0, second=0, microsecond=0)
    tuesday = night + timedelta(days=(1 - now.weekday()) % 7 or 7)
    hour = timedelta(hours=1)
    rows: tuple[tuple[str, list[str], datetime, datetime, dict[str, Any]], ...] = (
        ("demo: staging load test", [str(assets["demo-staging-web"].pk)], now - hour, now + 8 * hour,
         {"status": "active", "actual_start_time": now - hour}),
        ("demo: weekly patches", production, tuesday, tuesday + 2 * hour,
         {"recurrence_config": {"rrule": "FREQ=WEEKLY;BYDAY=TU", "timezone": "Europe/London"}}),
        ("demo: booking database upgrade", [str(assets["demo-booking-db"].pk)], night - timedelta(days=9),
         night - timedelta(days=9) + hour,
         {"status": "completed", "impact_level": "high", "actual_start_time": night - timedelta(days=9),
          "actual_end_time": night - timedelta(days=9) + 0.7 * hour, "completion_notes": "Done in 42 minutes."}),
        ("demo: load balancer swap", [str(assets["demo-edge-lb"].pk)], night - timedelta(days=3),
         night - timedelta(days=3) + hour,
         {"status": "cancelled", "maintenance_type": "emergency",
          "completion_notes": "Not before a wedding Saturday."}),
    )  # fmt: skip
    for name, covered, start, end, more in rows:
        defaults = {"affected_assets": covered, "start_time": start, "end_time": end, "description": "Demonstration."}
        MaintenanceWindow.objects.get_or_create(window_name=name, defaults=defaults | more)


def _escalation() -> None:
    email = CHANNELS["email-0"]
    OnCallSchedule.objects.get_or_create(
        schedule_name="demo: engineers",
        defaults={
            "description": "Demonstration: a week each, handed over on Monday morning.",
            "timezone": "Europe/London",
            "layers": [{"users": ["demo-ana", "demo-ben"], "starts_at": "2026-01-05T09:00"}],
        },
    )
    EscalationPolicy.objects.get_or_create(
        policy_name="demo: wedding day on call",
        defaults={
            "policy_description": "Demonstration: the on-call engineer, then the lead, then everybody.",
            "escalation_steps": [
                {"delay_minutes": 0, "notification_channels": [email]},
                {"delay_minutes": 5, "schedules": ["demo: engineers"]},
                {"delay_minutes": 15, "users": ["demo-ana", "demo-ben"]},
            ],
            "repeat_escalation": True,
            "repeat_interval": 15,
            "max_escalations": 6,
        },
    )
    EscalationPolicy.objects.get_or_create(
        policy_name="demo: office hours",
        defaults={
            "policy_description": "Demonstration: staging and development can wait until the morning.",
            "escalation_steps": [{"delay_minutes": 30, "users": ["demo-ben"]}],
            "business_hours": {
                "timezone": "Europe/London",
                "days": ["mon", "tue", "wed", "thu", "fri"],
                "start": "09:00",
                "end": "17:30",
            },
        },
    )


def _dashboards() -> None:
    web = ["demo-web-01", "demo-web-02"]
    saturday = [
        {"type": "text", "title": "Demonstration", "text": "This platform does not exist; its data are made up."},
        {"type": "alerts", "title": "Live trouble", "environment": "production"},
        {"type": "chart", "title": "Web servers", "metric_name": "cpu_usage_percent", "asset_names": web},
        {"type": "chart", "title": "Guests", "metric_name": "guests_online", "asset_names": ["demo-rsvp-service"]},
    ]
    business = [
        {"type": "stat", "title": "Weddings", "metric_name": "weddings_under_way",
         "asset_names": ["demo-rsvp-service"], "width": 4},
        {"type": "stat", "title": "Bookings that succeed", "metric_name": "booking_success_percent",
         "asset_names": ["demo-rsvp-service"], "width": 4},
    ]  # fmt: skip
    for name, kind, widgets in (
        ("Wedding Saturday (demonstration)", "operational", saturday),
        ("Weddings at stake (demonstration)", "executive", business),
    ):
        defaults = {"dashboard_type": kind, "widget_configs": widgets, "is_public": True, "tags": ["demonstration"]}
        MonitoringDashboard.objects.get_or_create(dashboard_name=name, defaults=defaults)


def _stored(asset: InfrastructureAsset, metric: str, now: datetime, days: int) -> tuple[Any, Any]:
    """Times in days from now and values of a metric, as they are stored."""
    found = query.read(SeriesSelector((metric,), (asset.pk,)), now - timedelta(days=days), now)
    if not len(found.timestamps):
        return np.empty(0), np.empty(0)
    return (found.timestamps / 1000 - now.timestamp()) / 86400, found.values


def _forecast(asset: InfrastructureAsset, metric: str, now: datetime, days: int) -> None:
    """A straight line through what is stored."""
    times, values = _stored(asset, metric, now, days)
    if len(values) < 2:
        return
    slope, level = np.polyfit(times, values, 1)
    spread = 1.96 * float(np.std(values - (level + slope * times)))
    ahead = [(now + timedelta(days=day), float(level + slope * day)) for day in range(1, HORIZON_DAYS + 1)]
    until_full = (90 - level) / slope if slope > 0.01 else None
    advice = f"Enlarge the disk of {asset.asset_name} within {until_full:.0f} days." if until_full else ""
    is_disk = metric.startswith("disk")
    CapacityForecast.objects.create(
        asset=asset,
        metric_name=metric,
        forecast_horizon_days=HORIZON_DAYS,
        historical_data_points=len(values),
        forecast_values=[{"timestamp": at.isoformat(), "value": round(value, 3)} for at, value in ahead],
        confidence_intervals={
            "points": [
                {"timestamp": at.isoformat(), "low": round(value - spread, 3), "high": round(value + spread, 3)}
                for at, value in ahead
            ]
        },
        trend_analysis={"slope_per_day": round(float(slope), 4), "days_until_90_percent": until_full},
        capacity_thresholds={"warning_threshold": 85, "critical_threshold": 90, "maximum_capacity": 100},
        recommendations=[{"description": advice}] if is_disk and until_full and until_full < 60 else [],
        model_metadata={"demonstration": True},
        calculated_at=now,
        valid_until=now + timedelta(days=1),
    )


def _baseline(asset: InfrastructureAsset, metric: str, now: datetime, days: int) -> None:
    """Mean, deviation and percentiles of what is stored, and the mean of each hour of the day."""
    times, values = _stored(asset, metric, now, days)
    if not len(values):
        return
    hours = ((times * 24 + now.hour + now.minute / 60) % 24).astype(int)
    by_hour = {str(hour): round(float(values[hours == hour].mean()), 2) for hour in np.unique(hours).tolist()}
    numbers = {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (5, 50, 95, 99)}
    numbers |= {"mean": round(float(values.mean()), 2), "std": round(float(values.std()), 2), "count": len(values)}
    PerformanceBaseline.objects.get_or_create(
        asset=asset,
        metric_name=metric,
        time_period="daily",
        defaults={
            "baseline_type": "seasonal",
            "baseline_config": {"days": days, "demonstration": True},
            "statistical_data": numbers,
            "seasonal_patterns": {"hour_of_day": by_hour},
            "last_calculated": now,
            "next_calculation": now + timedelta(days=1),
        },
    )
