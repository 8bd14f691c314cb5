"""`make demo`: thirty days of a wedding platform's history, marked as a demonstration wherever it is seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from alerts.models import AlertEvent, AlertInstance, AlertRule
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from assets.models import InfrastructureAsset
from capacity.models import CapacityForecast
from remediation.models import RemediationAction
from synthetic.models import SyntheticCheck
from wedsync_monitor.models import MonitoringDashboard

MARK = "demonstration"
DAYS = 30
STEP_MINUTES = 10
# name, type, category, environment, share of the platform's load
HOSTS = (
    ("demo-web-01", "server", "compute", "production", 1.0),
    ("demo-web-02", "server", "compute", "production", 0.9),
    ("demo-booking-db", "database", "storage", "production", 0.7),
    ("demo-edge-lb", "load_balancer", "network", "production", 0.4),
    ("demo-rsvp-service", "service", "application", "production", 0.8),
    ("demo-staging-web", "server", "compute", "staging", 0.2),
    ("demo-dev-box", "container", "compute", "development", 0.1),
)


def fill(now: datetime) -> None:
    """Make the demonstration once; an installation that has it is left as it is."""
    if InfrastructureAsset.objects.filter(asset_name=HOSTS[0][0]).exists():
        return
    dice = np.random.default_rng(2026)
    for name, kind, category, environment, share in HOSTS:
        asset = InfrastructureAsset.objects.create(
            asset_name=name,
            asset_type=kind,
            asset_category=category,
            environment=environment,
            tags=[MARK],
            is_critical=environment == "production",
        )
        _history(asset, share, now, dice)
    _alerts(now)
    _configuration(now)


def season(moments: list[datetime]) -> np.ndarray:
    """The platform's load from 0 to 1: evenings are busy, Saturdays, when most couples marry, busiest."""
    hour = np.array([moment.hour + moment.minute / 60 for moment in moments])
    saturday = np.array([moment.weekday() == 5 for moment in moments])
    day = 0.35 + 0.3 * np.exp(-(((hour - 19) / 4) ** 2)) + 0.15 * np.exp(-(((hour - 11) / 3) ** 2))
    return np.where(saturday, day * 1.35, day)


def _history(asset: InfrastructureAsset, share: float, now: datetime, dice: np.random.Generator) -> None:
    start = (now - timedelta(days=DAYS)).replace(minute=0, second=0, microsecond=0)
    steps = int((now - start) / timedelta(minutes=STEP_MINUTES))
    moments = [start + timedelta(minutes=STEP_MINUTES * step) for step in range(steps + 1)]
    moments = [moment for moment in moments if moment <= now]
    load = season(moments) * share
    noise = dice.normal(0, 1, len(moments))
    growing = np.linspace(0, 1, len(moments))
    columns = {
        ("cpu_usage_percent", "percent"): np.clip(load * 85 + noise * 3, 1, 100),
        ("memory_usage_percent", "percent"): np.clip(45 + load * 30 + noise, 5, 98),
        ("disk_usage_percent", "percent"): np.clip(52 + growing * 20 * share + noise * 0.1, 0, 99),
        ("network_io_mbps", "mbps"): np.clip(load * 120 + noise * 6, 0.1, None),
        ("response_time_ms", "ms"): np.clip(90 + load * 160 + noise * 12, 20, None),
        ("error_rate_percent", "percent"): np.clip(0.2 + load * 0.4 + noise * 0.1, 0, 100),
        ("request_rate_per_second", "requests/sec"): np.clip(load * 400 + noise * 10, 0, None),
    }
    samples = [
        Sample(str(asset.pk), SeriesKey(name, "gauge", unit, {}, "push"), int(moment.timestamp() * 1000), float(value))
        for (name, unit), values in columns.items()
        for moment, value in zip(moments, values.tolist(), strict=True)
    ]
    ingestion.store_samples(samples, now)


def _alerts(now: datetime) -> None:
    """A month of alerts that came and went."""
    rule = AlertRule.objects.order_by("rule_name").filter(rule_name="High CPU usage").first()
    web = InfrastructureAsset.objects.get(asset_name=HOSTS[0][0])
    if rule is None:
        return
    for days in (27, 20, 13, 6):
        began = datetime.combine((now - timedelta(days=days)).date(), datetime.min.time(), UTC) + timedelta(hours=19)
        alert = AlertInstance.objects.create(
            alert_rule=rule,
            asset=web,
            alert_key=f"{MARK}:{days}",
            alert_title="CPU usage is 94 % on demo-web-01 (demonstration)",
            alert_description="A demonstration: evening traffic before a wedding Saturday.",
            severity=rule.severity,
            status="resolved",
            trigger_value=94,
            threshold_value=90,
            context_data={"metric_name": "cpu_usage_percent", "demonstration": True},
            first_triggered_at=began,
            last_triggered_at=began + timedelta(minutes=18),
            opened_at=began,
            resolved_at=began + timedelta(minutes=20),
            resolution_type="auto",
        )
        AlertEvent.objects.create(alert=alert, kind="opened", at=began, note="Demonstration")
        AlertEvent.objects.create(alert=alert, kind="resolved", at=began + timedelta(minutes=20))


def _configuration(now: datetime) -> None:
    """Something for the tabs that list what is stored."""
    SyntheticCheck.objects.create(
        check_name="demo booking page", check_type="http", target_url="https://booking.example", is_enabled=False
    )
    RemediationAction.objects.create(
        action_name="demo restart of the RSVP service",
        action_type="restart_service",
        action_config={"service_name": "rsvp"},
        risk_level="low",
        is_enabled=False,
    )
    disk = InfrastructureAsset.objects.get(asset_name="demo-booking-db")
    days = [{"timestamp": (now + timedelta(days=day)).isoformat(), "value": 66 + day * 0.47} for day in range(1, 31)]
    CapacityForecast.objects.create(
        asset=disk,
        metric_name="disk_usage_percent",
        forecast_horizon_days=30,
        historical_data_points=DAYS * 24 * 60 // STEP_MINUTES,
        forecast_values=days,
        model_metadata={"demonstration": True},
        calculated_at=now,
        valid_until=now + timedelta(days=1),
    )
    MonitoringDashboard.objects.create(dashboard_name="Demonstration", is_public=True, tags=[MARK])
