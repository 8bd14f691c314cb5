"""InfluxDB's line protocol: what is read of lines, what a bad line costs, and what clients are told."""

from __future__ import annotations

import contextlib
import gzip
from datetime import timedelta

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from assets.metrics.labelled import NotASeries
from assets.metrics.protocols import line_protocol
from assets.metrics.wire import Malformed, TooLarge
from assets.models import MetricSeries

URL = "/api/v2/write"
NOW = 1_790_000_000_000

# The client escapes neither quotes nor what may not stand in a name at all; a backslash at an end has no escape.
names = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"], exclude_characters='\\"#'), min_size=1, max_size=9
)
spaced = st.builds("{} {}".format, names, names) | names
tags = st.dictionaries(spaced, spaced, max_size=4)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1) | st.booleans()


def read(body: bytes, precision: str = "ns") -> list[tuple[str, dict[str, str], int, float]]:
    """(name, labels with the asset's, time, value) of each sample."""
    found = line_protocol.decode(body, precision, NOW).labelled
    assert found is not None
    rows = []
    for origin, at, value in zip(found.origin.tolist(), found.timestamps.tolist(), found.values.tolist(), strict=True):
        named = found.describe(found.names[origin])
        rows.append((named.key.metric_name, dict(named.key.labels), at, value))
    return rows


@given(spaced, tags, st.dictionaries(spaced, numbers, min_size=1, max_size=4), st.integers(0, 2**62))
def test_what_the_influx_client_writes_is_read_as_it_was(measurement, given_tags, fields, at):
    given_tags = {f"t{name}": value for name, value in given_tags.items()}
    point = Point(measurement).time(at, WritePrecision.NS)
    for name, value in given_tags.items():
        point.tag(name, value)
    for name, value in fields.items():
        point.field(name, value)
    expected = {
        (measurement if name == "value" else f"{measurement}_{name}", at // 1_000_000, float(value))
        for name, value in fields.items()
    }
    rows = read(point.to_line_protocol().encode())
    assert {(name, stamp, value) for name, _, stamp, value in rows} == expected
    assert all(labels == given_tags for _, labels, _, _ in rows)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_line_by_line(body):
    found = line_protocol.decode(body, "ns", NOW).labelled
    assert found is not None
    for name in found.names:
        with contextlib.suppress(NotASeries):
            found.describe(name)


@given(st.text(alphabet='m,=\\ "\n1i#', max_size=60))
def test_any_arrangement_of_the_signs_is_read_or_refused(text):
    test_any_bytes_are_read_or_refused_line_by_line.hypothesis.inner_test(text.encode())


@pytest.mark.parametrize(
    ("line", "rows"),
    [
        (r"cpu,host=a\ b,path=C:\\dir usage=1", [("cpu_usage", {"path": "C:\\\\dir"}, NOW, 1.0)]),
        (r"my\ cpu,a\,b=c\=d e\ f=2", [("my cpu_e f", {"a,b": "c=d"}, NOW, 2.0)]),
        ("cpu value=3", [("cpu", {}, NOW, 3.0)]),
        ("cpu a=1i,b=2u,c=t,d=FALSE,e=-1.5e3,f=.5", [
            ("cpu_a", {}, NOW, 1.0), ("cpu_b", {}, NOW, 2.0), ("cpu_c", {}, NOW, 1.0), ("cpu_d", {}, NOW, 0.0),
            ("cpu_e", {}, NOW, -1500.0), ("cpu_f", {}, NOW, 0.5),
        ]),
        ('cpu a="x y, z=1 \\" \\\\",b=1 1000000', [("cpu_b", {}, 1, 1.0)]),
        ('cpu a="first\nsecond b=2",c=1', [("cpu_c", {}, NOW, 1.0)]),
        ("# a comment\n\n  cpu value=1 \r\n", [("cpu", {}, NOW, 1.0)]),
        ("cpu  value=1  -1000000", [("cpu", {}, -1, 1.0)]),
    ],
)  # fmt: skip
def test_lines_mean_what_influx_means_by_them(line, rows):
    assert read(line.encode()) == rows


@pytest.mark.parametrize(("precision", "at"), [("ns", 2), ("us", 2_000), ("ms", 2_000_000), ("s", 2_000_000_000)])
def test_a_timestamp_is_of_the_precision_that_was_asked_for(precision, at):
    assert read(b"cpu value=1 2000000", precision)[0][2] == at


@pytest.mark.parametrize(
    "line",
    ["cpu", "cpu ", ",host=a value=1", "cpu value", "cpu value=", "cpu =1", "cpu value=1 soon", "cpu value=1 1 2",
     "cpu value=1i2", "cpu value=-1u", "cpu value=nan", "cpu value=1,", 'cpu value="', 'cpu value="a"b',
     "cpu value=1_0", "cpu value=1 99999999999999999999"],
)  # fmt: skip
def test_a_bad_line_costs_only_itself(line):
    decoded = line_protocol.decode(f"a value=1\n{line}\nb value=2".encode(), "ns", NOW)
    assert decoded.labelled is not None
    assert decoded.labelled.values.tolist() == [1.0, 2.0]
    assert [one.index for one in decoded.refusals] == [2]


def test_a_tag_without_a_value_is_no_series():
    for line in (b"cpu,host value=1", b"cpu,host= value=1", b"cpu,a=1,a=2 value=1", b"cpu,a=\xff value=1"):
        with pytest.raises(NotASeries):
            read(line)


def test_an_unknown_precision_and_too_many_samples_are_refused_whole(monkeypatch):
    with pytest.raises(Malformed):
        line_protocol.decode(b"cpu value=1", "h", NOW)
    monkeypatch.setattr(line_protocol, "MAX_SAMPLES_PER_REQUEST", 1)
    with pytest.raises(TooLarge):
        line_protocol.decode(b"cpu a=1,b=2", "ns", NOW)


@pytest.fixture
def send(committed, token):
    def post(lines, secret=token, query="", **headers):
        body = lines if isinstance(lines, bytes) else lines.encode()
        return Client().post(f"{URL}?org=o&bucket=b{query}", body, "text/plain; charset=utf-8",
                             headers={"Authorization": f"Token {secret}"} | headers)  # fmt: skip

    return post


def test_lines_are_stored_on_the_assets_that_their_host_names(send, asset, stored):
    asset("web-01")
    asset("db-01")
    answer = send("cpu,host=web-01,cpu=cpu0 usage_idle=90,usage_user=5i\nmem,host=db-01 used=7u")
    assert (answer.status_code, answer.content) == (204, b"")
    assert stored() == {
        ("web-01", "cpu_usage_idle{cpu=cpu0}"): [90.0],
        ("web-01", "cpu_usage_user{cpu=cpu0}"): [5.0],
        ("db-01", "mem_used"): [7.0],
    }


def test_telegraf_sends_gzip(send, asset, stored):
    asset("web-01")
    assert send(gzip.compress(b"cpu,host=web-01 value=1"), **{"Content-Encoding": "gzip"}).status_code == 204
    assert send(gzip.compress(bytes(40 * 1024 * 1024)), **{"Content-Encoding": "gzip"}).status_code == 413
    assert send(b"no gzip", **{"Content-Encoding": "gzip"}).status_code == 400
    assert stored() == {("web-01", "cpu"): [1.0]}


def test_a_text_is_refused_by_itself_with_the_number_of_its_line(send, asset, stored):
    asset("web-01")
    answer = send('cpu,host=web-01 value=1\nsystem,host=web-01 load1=2,uptime_format="3 days"\nx,host=nobody y=1')
    assert answer.status_code == 400
    said = answer.json()
    assert said["code"] == "invalid"
    assert said["message"].startswith("partial write: 2 refused, 2 samples stored; line 2: uptime_format: ")
    assert "line 3: asset: no asset has the id or name 'nobody'" in said["message"]
    assert stored() == {("web-01", "cpu"): [1.0], ("web-01", "system_load1"): [2.0]}


def test_everything_is_a_gauge_unless_a_tag_says_otherwise(send, asset):
    asset("web-01")
    assert send("mem,host=web-01 total=1\nnet,host=web-01,metric_type=counter bytes_recv=1").status_code == 204
    assert dict(MetricSeries.objects.values_list("metric_name", "metric_type")) == {
        "mem_total": "gauge",
        "net_bytes_recv": "counter",
    }


def test_clients_are_told_in_their_own_words(send, asset):
    assert send("x value=1", secret="wst_wrong").json()["code"] == "unauthorized"
    assert send("x value=1", query="&precision=h").json()["code"] == "invalid"
    assert Client().get(URL).status_code == 405
    assert Client().get("/ping").status_code == Client().head("/api/v2/ping").status_code == 204
    assert Client().get("/health").json()["status"] == "pass"


def test_the_influx_client_writes_to_it(server, token, asset, stored, now):
    asset("web-01")
    moment = now - timedelta(seconds=30)
    with InfluxDBClient(server, token=token, org="any", enable_gzip=True) as client:
        assert client.ping()
        write = client.write_api(write_options=SYNCHRONOUS)
        points = [
            Point("disk space").tag("host", "web-01").tag("path", "/data, old").field("used", 12.5).time(moment),
            Point("disk space").tag("host", "web-01").tag("path", "/data, old").field("ok", True).time(moment),
        ]
        write.write("any", record=points)
        with pytest.raises(ApiException) as refused:
            write.write("any", record=Point("m").tag("host", "nobody").field("value", 1).time(moment))
    assert refused.value.status == 400
    assert "nobody" in refused.value.body
    assert stored() == {
        ("web-01", "disk space_used{path=/data, old}"): [12.5],
        ("web-01", "disk space_ok{path=/data, old}"): [1.0],
    }
