"""What does not come in: stopped, never seen, too few; who is not missed; what ends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import AlertInstance, AlertRule, MaintenanceWindow
from assets.models import InfrastructureAsset
from tests.alerts.rounds import evaluate, measure

pytestmark = pytest.mark.usefixtures("committed")
CPU = "cpu_usage_percent"


@pytest.fixture
def missed(committed):
    """Make an absence rule: `missed(when="stopped")`."""

    def make(name: str = "silent", threshold_config: Any = None, **asked: Any) -> AlertRule:
        return AlertRule.objects.create(
            rule_name=name,
            alert_type="absence",
            metric_conditions=[],
            absence_config={"metric_name": CPU, "grace_seconds": 0, **asked},
            threshold_config=threshold_config or {},
        )

    return make


def titles() -> list[str]:
    return sorted(AlertInstance.objects.exclude(status="resolved").values_list("alert_title", flat=True))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("silent", ["CPU usage has never come in from never", "CPU usage has not come in for 5 min from stopped"]),
        ("stopped", ["CPU usage has not come in for 5 min from stopped"]),
        ("never_seen", ["CPU usage has never come in from never"]),
    ],
)
def test_a_metric_that_stopped_and_one_that_was_never_seen_are_two_things(asset, missed, now, when, expected):
    stopped, never, well = asset("stopped"), asset("never"), asset("well")
    missed(when=when)
    measure(stopped, 50, now)
    measure(never, 50, now + timedelta(minutes=9), "memory_usage_percent")
    measure(well, 50, now + timedelta(minutes=9))
    evaluate(now + timedelta(minutes=10))
    assert titles() == expected


def test_it_ends_when_data_is_back_and_not_before(asset, missed, now):
    web = asset()
    missed()
    measure(web, 50, now)
    seen = []
    for minutes in (4, 6, 8):
        evaluate(now + timedelta(minutes=minutes))
        seen.append(len(titles()))
    measure(web, 50, now + timedelta(minutes=9))
    evaluate(now + timedelta(minutes=10))
    alert = AlertInstance.objects.get()
    assert (seen, alert.status, alert.resolution_type) == ([0, 1, 1], "resolved", "auto")


def test_consecutive_breaches_and_keep_firing_hold_for_absence_too(asset, missed, now):
    web = asset()
    missed(threshold_config={"consecutive_breaches": 2, "keep_firing_seconds": 120})
    seen = []
    for minutes, reports in ((10, False), (11, False), (12, True), (13, True), (14, True)):
        at = now + timedelta(minutes=minutes)
        if reports:
            measure(web, 50, at)
        evaluate(at)
        seen.append(AlertInstance.objects.get().status)
    assert seen == ["pending", "open", "open", "open", "resolved"]


def test_a_new_asset_has_time_to_begin(asset, missed, now):
    asset("new")
    old = asset("old")
    InfrastructureAsset.objects.filter(pk=old.pk).update(created_at=now - timedelta(days=1))
    missed(grace_seconds=600)
    evaluate(now)
    assert titles() == ["CPU usage has never come in from old"]
    evaluate(now + timedelta(minutes=11))
    assert len(titles()) == 2


def test_an_ephemeral_asset_that_left_is_not_missed(asset, missed, now):
    gone = asset("job", monitoring_config={"ephemeral": True})
    missed()
    measure(gone, 50, now)
    evaluate(now + timedelta(hours=1))
    assert titles() == []


@pytest.mark.parametrize(("hours", "open_alerts"), [(25.9, 0), (26.1, 1)])
def test_a_longer_silence_than_is_kept_in_memory_is_told_exactly(asset, missed, now, hours, open_alerts):
    backup = asset("backup")
    missed(silent_seconds=26 * 3600)
    at = now + timedelta(minutes=1)
    measure(backup, 1, at - timedelta(hours=hours))
    evaluate(at)
    assert len(titles()) == open_alerts


def test_fewer_assets_than_expected_is_one_alert_that_names_the_silent_ones(asset, missed, now):
    assets = [asset(f"web-{number}") for number in range(4)]
    missed(when="fewer_assets", expected_assets=3)
    for one in assets[:2]:
        measure(one, 50, now)
    evaluate(now)
    alert = AlertInstance.objects.get()
    assert (alert.asset, alert.trigger_value, alert.threshold_value) == (None, 2, 3)
    assert alert.alert_title == "CPU usage comes in from 2 of 3 expected assets"
    assert alert.context_data["silent_assets"] == ["web-2", "web-3"]
    measure(assets[2], 50, now + timedelta(minutes=1))
    evaluate(now + timedelta(minutes=1))
    alert.refresh_from_db()
    assert alert.status == "resolved"


def test_too_few_assets_stay_untold_while_all_of_them_are_maintained(asset, missed, now):
    asset()
    missed(when="fewer_assets", expected_assets=1)
    MaintenanceWindow.objects.create(
        window_name="move", maintenance_type="planned", impact_level="low",
        start_time=now - timedelta(hours=1), end_time=now + timedelta(hours=1),
    )  # fmt: skip
    evaluate(now)
    assert AlertInstance.objects.get().status == "suppressed"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"metric_name": ""}, "metric_name"),
        ({"when": "fewer_assets"}, "expected_assets"),
        ({"expected_assets": 3}, "expected_assets"),
        ({"when": "sometimes"}, "Invalid enum value"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(missed, asked, told):
    with pytest.raises(ValidationError, match=told):
        missed(**asked)


def test_the_number_of_queries_does_not_grow_with_the_number_of_assets(asset, missed, now):
    missed()
    counts = []
    for size in (3, 30):
        for number in range(size):
            asset(f"web-{size}-{number}")
        AlertInstance.objects.all().delete()
        evaluate(now)
        AlertInstance.objects.all().delete()
        with CaptureQueriesContext(connection) as queries:
            evaluate(now)
        counts.append(len(queries))
    assert counts[0] == counts[1]
