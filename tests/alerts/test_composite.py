"""Composite rules: how parts are combined, what they may ask, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError

from alerts.composite import HELD, NOT_HELD, UNKNOWN, combined
from alerts.conditions import CompositeConfig
from alerts.models import AlertInstance, AlertRule
from alerts.models.consistency import ring_of
from tests.alerts.rounds import evaluate, measure

HOT = {"kind": "metric", "metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80, "time_window": 60}
SLOW = {"kind": "metric", "metric_name": "response_time_ms", "operator": "gt", "threshold": 500, "time_window": 60}


@pytest.fixture
def composite(committed):
    """Make a composite rule: `composite("both", HOT, SLOW, require="any")`."""

    def make(name: str, *parts: dict[str, Any], conditions: Any = (), **asked: Any) -> AlertRule:
        return AlertRule.objects.create(
            rule_name=name,
            alert_type="composite",
            metric_conditions=list(conditions),
            composite_config={"parts": list(parts), **asked},
        )

    return make


def alarmed(rule: AlertRule) -> set[str]:
    live = rule.instances.exclude(status="resolved")
    return set(live.values_list("asset__asset_name", flat=True))


@pytest.mark.parametrize(
    ("require", "at_least", "parts", "verdict"),
    [
        ("all", None, (HELD, HELD), HELD),
        ("all", None, (HELD, UNKNOWN), UNKNOWN),
        ("all", None, (NOT_HELD, UNKNOWN), NOT_HELD),
        ("any", None, (HELD, UNKNOWN), HELD),
        ("any", None, (NOT_HELD, UNKNOWN), UNKNOWN),
        ("any", None, (NOT_HELD, NOT_HELD), NOT_HELD),
        ("none", None, (NOT_HELD, NOT_HELD), HELD),
        ("none", None, (NOT_HELD, UNKNOWN), UNKNOWN),
        ("none", None, (HELD, UNKNOWN), NOT_HELD),
        ("at_least", 2, (HELD, HELD, UNKNOWN), HELD),
        ("at_least", 2, (HELD, NOT_HELD, UNKNOWN), UNKNOWN),
        ("at_least", 2, (HELD, NOT_HELD, NOT_HELD), NOT_HELD),
    ],
)
def test_what_is_unknown_counts_only_where_it_could_turn_the_answer(require, at_least, parts, verdict):
    truths = [np.array([part], dtype=np.int8) for part in parts]
    assert combined(CompositeConfig(require, at_least), truths).tolist() == [verdict]


def test_at_least_so_many_of_its_metrics(asset, composite, now):
    full = SLOW | {"metric_name": "disk_usage_percent", "threshold": 90}
    rule = composite("two", HOT, SLOW, full, require="at_least", at_least=2)
    for name, values in {"two": (90, 900, 10), "one": (90, 10, 10), "three": (90, 900, 95)}.items():
        web = asset(name)
        for metric, value in zip(("cpu_usage_percent", "response_time_ms", "disk_usage_percent"), values, strict=True):
            measure(web, value, now, metric)
    evaluate(now)
    assert alarmed(rule) == {"two", "three"}
    alert = rule.instances.get(asset__asset_name="two")
    assert alert.alert_title == "two: 2 of 3 hold on two"
    assert "disk_usage_percent" not in " ".join(alert.context_data["holding"])


def test_metric_conditions_of_a_composite_rule_are_parts_too(asset, composite, now):
    web = asset()
    condition = {name: value for name, value in HOT.items() if name != "kind"}
    rule = composite("either", SLOW, conditions=[condition], require="any")
    measure(web, 90, now)
    measure(web, 10, now, "response_time_ms")
    evaluate(now)
    assert alarmed(rule) == {"web-01"}


def test_a_part_without_data_neither_opens_nor_ends_an_alert(asset, composite, now):
    web = asset()
    rule = composite("both", HOT, SLOW)
    measure(web, 90, now)
    evaluate(now)
    assert alarmed(rule) == set()
    measure(web, 900, now, "response_time_ms")
    evaluate(now)
    later = now + timedelta(minutes=5)
    measure(web, 90, later)
    evaluate(later)
    alert = rule.instances.get()
    assert (alert.status, alert.missing_since) == ("open", later)
    measure(web, 10, later, "response_time_ms")
    evaluate(later)
    alert.refresh_from_db()
    assert alert.status == "resolved"


def test_a_series_that_stopped_while_it_breached_holds_the_alert(asset, composite, now):
    web = asset()
    full = {"kind": "metric", "metric_name": "disk_usage_percent", "operator": "gt", "threshold": 90, "time_window": 60}
    rule = composite("full", full)
    for mount, value in (("/", 40), ("/data", 97)):
        measure(web, value, now, "disk_usage_percent", mount=mount)
    evaluate(now)
    later = now + timedelta(minutes=5)
    measure(web, 40, later, "disk_usage_percent", mount="/")
    evaluate(later)
    assert rule.instances.get().missing_since == later


def test_it_may_ask_for_open_alerts_of_another_rule(asset, rule, composite, now):
    cpu = rule("cpu", threshold_config={"consecutive_breaches": 2})
    both = composite("both", SLOW, {"kind": "rule", "rule_name": "cpu"})
    for name, value in (("busy", 90), ("calm", 10)):
        web = asset(name)
        measure(web, value, now)
        measure(web, 900, now, "response_time_ms")
    seen = []
    for seconds in (1, 2, 3):
        evaluate(now + timedelta(seconds=seconds))
        seen.append((cpu.instances.get().status, alarmed(both)))
    # An alert that is pending does not count; one that is open counts from the next round on.
    assert seen == [("pending", set()), ("open", set()), ("open", {"busy"})]


def test_it_may_ask_for_the_verdict_of_a_check(asset, composite, now):
    web, other = asset("web"), asset("other")
    rule = composite("down", HOT, {"kind": "check", "check_name": "home"})
    for one in (web, other):
        measure(one, 90, now)
    # The newest verdict counts, and only that of the check that was named.
    measure(web, 1, now - timedelta(seconds=30), "check_up", check="home")
    measure(web, 0, now, "check_up", check="home")
    measure(other, 0, now, "check_up", check="rsvp")
    measure(other, 0, now - timedelta(seconds=30), "check_up", check="home")
    measure(other, 1, now, "check_up", check="home")
    evaluate(now)
    assert alarmed(rule) == {"web"}


def test_it_may_ask_what_an_asset_depends_on(asset, composite, now):
    rack = asset("rack")
    database = asset("db", parent_asset=rack)
    web = asset("web", dependencies=[str(database.pk)])
    alone = asset("alone")
    rule = composite("felt", SLOW, HOT | {"on": "upstream"})
    for one in (web, alone):
        measure(one, 900, now, "response_time_ms")
    measure(rack, 95, now)
    measure(database, 10, now)
    evaluate(now)
    assert alarmed(rule) == {"web"}
    later = now + timedelta(minutes=3)
    measure(web, 900, later, "response_time_ms")
    measure(database, 10, later)
    evaluate(later)
    assert rule.instances.get().missing_since == later  # nothing is known of the rack
    measure(rack, 10, later)
    evaluate(later)
    assert alarmed(rule) == set()


def test_a_rule_that_is_gone_is_told_on_the_row_of_the_one_that_asks(asset, rule, composite, now):
    asset()
    named = rule("cpu")
    one = composite("both", {"kind": "rule", "rule_name": "cpu"})
    named.delete()
    evaluate(now)
    one.refresh_from_db()
    evaluate(now)
    one.evaluation.refresh_from_db()
    assert "no rule is called 'cpu'" in one.evaluation.last_error


@pytest.mark.parametrize(
    ("parts", "asked", "told"),
    [
        ([], {}, "at least one part"),
        ([HOT], {"require": "at_least"}, "at_least"),
        ([HOT], {"require": "at_least", "at_least": 2}, "up to 1"),
        ([HOT], {"at_least": 1}, "only then"),
        ([{"kind": "rule", "rule_name": "nobody"}], {}, "No rule is called 'nobody'"),
        ([{"kind": "rule", "rule_name": "self"}], {}, "self → self"),
        ([HOT | {"kind": "guess"}], {}, "Invalid value 'guess'"),
        ([HOT | {"on": "moon"}], {}, "Invalid enum value"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(composite, parts, asked, told):
    with pytest.raises(ValidationError, match=told):
        composite("self", *parts, **asked)


def test_rules_that_would_ask_each_other_in_a_ring_are_refused(composite):
    first = composite("first", HOT)
    composite("second", {"kind": "rule", "rule_name": "first"})
    first.composite_config = {"parts": [{"kind": "rule", "rule_name": "second"}]}
    with pytest.raises(ValidationError, match="first → second → first"):
        first.save()


def test_a_ring_is_found_behind_others_and_only_through_the_start():
    asks = {"a": {"b"}, "b": {"c", "d"}, "c": {"c"}, "d": {"a"}}
    assert ring_of("a", asks) == ["a", "b", "d", "a"]
    assert ring_of("e", asks | {"e": {"a"}}) == []


def test_a_threshold_rule_still_needs_a_condition(committed):
    with pytest.raises(ValidationError, match="at least one condition"):
        AlertRule.objects.create(rule_name="empty", metric_conditions=[])
    assert AlertInstance.objects.count() == 0
