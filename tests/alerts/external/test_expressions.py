"""Expressions of Prometheus's alerting rules as conditions, and why others are none."""

from __future__ import annotations

import pytest

from alerts.external.expressions import Inexpressible, asked


def condition(metric, operator, threshold, aggregation="avg", window=120):
    parts = {"metric_name": metric, "operator": operator, "threshold": threshold}
    return parts | {"aggregation": aggregation, "time_window": window}


@pytest.mark.parametrize(
    ("text", "conditions", "chosen"),
    [
        ("up == 0", [condition("up", "eq", 0)], {}),
        ("node_load1 > 8", [condition("node_load1", "gt", 8)], {}),
        ("8 <= node_load1", [condition("node_load1", "gte", 8)], {}),
        ("100 - idle_percent * 2 > 90", [condition("idle_percent", "lt", 5)], {}),
        ("-(free / 1024 - 1) >= -3", [condition("free", "lte", 4096)], {}),
        ("2 * (10 + load) != 5 * 6", [condition("load", "ne", 5)], {}),
        ("avg_over_time(temperature[10m]) > 75", [condition("temperature", "gt", 75, window=600)], {}),
        ("max_over_time(temperature[90s]) > 75", [condition("temperature", "gt", 75, "max", 90)], {}),
        ("count_over_time(temperature[1h]) < 10", [condition("temperature", "lt", 10, "count", 3600)], {}),
        ("rate(errors_total[5m]) > 2", [condition("errors_total", "gt", 2, window=300)], {}),
        ("increase(errors_total[5m]) * 2 > 60", [condition("errors_total", "gt", 0.1, window=300)], {}),
        ("max by (instance) (load) > 4", [condition("load", "gt", 4)], {}),
        ("min(free) < 4", [condition("free", "lt", 4)], {}),
        ('load{instance="web-01:9100"} > 4', [condition("load", "gt", 4)], {"asset_names": ["web-01"]}),
        ('load{host=~"web-01|web\\\\.02"} > 4', [condition("load", "gt", 4)], {"asset_names": ["web-01", "web.02"]}),
        ('{__name__="load", environment="production", asset_type=~"(server|database)"} > 4',
         [condition("load", "gt", 4)], {"environments": ["production"], "asset_types": ["server", "database"]}),
        ('a{environment="staging"} > 1 and on(instance) b < 2 and rate(c_total[1m]) == 0',
         [condition("a", "gt", 1), condition("b", "lt", 2), condition("c_total", "eq", 0, window=60)],
         {"environments": ["staging"]}),
    ],
)  # fmt: skip
def test_what_comes_down_to_metrics_and_numbers_is_taken(text, conditions, chosen):
    found = asked(text, 120)
    assert (found.alert_type, found.metric_conditions, found.asset_filter) == ("threshold", conditions, chosen)


def test_either_of_several_is_a_composite_rule():
    found = asked("a > 1 or b > 2", 60)
    assert (found.alert_type, found.metric_conditions) == ("composite", [])
    parts = [{"kind": "metric", **condition(name, "gt", limit, window=60)} for name, limit in (("a", 1), ("b", 2))]
    assert found.composite_config == {"require": "any", "parts": parts}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("absent(up)", 300), ('absent(up{environment="production"})', 300), ("absent_over_time(up[1h])", 3600)],
)
def test_what_is_absent_is_an_absence_rule(text, seconds):
    found = asked(text, 60)
    config = {"metric_name": "up", "when": "fewer_assets", "silent_seconds": seconds, "expected_assets": 1}
    assert (found.alert_type, found.absence_config) == ("absence", config)


def test_what_is_not_quite_the_same_is_noted():
    assert asked("max(load) > 4 and b < 1", 60).notes == [
        "it is asked of each asset by itself: one alert for each",
        "the newest value is the average of the last 60 s",
        "and holds for an asset as a whole, not for each series",
    ]
    assert asked('up{job="node"} == 0', 60, {"job"}).notes[-1] == "job='node' is left out, as asked"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("node_filesystem_avail_bytes / node_filesystem_size_bytes * 100 < 10", "computes with two metrics"),
        ("open_files > max_files * 0.8", "compares metrics with one another"),
        ('up{job="node"} == 0', "--ignore-label job"),
        ('load{host!="web-01"} > 4', "lists the assets"),
        ('load{host=~"web.*"} > 4', "lists the assets"),
        ('load{environment="qa"} > 4', "development, staging, production"),
        ("errors_total > 5", "is a counter, by its name"),
        ("rate(load[5m]) > 5", "stored as a gauge"),
        ("sum by (instance) (rate(errors_total[5m])) > 5", "sum puts several series together"),
        ("max by (instance) (load) < 5", "max puts several series together"),
        ("predict_linear(free[6h], 86400) < 0", "predict_linear is not computed"),
        ("histogram_quantile(0.99, rate(x_bucket[5m])) > 1", "not a metric that a rule reads"),
        ("deriv(load[5m]) > 1", "deriv is not computed"),
        ("load offset 1d > 1", "offset"),
        ("load > bool 1", "leave bool out"),
        ("load", "not compared with a number"),
        ("a > 1 unless b > 1", "not compared with a number"),
        ("a > 1 and on(device) b > 1", "of each asset by itself"),
        ('a{host="x"} > 1 and a{host="y"} > 1', "different assets"),
        ('a{host="x"} > 1 or a > 1', "different assets"),
        ("a * 0 > 1", "multiplied away"),
        ("1 / a > 1", "divides by a metric"),
        ("a % 2 > 1", "computes with %"),
        ("a > 1 / 0", "not finite"),
        ('{__name__=~"a|b"} > 1', "by its whole name"),
        ("max_over_time(rate(a_total[5m])[1h:]) > 1", "subqueries"),
        ("absent(sum(up))", "a selector alone"),
        ("load >", "unexpected"),
        ("nonsense(load) > 1", "unknown or unsupported function"),
    ],
)  # fmt: skip
def test_what_would_mean_something_else_is_refused_with_the_reason(text, why):
    with pytest.raises(Inexpressible) as refused:
        asked(text, 60)
    assert why in str(refused.value)
