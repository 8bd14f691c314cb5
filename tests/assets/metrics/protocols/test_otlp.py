"""OTLP/HTTP metrics: every kind of data point, what is rejected, and the OpenTelemetry SDK itself."""

from __future__ import annotations

import contextlib
import gzip
import json
from datetime import timedelta

import pytest
from django.test import Client
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from assets.metrics.labelled import NotASeries
from assets.metrics.protocols import otlp
from assets.metrics.wire import Malformed, TooLarge
from assets.models import AgentKey, MetricSeries

URL = "/v1/metrics"
DELTA, CUMULATIVE = 1, 2
MS = 1_790_000_000_000


def request(*metrics, at_ms: int = MS, **resource: str) -> ExportMetricsServiceRequest:
    """Metrics as the JSON of the specification, with the time of their points filled in."""
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
    body = {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": list(metrics)}]}]}
    message = json_format.ParseDict(body, ExportMetricsServiceRequest())
    for metric in message.resource_metrics[0].scope_metrics[0].metrics:
        for point in getattr(metric, metric.WhichOneof("data")).data_points:
            point.time_unix_nano = point.time_unix_nano or at_ms * 1_000_000
    return message


def gauge(name="temperature", value=21.5, **attributes: str):
    given_attributes = [{"key": key, "value": {"stringValue": text}} for key, text in attributes.items()]
    return {"name": name, "gauge": {"dataPoints": [{"asDouble": value, "attributes": given_attributes}]}}


def total(temporality=CUMULATIVE, monotonic=True):
    points = [{"asInt": "7"}]
    return {
        "name": "requests",
        "unit": "1",
        "sum": {"aggregationTemporality": temporality, "isMonotonic": monotonic, "dataPoints": points},
    }


def histogram(temporality=CUMULATIVE, **point):
    filled = {"count": "6", "sum": 9.5, "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.5, 10]} | point
    return {"name": "latency", "histogram": {"aggregationTemporality": temporality, "dataPoints": [filled]}}


def read(message: ExportMetricsServiceRequest) -> dict[tuple[str, str, str], float]:
    """{(name with labels, type, unit): value}."""
    decoded = otlp.decode(message.SerializeToString(), is_json=False)
    assert (decoded.refusals, otlp.decode(json_format.MessageToJson(message).encode(), True).refusals) == ([], [])
    found = decoded.labelled
    assert found is not None
    rows = {}
    for origin, value in zip(found.origin.tolist(), found.values.tolist(), strict=True):
        key = found.describe(found.names[origin]).key
        inside = ",".join(f"{name}={text}" for name, text in sorted(key.labels.items()))
        rows[f"{key.metric_name}{{{inside}}}", key.metric_type, key.metric_unit] = value
    return rows


def test_a_gauge_is_a_gauge():
    assert read(request(gauge(room="7"))) == {("temperature{room=7}", "gauge", ""): 21.5}


def test_a_cumulative_monotonic_sum_is_a_counter():
    assert read(request(total())) == {("requests{}", "counter", "1"): 7.0}
    assert read(request(total(monotonic=False))) == {("requests{}", "gauge", "1"): 7.0}


def test_a_delta_says_that_it_is_one():
    assert read(request(total(DELTA))) == {("requests{otel.temporality=delta}", "gauge", "1"): 7.0}


def test_a_histogram_is_written_as_prometheus_writes_it():
    assert read(request(histogram(min=0.1, max=4))) == {
        ("latency_bucket{le=0.5}", "counter", ""): 1.0,
        ("latency_bucket{le=10}", "counter", ""): 3.0,
        ("latency_bucket{le=+Inf}", "counter", ""): 6.0,
        ("latency_count{}", "counter", ""): 6.0,
        ("latency_sum{}", "counter", ""): 9.5,
        ("latency_min{}", "gauge", ""): 0.1,
        ("latency_max{}", "gauge", ""): 4.0,
    }
    assert len(read(request(histogram(bucketCounts=[], explicitBounds=[])))) == 2
    assert {kind for _, kind, _ in read(request(histogram(DELTA)))} == {"gauge"}


def test_an_exponential_histogram_has_bounds_that_stay():
    point = {"count": "4", "sum": 7, "scale": 2, "zeroCount": "1", "positive": {"offset": 0, "bucketCounts": [1, 1, 1]}}
    metric = {"name": "size", "exponentialHistogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": [point]}}
    buckets = {name: value for (name, _, _), value in read(request(metric)).items() if "_bucket" in name}
    assert buckets == {
        "size_bucket{le=0}": 1.0,
        "size_bucket{le=1.4142135623730951}": 3.0,
        "size_bucket{le=2}": 4.0,
        "size_bucket{le=+Inf}": 4.0,
    }


def test_a_summary_keeps_its_quantiles():
    point = {"count": "5", "sum": 2.5, "quantileValues": [{"quantile": 0.5, "value": 0.4}, {"quantile": 1, "value": 2}]}
    assert read(request({"name": "wait", "summary": {"dataPoints": [point]}})) == {
        ("wait_count{}", "counter", ""): 5.0,
        ("wait_sum{}", "counter", ""): 2.5,
        ("wait{quantile=0.5}", "gauge", ""): 0.4,
        ("wait{quantile=1}", "gauge", ""): 2.0,
    }


def test_of_a_resource_only_what_tells_series_apart_is_kept():
    message = request(gauge(), **{"service.name": "shop", "process.pid": "17", "host.name": "web-01"})
    assert read(message) == {("temperature{service.name=shop}", "gauge", ""): 21.5}


def test_a_point_without_a_recorded_value_is_no_sample():
    message = request(gauge())
    points = message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    points[0].flags = metrics_pb2.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
    assert read(message) == {}


@pytest.mark.parametrize(
    "metric",
    [
        {"name": "m", "gauge": {"dataPoints": [{}]}},
        total(temporality=0),
        histogram(bucketCounts=["1"]),
        histogram(bucketCounts=["1"] * 1002, explicitBounds=list(range(1001))),
        {"name": "m", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [{"scale": 2**31 - 1}]}},
    ],
)
def test_a_data_point_that_cannot_be_is_rejected_by_itself(metric):
    decoded = otlp.decode(request(metric, gauge()).SerializeToString(), is_json=False)
    assert decoded.labelled is not None
    assert ([one.index for one in decoded.refusals], decoded.labelled.values.tolist()) == ([0], [21.5])


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_malformed(body, is_json):
    with contextlib.suppress(Malformed):
        otlp.decode(body, is_json)


@given(st.data())
def test_a_damaged_request_is_malformed_and_nothing_worse(data):
    whole = request(gauge(room="7"), total(), histogram(), **{"service.name": "shop"}).SerializeToString()
    body = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        found = otlp.decode(bytes(body), is_json=False).labelled
        assert found is not None
        for name in found.names:
            with contextlib.suppress(NotASeries):
                found.describe(name)


json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(
    inner, max_size=2) | st.dictionaries(st.sampled_from(["resourceMetrics", "scopeMetrics", "metrics", "name", "gauge",
    "dataPoints", "asInt", "attributes", "value", "timeUnixNano"]), inner, max_size=3), max_leaves=12)  # fmt: skip


@given(json_values)
def test_any_json_is_read_or_malformed(value):
    with contextlib.suppress(Malformed):
        otlp.decode(json.dumps(value).encode(), is_json=True)


def test_too_many_samples_are_too_large(monkeypatch):
    monkeypatch.setattr(otlp, "MAX_SAMPLES_PER_REQUEST", 1)
    with pytest.raises(TooLarge):
        otlp.decode(request(gauge(), total()).SerializeToString(), is_json=False)


@pytest.fixture
def send(committed, token):
    def post(message, secret=token, content_type="application/x-protobuf", **headers):
        body = message if isinstance(message, bytes) else message.SerializeToString()
        return Client().post(URL, body, content_type, headers={"Authorization": f"Bearer {secret}"} | headers)

    return post


@pytest.fixture
def at_ms(now):
    return int(now.timestamp() * 1000)


def test_metrics_are_stored_on_the_asset_that_the_resource_names(send, asset, stored, at_ms):
    asset("web-01")
    message = request(gauge(), total(), at_ms=at_ms, **{"host.name": "web-01"})
    answer = send(message)
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, b"", "application/x-protobuf")
    answer = send(json_format.MessageToJson(message).encode(), content_type="application/json")
    assert (answer.status_code, answer.json()) == (200, {})
    packed = gzip.compress(message.SerializeToString())
    assert send(packed, **{"Content-Encoding": "gzip"}).status_code == 200
    assert stored() == {("web-01", "temperature"): [21.5], ("web-01", "requests"): [7.0]}


def test_a_partial_success_says_how_many_data_points_and_why(send, asset, stored, at_ms):
    asset("web-01")
    message = request(gauge(), gauge("m", asset="nobody"), histogram(), at_ms=at_ms, **{"host.name": "web-01"})
    message.resource_metrics[0].scope_metrics[0].metrics[2].histogram.data_points[0].bucket_counts.append(1)
    answer = send(message)
    said = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_data_points) == (200, 2)
    assert "no asset has the id or name 'nobody'" in said.error_message
    in_json = send(json_format.MessageToJson(message).encode(), content_type="application/json").json()
    assert in_json["partialSuccess"]["rejectedDataPoints"] == "2"
    assert stored() == {("web-01", "temperature"): [21.5]}


def test_where_nothing_is_kept_the_client_is_told_by_a_status(send, asset, at_ms):
    answer = send(request(gauge(), at_ms=at_ms, **{"host.name": "nobody"}))
    assert answer.status_code == 400
    assert b"no asset has the id or name 'nobody'" in answer.content
    answer = send(b"{", content_type="application/json")
    assert (answer.status_code, "ExportMetricsServiceRequest" in answer.json()["message"]) == (400, True)
    assert send(b"\xff").status_code == 400
    assert send(b"", content_type="text/plain").status_code == 415
    assert send(b"", secret="wsa_wrong").status_code == 401
    assert send(gzip.compress(bytes(40 * 1024 * 1024)), **{"Content-Encoding": "gzip"}).status_code == 413


def test_an_outage_is_retryable_and_says_when(send, asset, at_ms, monkeypatch):
    from assets.metrics import committing, ingestion

    asset("web-01")

    def away():
        raise committing.Unavailable("away")

    monkeypatch.setattr(ingestion, "committer", away)
    answer = send(request(gauge(), at_ms=at_ms, **{"host.name": "web-01"}))
    assert (answer.status_code, int(answer["Retry-After"]) > 0) == (503, True)


def test_an_agents_key_writes_its_own_asset_only(send, key, asset, stored, at_ms, now):
    asset("db-01")
    assert send(request(gauge(), at_ms=at_ms), secret=key).status_code == 200
    assert send(request(gauge(), at_ms=at_ms, **{"host.name": "db-01"}), secret=key).status_code == 400
    AgentKey.objects.update(revoked_at=now + timedelta(seconds=-1))
    assert send(request(gauge("late"), at_ms=at_ms), secret=key).status_code == 401
    assert stored() == {("web-01", "temperature"): [21.5]}


def test_the_opentelemetry_sdk_exports_to_it(server, key, stored):
    exporter = OTLPMetricExporter(f"{server}{URL}", headers={"Authorization": f"Bearer {key}"})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    view = View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())
    resource = Resource({"service.name": "shop", "host.name": "web-01"})
    provider = MeterProvider([reader], resource, views=[view])
    meter = provider.get_meter("shop.orders")
    meter.create_counter("orders", unit="1").add(3, {"kind": "cake"})
    meter.create_up_down_counter("open").add(-2)
    meter.create_observable_gauge("load", [lambda _: []])
    meter.create_gauge("warmth").set(21.5)
    meter.create_histogram("wait", unit="s", explicit_bucket_boundaries_advisory=[1, 2]).record(1.5)
    meter.create_histogram("size").record(3.0)
    assert provider.force_flush()
    titles = {title.replace("otel.scope.name=shop.orders,service.name=shop", "…"): values
              for (_, title), values in stored().items()}  # fmt: skip
    assert titles["orders{kind=cake,…}"] == [3.0]
    assert titles["open{…}"] == [-2.0]
    assert titles["warmth{…}"] == [21.5]
    assert [titles[f"wait_bucket{{le={bound},…}}"] for bound in ("1", "2", "+Inf")] == [[0.0], [1.0], [1.0]]
    assert (titles["size_count{…}"], titles["size_sum{…}"]) == ([1.0], [3.0])
    assert MetricSeries.objects.get(metric_name="orders").metric_type == "counter"
    provider.shutdown()
