"""What keeps people from being told at a moment, and why, as the evaluation sees it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.models import AlertEvent, AlertInstance, MaintenanceWindow, NotificationDelivery, Silence
from alerts.selection import active_assets
from alerts.suppression import standing
from tests.alerts.test_evaluation import evaluate, measured, rule  # noqa: F401
from wedsync_monitor.policy import Role


def silence(now, *matchers, **columns):
    given = {"starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(minutes=5), "comment": "moving racks"}
    return Silence.objects.create(matchers=list(matchers), **(given | columns))


def test_a_silenced_alert_says_by_whom_and_why_and_is_told_when_the_silence_ends(asset, rule, measured, now, person):  # noqa: F811
    web = asset()
    rule()
    silence(now, {"name": "severity", "value": "high"}, created_by=person(Role.SRE, username="ann"))
    measured(web, 99, now)
    assert evaluate(now).messages_due == 0
    assert AlertInstance.objects.get().status == "suppressed"
    assert "Silenced by ann until" in AlertEvent.objects.get(kind="suppressed").note
    assert "moving racks" in AlertEvent.objects.get(kind="suppressed").note
    later = now + timedelta(minutes=6)
    measured(web, 99, later)
    assert evaluate(later).messages_due == 1


def test_a_muted_alert_still_resolves_and_whoever_was_told_is_told_its_end(asset, rule, measured, now):  # noqa: F811
    web = asset()
    rule()
    measured(web, 99, now)
    evaluate(now)
    silence(now, {"name": "asset", "value": web.asset_name}, ends_at=now + timedelta(hours=3))
    for minutes, value in ((1, 99), (10, 10)):
        at = now + timedelta(minutes=minutes)
        measured(web, value, at)
        evaluate(at)
    assert AlertInstance.objects.get().status == "resolved"
    assert sorted(NotificationDelivery.objects.values_list("event__kind", flat=True)) == ["opened", "resolved"]


def test_a_silence_concerns_what_it_names_alone(asset, rule, measured, now):  # noqa: F811
    first, second = asset("web-01"), asset("web-02")
    rule()
    silence(now, {"name": "asset", "value": "web-01"}, {"name": "device", "value": "sda", "is_equal": False})
    for one in (first, second):
        measured(one, 99, now)
    evaluate(now)
    assert dict(AlertInstance.objects.values_list("asset__asset_name", "status")) == {
        "web-01": "suppressed",
        "web-02": "open",
    }


def test_alerts_on_what_hangs_on_an_asset_that_is_down_are_held_back_and_point_to_it(asset, rule, measured, now):  # noqa: F811
    database = asset("db-01")
    web, other = asset("web-01", dependencies=[str(database.pk)]), asset("web-02")
    rule("down", asset_filter={"asset_names": ["db-01"]}, suppression_config={"means_down": True})
    measured(database, 99, now)
    evaluate(now)
    rule("slow", asset_filter={"asset_names": ["web-01", "web-02"]})
    later = now + timedelta(minutes=1)
    for one in (database, web, other):
        measured(one, 99, later)
    evaluate(later)
    assert dict(AlertInstance.objects.values_list("asset__asset_name", "status")) == {
        "db-01": "open",
        "web-01": "suppressed",
        "web-02": "open",
    }
    note = AlertEvent.objects.get(kind="suppressed").note
    assert note.startswith("Held back: db-01, on which it depends, is down (")


@pytest.mark.django_db
def test_a_window_covers_what_it_names_and_what_it_selects(asset, now):
    asset("web-01", environment="staging"), asset("web-02"), asset("db-01")
    named = str(asset("named").pk)
    span = {"start_time": now - timedelta(hours=1), "end_time": now + timedelta(hours=1)}
    both = MaintenanceWindow.objects.create(
        window_name="both", affected_assets=[named], asset_filter={"environments": ["staging"]}, **span
    )
    everything = MaintenanceWindow.objects.create(window_name="all", **span)
    assets = active_assets()
    assert set(assets.names[standing.covered_by(both, assets)]) == {"named", "web-01"}
    assert standing.covered_by(everything, assets).all()


@pytest.mark.django_db
def test_a_window_that_cannot_be_followed_stops_nothing(asset, now):
    asset()
    MaintenanceWindow.objects.create(
        window_name="broken",
        start_time=now - timedelta(hours=1),
        end_time=now + timedelta(hours=1),
        recurrence_config={"rrule": "FREQ=NEVER", "timezone": "UTC"},
    )
    assert standing.at(now, active_assets()).windows == []


@pytest.mark.django_db
def test_what_holds_is_read_in_three_queries(asset, now, django_assert_num_queries):
    for number in range(5):
        asset(f"web-{number}")
        silence(now, {"name": "asset", "value": f"web-{number}"})
    assets = active_assets()
    with django_assert_num_queries(3):
        standing.at(now, assets)
