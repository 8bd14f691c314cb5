"""Label sets as assets and series: which label names the asset, and which labels stay."""

from __future__ import annotations

import pytest

from assets.metrics.labelled import NotASeries
from assets.metrics.protocols import mapping


@pytest.mark.parametrize(
    ("labels", "asset", "kept"),
    [
        ({"asset": "web-01", "host": "h", "instance": "i:1"}, "web-01", {"host": "h", "instance": "i:1"}),
        ({"host.name": "web-01", "host": "h"}, "web-01", {"host": "h"}),
        ({"host": "web-01", "instance": "other:9100"}, "web-01", {"instance": "other:9100"}),
        ({"instance": "web-01:9100", "job": "node"}, "web-01", {"instance": "web-01:9100", "job": "node"}),
        ({"job": "node"}, None, {"job": "node"}),
        ({"asset": "", "host": "web-01", "job": ""}, "web-01", {}),
        ({}, None, {}),
    ],
)
def test_the_most_explicit_label_names_the_asset(labels, asset, kept):
    assert mapping.owner(labels) == (asset, kept)


@pytest.mark.parametrize(
    ("instance", "host"),
    [
        ("web-01", "web-01"),
        ("web-01:9100", "web-01"),
        ("10.0.0.5:9100", "10.0.0.5"),
        ("[2001:db8::1]:9100", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("https://shop.example:8443/health", "shop.example"),
        ("https://[broken", "https://[broken"),
        ("web-01:http", "web-01:http"),
        ("localhost:9100", None),
        ("127.0.0.1:9100", None),
        ("[::1]:9100", None),
        ("http://localhost/", None),
        (":9100", None),
    ],
)
def test_an_instance_is_a_host_without_its_port(instance, host):
    assert mapping.host_of(instance) == host


@pytest.mark.parametrize(
    ("name", "kind"),
    [("http_requests_total", "counter"), ("x_bucket", "counter"), ("x_count", "counter"), ("x_sum", "counter"),
     ("up", "gauge"), ("total", "gauge"), ("count_of_things", "gauge")],
)  # fmt: skip
def test_a_suffix_says_what_is_counted(name, kind):
    assert mapping.type_by_suffix(name) == kind


def test_what_cannot_be_a_series_is_refused_with_the_field():
    with pytest.raises(NotASeries, match="metric_name"):
        mapping.named("", {})
    with pytest.raises(NotASeries, match=r"metric_labels\.path"):
        mapping.named("up", {"path": "x" * 1000})
