"""What Prometheus sends is read as it is meant."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from alerts.external import wire


def read(**changes):
    return wire.decode(json.dumps([{"labels": {"alertname": "HighCPU"}, **changes}]).encode())


def test_an_alert_of_prometheus_is_read():
    (one,), problems = read(startsAt="2026-06-12T14:00:00.123456789Z", endsAt="0001-01-01T00:00:00Z", generatorURL="u")
    assert problems == []
    assert one.starts_at == datetime(2026, 6, 12, 14, 0, 0, 123457, tzinfo=UTC)
    assert one.ends_at is None
    assert one.generator_url == "u"


@pytest.mark.parametrize(
    ("severity", "ours"), [("page", "critical"), ("Warning", "medium"), ("info", "low"), ("odd", "medium")]
)
def test_severities_have_our_names(severity, ours):
    assert read(labels={"alertname": "a", "severity": severity})[0][0].severity == ours


@pytest.mark.parametrize(
    ("labels", "hosts"),
    [
        ({"instance": "web-01:9100"}, ["web-01:9100", "web-01"]),
        ({"instance": "[::1]:9100"}, ["[::1]:9100", "::1"]),
        ({"instance": "exporter:9100", "host": "web-01"}, ["web-01", "exporter:9100", "exporter"]),
        ({}, []),
    ],
)
def test_an_asset_is_looked_for_by_its_likeliest_name(labels, hosts):
    assert read(labels={"alertname": "a"} | labels)[0][0].hosts == hosts


def test_the_good_is_kept_where_a_part_is_bad():
    good = {"labels": {"alertname": "a"}}
    bad = [{"labels": {}}, {}, 5, {"labels": {"alertname": "a\0"}}, good | {"endsAt": "2026-06-12T14:00:00"}]
    posted, problems = wire.decode(json.dumps([*bad, good]).encode())
    assert [one.alertname for one in posted] == ["a"]
    assert len(problems) == 5
    assert problems[0].startswith("[0]: send the label alertname")


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b'"x"', b"\xff", b"[" * 5000])
def test_what_is_no_array_is_refused(body):
    with pytest.raises((msgspec.MsgspecError, RecursionError)):
        wire.decode(body)


def test_a_set_of_labels_has_one_name():
    assert wire.fingerprint({"a": "1", "b": "2"}) == wire.fingerprint({"b": "2", "a": "1"})
    assert wire.fingerprint({"a": "1"}) != wire.fingerprint({"a": "2"})
