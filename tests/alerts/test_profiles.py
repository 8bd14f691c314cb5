"""Other thresholds and severities by the calendar: which profile holds when, what it changes, and where it is seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from alerts import preview, profiles
from alerts.conditions import Profile
from alerts.models import AlertInstance, AlertRule
from tests.alerts.rounds import evaluate, measure
from tests.pages import opened
from wedsync_monitor.policy import Role

CPU = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80, "time_window": 60, "aggregation": "max"}
WEEKEND = {"name": "weekend", "days": ["sat", "sun"], "thresholds": [95], "severity": "low"}
NIGHT = {"name": "night", "timezone": "Europe/Berlin", "start": "22:00", "end": "06:00", "off": True}


def named(now: str, *stored: dict[str, Any]) -> str:
    known = [Profile(**one) for one in stored]
    at = np.array([int(datetime.fromisoformat(now).timestamp() * 1000)])
    place = int(profiles.places(known, at)[0])
    return known[place].name if place >= 0 else ""


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-06-06T00:00Z", "weekend"),  # a Saturday, from its first minute
        ("2026-06-05T23:59Z", "night"),
        ("2026-06-07T23:59Z", "weekend"),  # the first that holds counts
        ("2026-06-08T00:00Z", "night"),
        ("2026-06-08T04:00Z", ""),  # six o'clock in Berlin in summer
        ("2026-12-07T04:00Z", "night"),  # and seven hours of darkness more in winter
        ("2026-12-07T05:00Z", ""),
        ("2026-10-24T20:00Z", "weekend"),
    ],
)
def test_the_first_profile_that_holds_counts_by_the_wall_clock_of_its_zone(now, expected):
    assert named(now, WEEKEND, NIGHT) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-29T00:30Z", "early"),  # half past one: the hour after it does not come
        ("2026-03-29T01:30Z", ""),  # half past three
        ("2026-10-25T00:30Z", "early"),  # half past two, which comes twice
        ("2026-10-25T01:30Z", "early"),  # the second time
        ("2026-10-25T02:00Z", ""),
    ],
)
def test_the_hour_that_a_clock_skips_or_repeats_is_followed(now, expected):
    early = {"name": "early", "timezone": "Europe/Berlin", "start": "01:00", "end": "03:00", "off": True}
    assert named(now, early) == expected


@pytest.mark.parametrize(
    ("first", "last", "inside", "outside"),
    [
        ("05-01", "09-30", ["2026-05-01T00:00Z", "2031-09-30T23:59Z"], ["2026-10-01T00:00Z", "2026-04-30T23:59Z"]),
        ("11-15", "01-10", ["2026-12-31T12:00Z", "2027-01-10T12:00Z"], ["2027-01-11T00:00Z", "2026-11-14T23:59Z"]),
        ("2026-06-06", "2026-06-06", ["2026-06-06T23:59Z"], ["2027-06-06T12:00Z", "2026-06-07T00:00Z"]),
        ("02-29", "02-29", ["2028-02-29T12:00Z"], ["2026-02-28T12:00Z", "2026-03-01T12:00Z"]),
    ],
)
def test_seasons_come_every_year_and_may_pass_its_end(first, last, inside, outside):
    season = {"name": "season", "first_date": first, "last_date": last, "off": True}
    assert [named(now, season) for now in inside] == ["season"] * len(inside)
    assert [named(now, season) for now in outside] == [""] * len(outside)


def test_many_instants_are_told_as_each_by_itself():
    known = [Profile(**WEEKEND), Profile(**NIGHT), Profile("autumn", first_date="10-24", last_date="10-26", off=True)]
    begin = int(datetime(2026, 10, 22, tzinfo=UTC).timestamp() * 1000)
    instants = begin + 1_700_000 * np.arange(300, dtype=np.int64)
    together = profiles.places(known, instants)
    assert together.tolist() == [int(profiles.places(known, instants[at : at + 1])[0]) for at in range(300)]
    assert set(together.tolist()) == {-1, 0, 1, 2}


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (WEEKEND, "weekend profile: 95 instead of 80, severity low instead of medium"),
        (NIGHT, "night profile: off"),
        ({"name": "calm", "consecutive_breaches": 5}, "calm profile: consecutive breaches 5 instead of 1"),
        ({"name": "calm", "recovery_threshold": 70}, "calm profile: recovery threshold 70"),
    ],
)
def test_a_profile_says_what_is_different(profile, text):
    rule = AlertRule(metric_conditions=[CPU])
    changed = profiles.with_profile(rule, Profile(**profile))
    assert changed.profile == text
    assert (rule.profile, rule.metric_conditions) == ("", [CPU])


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (WEEKEND | {"timezone": "Moon/Crater"}, "IANA time zone"),
        (WEEKEND | {"start": "08:00"}, "start and end together"),
        (WEEKEND | {"first_date": "02-30", "last_date": "03-01"}, "first_date and last_date"),
        (WEEKEND | {"first_date": "2026-03-01", "last_date": "2026-02-01"}, "first_date and last_date"),
        (WEEKEND | {"first_date": "2026-03-01", "last_date": "04-01"}, "first_date and last_date"),
        (WEEKEND | {"thresholds": [1, 2]}, "at most 1 thresholds"),
        (WEEKEND | {"off": True}, "not both"),
        ({"name": "nothing"}, "not both"),
        (WEEKEND | {"sensitivity": "low"}, "only an anomaly rule"),
    ],
)
def test_a_profile_that_cannot_be_meant_is_refused_with_what_to_send(profile, text):
    with pytest.raises(ValidationError, match=text):
        AlertRule(rule_name="cpu", metric_conditions=[CPU], profiles=[profile]).clean()


def everyday(**columns: Any) -> dict[str, Any]:
    return {"name": "weekend", "first_date": "01-01", "last_date": "12-31", **columns}


@pytest.mark.usefixtures("committed")
def test_the_alert_obeys_the_profile_and_says_so(asset, rule, now, signed_in):
    web = asset()
    cpu = rule(metric_conditions=[CPU], profiles=[everyday(thresholds=[95], severity="critical")])
    measure(web, 90, now - timedelta(minutes=2))
    evaluate(now - timedelta(minutes=2))
    assert not AlertInstance.objects.exists()
    measure(web, 97, now)
    evaluate(now)
    alert = AlertInstance.objects.get()
    said = "weekend profile: 95 instead of 80, severity critical instead of medium"
    assert (alert.severity, alert.threshold_value, alert.context_data["profile"]) == ("critical", 95, said)
    assert said.capitalize() in alert.alert_description
    page = opened(signed_in(Role.SRE), reverse("console:alert", args=[alert.pk])).text
    assert said.capitalize() in page
    assert "Recovers at 95 % or below" in page
    cpu.profiles = [everyday(off=True)]
    cpu.save()
    evaluate(now + timedelta(seconds=10))
    alert.refresh_from_db()
    assert (alert.status, alert.resolution_notes) == ("resolved", "weekend profile: off")


@pytest.mark.usefixtures("committed")
def test_a_preview_obeys_profiles(asset, now):
    web = asset()
    for ago, value in ((9, 90), (7, 20), (5, 90), (3, 20)):
        measure(web, value, now - timedelta(minutes=ago))
    midst = now - timedelta(minutes=6)
    until = {"name": "first half", "start": f"{now - timedelta(hours=2):%H:%M}", "end": f"{midst:%H:%M}"}
    plain = AlertRule(rule_name="cpu", metric_conditions=[CPU])
    assert preview.of_rule(plain, 1, now).fired == 2
    for change in ({"thresholds": [95]}, {"off": True}, {"consecutive_breaches": 2}):
        plain.profiles = [until | change]
        assert [one.opened_at > midst for one in preview.of_rule(plain, 1, now).alerts] == [True]


def test_profiles_are_written_on_the_form_and_stand_on_the_rule(signed_in, rule):
    sre, cpu = signed_in(Role.SRE), rule(metric_conditions=[CPU])
    body = {"rule_name": "cpu", "severity": "high", "evaluation_frequency": 60, "consecutive_breaches": 2,
            "is_enabled": "on", **CPU}  # fmt: skip
    page = reverse("console:rule", args=[cpu.pk])
    wrong = sre.post(page, body | {"profiles": json.dumps([WEEKEND | {"timezone": "Moon"}])})
    assert (wrong.status_code, "IANA time zone" in wrong.content.decode()) == (422, True)
    assert sre.post(page, body | {"profiles": json.dumps([WEEKEND])}).status_code == 302
    cpu.refresh_from_db()
    assert cpu.profiles == [WEEKEND]
    assert "Other terms: weekend" in opened(sre, reverse("console:rules")).text
    assert sre.post(page, body | {"profiles": ""}).status_code == 302
    cpu.refresh_from_db()
    assert cpu.profiles == []
