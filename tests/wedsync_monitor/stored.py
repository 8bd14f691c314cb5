"""One way to store a row of every table that the admin shows, for tests of its pages."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Model
from django_celery_beat import models as beat

from alerts import models as alerts
from assets import models as assets
from capacity.models import CapacityForecast
from remediation.models import RemediationAction, RemediationExecution
from synthetic.models import CheckPlace, ProbeLocation, ProbeSecret, SyntheticCheck, SyntheticCheckResult
from wedsync_monitor.models import ApiToken, AuditEntry, DeadMansSwitch, MonitoringDashboard, User

NOW = datetime.now(UTC).replace(microsecond=0)
LATER = NOW + timedelta(days=1)
SECRET = "a-secret-that-nobody-sees"
CONDITION = {
    "metric_name": "cpu_usage_percent", "aggregation": "avg", "operator": "gt", "threshold": 80.0, "time_window": 300
}  # fmt: skip
WEBHOOK = {
    "type": "webhook",
    "config": {"url": "https://hooks.example.com", "secret": SECRET, "headers": {"X-Key": SECRET}},
}
SLACK = {"type": "slack", "config": {"webhook_url": f"https://hooks.example.com/{SECRET}"}}


def person(n: int) -> User:
    return User.objects.create_user(f"somebody-{n}", password=SECRET)


def asset(n: int) -> assets.InfrastructureAsset:
    return assets.InfrastructureAsset.objects.create(
        asset_name=f"web-{n}", asset_type="server", asset_category="compute", environment="production"
    )


def agent(n: int) -> assets.MonitoringAgent:
    exporter = {"url": "http://127.0.0.1:9100/metrics", "authorization": SECRET}
    return assets.MonitoringAgent.objects.create(
        agent_name=f"agent-{n}", asset=asset(n), agent_config={"exporters": [exporter]}
    )


def enrolment(n: int) -> assets.EnrolmentToken:
    return assets.EnrolmentToken.objects.create(
        agent_name=f"agent-{n}", asset=asset(n), digest=secrets.token_bytes(32), expires_at=LATER, created_by=person(n)
    )


def scrape_job(n: int) -> assets.ScrapeJob:
    return assets.ScrapeJob.objects.create(
        job_name=f"node-{n}", static_targets=[{"targets": [f"10.0.0.{n}:9100"]}], request={"bearer_token": SECRET}
    )


def scrape_target(n: int) -> assets.ScrapeTarget:
    address = f"10.0.0.{n}:9100"
    return assets.ScrapeTarget.objects.create(
        job=scrape_job(n), address=address, url=f"http://{address}/metrics", asset=asset(n), next_scrape_at=NOW
    )


def metric(n: int) -> assets.InfrastructureMetric:
    owner = asset(n)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metric_series (asset_id, metric_name, metric_type, fingerprint)"
            " VALUES (%s, 'cpu_usage_percent', 'gauge', '\\x01') RETURNING id",
            [owner.pk],
        )
        series = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO metric_layout (asset_id, series_ids, fingerprint) VALUES (%s, %s, '\\x01') RETURNING id",
            [owner.pk, [series]],
        )
        layout = cursor.fetchone()[0]
        cursor.execute(
            'INSERT INTO metric_frame (asset_id, layout_id, ts, "values") VALUES (%s, %s, %s, %s)',
            [owner.pk, layout, NOW - timedelta(seconds=30), [42.5]],
        )
    return assets.InfrastructureMetric.objects.get(asset=owner)


def rule(n: int) -> alerts.AlertRule:
    return alerts.AlertRule.objects.create(
        rule_name=f"rule-{n}", metric_conditions=[CONDITION], severity="high", notification_channels=[WEBHOOK, SLACK]
    )


def alert(n: int) -> alerts.AlertInstance:
    return alerts.AlertInstance.objects.create(
        alert_rule=rule(n), asset=asset(n), alert_key=f"key-{n}", alert_title=f"CPU usage is {n} %", severity="high",
        first_triggered_at=NOW, last_triggered_at=NOW,
    )  # fmt: skip


def delivery(n: int) -> alerts.NotificationDelivery:
    event = alerts.AlertEvent.objects.create(alert=alert(n), kind="opened", at=NOW)
    return alerts.NotificationDelivery.objects.create(
        event=event, channel_key=f"webhook-{n}", channel=WEBHOOK, next_attempt_at=NOW
    )


def escalation(n: int) -> alerts.EscalationPolicy:
    return alerts.EscalationPolicy.objects.create(
        policy_name=f"policy-{n}", escalation_steps=[{"delay_minutes": 5, "notification_channels": [WEBHOOK]}]
    )


def on_call(n: int) -> alerts.OnCallSchedule:
    person(n)
    layers = [{"users": [f"somebody-{n}"], "starts_at": "2026-01-05T09:00"}]
    return alerts.OnCallSchedule.objects.create(schedule_name=f"schedule-{n}", layers=layers)


def override(n: int) -> alerts.OnCallOverride:
    schedule = on_call(n)
    somebody = User.objects.get(username=f"somebody-{n}")
    return alerts.OnCallOverride.objects.create(schedule=schedule, person=somebody, starts_at=NOW, ends_at=LATER)


def preference(n: int) -> alerts.ContactPreference:
    return alerts.ContactPreference.objects.create(user=person(n), channels=[WEBHOOK])


def silence(n: int) -> alerts.Silence:
    matchers = [{"name": "asset", "value": f"web-{n}"}]
    return alerts.Silence.objects.create(
        matchers=matchers, starts_at=NOW, ends_at=LATER, comment="disk is being replaced", created_by=person(n)
    )


def window(n: int) -> alerts.MaintenanceWindow:
    return alerts.MaintenanceWindow.objects.create(
        window_name=f"window-{n}", start_time=NOW, end_time=LATER,
        notification_config={"notification_channels": [SLACK]},
    )  # fmt: skip


def baseline(n: int) -> alerts.PerformanceBaseline:
    return alerts.PerformanceBaseline.objects.create(
        asset=asset(n), metric_name="cpu", time_period="daily", last_calculated=NOW, next_calculation=LATER
    )


def check(n: int) -> SyntheticCheck:
    return SyntheticCheck.objects.create(
        check_name=f"check-{n}", check_type="http", target_url="https://203.0.113.7",  # which no probe may reach
        check_config={"headers": {"Authorization": SECRET}},
    )  # fmt: skip


def result(n: int) -> SyntheticCheckResult:
    return SyntheticCheckResult.objects.create(synthetic_check=check(n), check_timestamp=NOW, status="success")


def forecast(n: int) -> CapacityForecast:
    return CapacityForecast.objects.create(
        asset=asset(n), metric_name="disk", forecast_horizon_days=30, historical_data_points=10,
        forecast_values=[{"timestamp": "2026-01-01T00:00:00Z", "value": 1.0}], calculated_at=NOW, valid_until=LATER,
    )  # fmt: skip


def action(n: int) -> RemediationAction:
    config = {"api_endpoint": "https://example.com", "headers": {"Authorization": SECRET}}
    config |= {"environment_variables": {"TOKEN": SECRET}}
    return RemediationAction.objects.create(action_name=f"action-{n}", action_type="api_call", action_config=config)


def execution(n: int) -> RemediationExecution:
    return RemediationExecution.objects.create(
        action=action(n), execution_trigger="manual", started_at=NOW, triggered_by=person(n)
    )


def task(n: int) -> beat.PeriodicTask:
    return beat.PeriodicTask.objects.create(
        name=f"tick-{n}", task="wedsync_monitor.tasks.note_beat", interval=interval(n)
    )


def interval(n: int) -> beat.IntervalSchedule:
    return beat.IntervalSchedule.objects.create(every=1000 + n, period="seconds")


MAKE: dict[str, Callable[[int], Model]] = {
    "auth.Group": lambda n: Group.objects.create(name=f"group-{n}"),
    "wedsync_monitor.User": person,
    "wedsync_monitor.ApiToken": lambda n: ApiToken.objects.create(
        user=person(n), label=f"script-{n}", digest=secrets.token_bytes(32), expires_at=LATER
    ),
    "wedsync_monitor.AuditEntry": lambda n: AuditEntry.objects.create(
        actor=person(n), actor_name="ann", action="change", table_name="t", object_id=str(n), object_name="o",
        changes={"a": [1, 2]},
    ),
    "wedsync_monitor.MonitoringDashboard": lambda n: MonitoringDashboard.objects.create(
        dashboard_name=f"board-{n}", is_public=True, created_by=person(n)
    ),
    "wedsync_monitor.DeadMansSwitch": lambda n: DeadMansSwitch.objects.create(
        switch_name=f"switch-{n}", target={"url": f"https://signals.example.com/{SECRET}"}
    ),
    "assets.InfrastructureAsset": asset,
    "assets.AssetHealth": lambda n: assets.AssetHealth.objects.create(asset=asset(n), assessed_at=NOW),
    "assets.MonitoringAgent": agent,
    "assets.EnrolmentToken": enrolment,
    "assets.Discovery": lambda n: assets.Discovery.objects.create(
        agent=agent(n), kind="service", name=f"nginx-{n}", details={"port": 80}, last_seen_at=NOW
    ),
    "assets.Heartbeat": lambda n: assets.Heartbeat.objects.create(
        heartbeat_name=f"backup-{n}", asset=asset(n), period_seconds=3600
    ),
    "assets.ScrapeJob": scrape_job,
    "assets.ScrapeTarget": scrape_target,
    "assets.InfrastructureMetric": metric,
    "assets.CatalogueEntry": lambda n: assets.CatalogueEntry.objects.create(
        metric_name=f"metric_{n}", metric_types=["gauge"], first_seen=NOW, last_seen=NOW
    ),
    "assets.SeriesUsage": lambda n: assets.SeriesUsage.objects.create(asset=asset(n), series=n),
    "alerts.AlertRule": rule,
    "alerts.AlertInstance": alert,
    "alerts.NotificationDelivery": delivery,
    "alerts.EscalationPolicy": escalation,
    "alerts.MaintenanceWindow": window,
    "alerts.Silence": silence,
    "alerts.OnCallSchedule": on_call,
    "alerts.OnCallOverride": override,
    "alerts.ContactPreference": preference,
    "alerts.PerformanceBaseline": baseline,
    "synthetic.SyntheticCheck": check,
    "synthetic.SyntheticCheckResult": result,
    "synthetic.CheckPlace": lambda n: CheckPlace.objects.create(synthetic_check=check(n), location=f"place-{n}"),
    "synthetic.ProbeLocation": lambda n: ProbeLocation.objects.create(location_name=f"place-{n}", seen_at=NOW),
    "synthetic.ProbeSecret": lambda n: ProbeSecret.objects.create(
        secret_name=f"secret-{n}", hosts=["wedsync.example"], secret={"value": SECRET}
    ),
    "capacity.CapacityForecast": forecast,
    "remediation.RemediationAction": action,
    "remediation.RemediationExecution": execution,
    "django_celery_beat.PeriodicTask": task,
    "django_celery_beat.IntervalSchedule": interval,
    "django_celery_beat.CrontabSchedule": lambda n: beat.CrontabSchedule.objects.create(minute=str(n)),
    "django_celery_beat.SolarSchedule": lambda n: beat.SolarSchedule.objects.create(
        event="sunrise", latitude=n, longitude=n
    ),
    "django_celery_beat.ClockedSchedule": lambda n: beat.ClockedSchedule.objects.create(
        clocked_time=NOW + timedelta(hours=n)
    ),
}  # fmt: skip


def values_of(form: Any) -> dict[str, Any]:
    """What a browser would send for `form` as it was shown."""
    sent = {}
    for bound in form:
        value = bound.value()
        if hasattr(bound.field.widget, "decompress"):
            parts = bound.field.widget.decompress(value)
            sent |= {f"{bound.html_name}_{place}": part for place, part in enumerate(parts) if part is not None}
        elif value is not None and value is not False:
            shown = bound.field.prepare_value(value)
            sent[bound.html_name] = shown if isinstance(shown, list) else str(shown)
    return sent
