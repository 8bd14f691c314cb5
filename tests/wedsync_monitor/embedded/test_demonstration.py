"""The demonstration, filled with a few days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from alerts.defaults import create_rules
from alerts.evaluation import evaluate_due
from alerts.models import AlertEvent, AlertInstance, AlertRule, NotificationDelivery
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from assets.models import InfrastructureAsset
from capacity.models import CapacityForecast
from remediation.models import RemediationAction, RemediationExecution
from synthetic.models import SyntheticCheck, SyntheticCheckResult
from wedsync_monitor.console.navigation import holds_demonstration
from wedsync_monitor.embedded import demonstration
from wedsync_monitor.embedded.demonstration.platform import HOSTS, MARK, grid, incidents, load
from wedsync_monitor.models import User
from wedsync_monitor.policy import Role

DAYS = 9  # a Saturday is among them
MONDAY = datetime(2026, 11, 23, 18, 3, 20, tzinfo=UTC)


def counted() -> dict[str, int]:
    models: tuple[Any, ...] = (
        InfrastructureAsset, AlertRule, AlertInstance, AlertEvent, NotificationDelivery, SyntheticCheck,
        SyntheticCheckResult, CapacityForecast, RemediationAction, RemediationExecution, User,
    )  # fmt: skip
    found = {model.__name__: model.objects.count() for model in models}
    samples = query.read(SeriesSelector(), MONDAY - timedelta(days=60), MONDAY + timedelta(days=60))
    return found | {"samples": len(samples.timestamps)}


@pytest.fixture
def filled(committed: None, now: datetime) -> datetime:
    """The demonstration as a new installation makes it."""
    create_rules()
    demonstration.fill(now, DAYS)
    return now


def test_a_saturday_is_busier_than_any_other_day() -> None:
    week = [MONDAY.replace(hour=0, minute=0, second=0) + timedelta(days=day) for day in range(7)]
    mean = [load(grid(day, day + timedelta(days=1))).mean() for day in week]
    assert max(range(7), key=lambda day: mean[day]) == 5
    assert mean[5] > 1.4 * max(mean[:5])


def test_what_is_over_ended_before_the_demonstration_began_and_what_goes_on_is_in_every_live_state() -> None:
    happened = incidents(MONDAY, 30)
    assert all(one.ended is None or one.ended <= MONDAY for one in happened)
    assert {one.outcome for one in happened if one.ended is None} == {"open", "acknowledged", "suppressed", "pending"}
    assert {one.outcome for one in happened if one.ended} == {"auto", "manual", "timeout"}


def test_assets_hang_together_and_are_marked(filled: datetime) -> None:
    assets = {asset.asset_name: asset for asset in InfrastructureAsset.objects.all()}
    assert set(assets) == {host.name for host in HOSTS}
    assert all(MARK in asset.tags for asset in assets.values())
    assert {asset.environment for asset in assets.values()} == {"production", "staging", "development"}
    assert assets["demo-rsvp-service"].parent_asset == assets["demo-web-01"]
    assert assets["demo-web-01"].dependencies == [str(assets["demo-booking-db"].pk)]
    for asset in assets.values():
        asset.full_clean()


def test_every_tab_has_something_to_show(filled: datetime) -> None:
    assert set(AlertInstance.objects.values_list("status", flat=True)) == {
        "open", "acknowledged", "suppressed", "pending", "resolved",
    }  # fmt: skip
    assert NotificationDelivery.objects.filter(status="delivered").exists()
    assert not NotificationDelivery.objects.filter(status="queued").exists()
    assert CapacityForecast.objects.filter(metric_name="disk_usage_percent").count() == 3
    assert RemediationExecution.objects.exists()
    results = SyntheticCheckResult.objects.filter(status="success").count()
    assert results > 0.95 * SyntheticCheckResult.objects.count() > 9000


def test_nothing_of_it_runs_or_leaves_this_machine(filled: datetime) -> None:
    assert not RemediationAction.objects.filter(is_enabled=True).exists()
    assert not SyntheticCheck.objects.filter(is_enabled=True).exists()
    assert not any(person.has_usable_password() for person in User.objects.all())
    assert not any(rule.notification_channels for rule in AlertRule.objects.all())


def test_a_second_start_doubles_nothing(filled: datetime) -> None:
    before = counted()
    demonstration.fill(filled, DAYS)
    assert counted() == before | {"samples": counted()["samples"]}
    assert counted()["samples"] <= before["samples"] + 10 * len(HOSTS)
    once = counted()
    demonstration.fill(filled, DAYS)
    assert counted() == once


def test_a_fill_that_was_interrupted_is_completed(filled: datetime) -> None:
    complete = counted()
    AlertInstance.objects.all().delete()
    CapacityForecast.objects.all().delete()
    RemediationExecution.objects.all().delete()
    demonstration.fill(filled, DAYS)
    assert counted() == complete


def test_the_evaluator_agrees_with_the_alerts_that_are_live(filled: datetime) -> None:
    alerts = AlertInstance.objects.exclude(status="resolved").order_by("pk")
    before = list(alerts.values_list("pk", "status"))
    evaluate_due(filled)
    assert list(alerts.values_list("pk", "status")) == before


def test_it_goes_on_reporting(filled: datetime) -> None:
    later = filled + timedelta(minutes=4)
    demonstration.go_on(later)
    web = InfrastructureAsset.objects.get(asset_name="demo-web-01")
    last = query.last_reports([web.pk], filled)[web.pk]
    assert later - last < timedelta(minutes=1)


def test_the_console_says_so_on_every_page(filled: datetime, person: Any, client: Client) -> None:
    client.force_login(person(Role.DEVELOPER))
    for page in ("overview", "assets", "alerts", "synthetic", "capacity", "remediation", "dashboards"):
        assert "Demonstration:" in client.get(reverse(f"console:{page}")).content.decode()


@pytest.mark.django_db
def test_an_installation_without_it_says_nothing_of_it() -> None:
    assert not holds_demonstration()
    demonstration.go_on(datetime.now(UTC))
    assert not InfrastructureAsset.objects.exists()
