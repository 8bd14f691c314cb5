"""OTLP/HTTP metrics, protobuf and JSON: data points as series of plain numbers. Pure: no Django.

A histogram becomes cumulative `…_bucket` series by `le`, `…_count` and `…_sum`, as Prometheus writes it, so that there
is one form of histogram in the store. Cumulative monotonic sums and what histograms count are counters. Points of delta
temporality say how much was added since the last: they are stored as such, as gauges with a label that tells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otlp

from assets.metrics.labelled import Labelled, Named
from assets.metrics.protocols import mapping
from assets.metrics.protocols.exponential import cumulative_buckets
from assets.metrics.wire import MAX_SAMPLES_PER_REQUEST, Decoded, Malformed, Refusal, TooLarge

FORM = "otlp"
# A resource describes its sender at length (process ids, command lines); what tells series apart is kept of it.
_OF_RESOURCE = ("service.name", "service.namespace", "service.instance.id")
_WHOSE = ("asset", "host.name", "host", "instance")
_SCOPE, _TEMPORALITY = "otel.scope.name", "otel.temporality"
_MAX_BUCKETS = 1_000

Labels = tuple[tuple[str, str], ...]
# Resource, scope, metric name, type, unit, attributes, and what else tells it apart from its siblings.
_Name = tuple[Labels, str, str, str, str, Labels, Labels]


class _BadPoint(Exception):
    """Why a data point cannot be used."""


def decode(body: bytes, is_json: bool) -> Decoded:
    """The samples of an ExportMetricsServiceRequest. Raises Malformed and TooLarge."""
    samples = _Samples()
    for resource_metrics in _parse(body, is_json).resource_metrics:
        resource = _attributes(resource_metrics.resource.attributes, (*_OF_RESOURCE, *_WHOSE))
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                _Metric(samples, resource, scope_metrics.scope.name, metric).read()
    return Decoded(labelled=samples.labelled(), refusals=samples.refusals)


def _parse(body: bytes, is_json: bool) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    try:
        if is_json:
            json_format.Parse(body.decode(), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(f"this is not an ExportMetricsServiceRequest: {str(error)[:200]}") from error
    return request


@dataclass
class _Samples:
    points: int = 0
    names: dict[_Name, int] = field(default_factory=dict)
    origin: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def add(self, name: _Name, timestamp_ms: int, value: float) -> None:
        self.origin.append(self.names.setdefault(name, len(self.names)))
        self.timestamps.append(timestamp_ms)
        self.values.append(value)
        self.index.append(self.points)
        if len(self.values) > MAX_SAMPLES_PER_REQUEST:
            raise TooLarge(f"send at most {MAX_SAMPLES_PER_REQUEST} samples in one request")

    def labelled(self) -> Labelled:
        return Labelled(
            FORM,
            list(self.names),
            describe,
            np.array(self.origin, dtype=np.int64),
            np.array(self.timestamps, dtype=np.int64),
            np.array(self.values, dtype=np.float64),
            np.array(self.index, dtype=np.int64),
        )


# A part of a data point: suffix of the name, type, further labels, value.
_Part = tuple[str, str, Labels, float]


@dataclass(frozen=True)
class _Metric:
    samples: _Samples
    resource: Labels
    scope: str
    metric: otlp.Metric

    def read(self) -> None:
        kind = self.metric.WhichOneof("data")
        if kind is None:
            return
        data = getattr(self.metric, kind)
        temporality = getattr(data, "aggregation_temporality", otlp.AGGREGATION_TEMPORALITY_CUMULATIVE)
        for point in data.data_points:
            if not point.flags & otlp.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
                self._read_point(_PARTS[kind], data, point, temporality)
            self.samples.points += 1

    def _read_point(
        self, parts_of: Callable[[Any, Any], Iterator[_Part]], data: Any, point: Any, temporality: int
    ) -> None:
        try:
            if temporality == otlp.AGGREGATION_TEMPORALITY_UNSPECIFIED:
                raise _BadPoint("say whether the aggregation temporality is cumulative or delta")
            parts = list(parts_of(data, point))
        except _BadPoint as error:
            self.samples.refusals.append(Refusal(self.samples.points, self.metric.name[:100], str(error)))
            return
        attributes = _attributes(point.attributes)
        for suffix, kind, more, value in parts:
            if temporality == otlp.AGGREGATION_TEMPORALITY_DELTA:
                kind, more = "gauge", (*more, (_TEMPORALITY, "delta"))
            name = (self.resource, self.scope, self.metric.name + suffix, kind, self.metric.unit, attributes, more)
            self.samples.add(name, point.time_unix_nano // 1_000_000, value)


def _number(point: otlp.NumberDataPoint) -> float:
    kind = point.WhichOneof("value")
    if kind is None:
        raise _BadPoint("the data point has no value")
    return float(getattr(point, kind))


def _gauge(data: otlp.Gauge, point: otlp.NumberDataPoint) -> Iterator[_Part]:
    yield "", "gauge", (), _number(point)


def _sum(data: otlp.Sum, point: otlp.NumberDataPoint) -> Iterator[_Part]:
    yield "", "counter" if data.is_monotonic else "gauge", (), _number(point)


def _distribution(point: Any) -> Iterator[_Part]:
    """What both kinds of histogram have beside their buckets."""
    yield "_count", "counter", (), float(point.count)
    if point.HasField("sum"):
        yield "_sum", "counter", (), point.sum
    for extreme in ("min", "max"):
        if point.HasField(extreme):
            yield f"_{extreme}", "gauge", (), getattr(point, extreme)


def _histogram(data: otlp.Histogram, point: otlp.HistogramDataPoint) -> Iterator[_Part]:
    yield from _distribution(point)
    counts, bounds = point.bucket_counts, point.explicit_bounds
    if not counts and not bounds:
        return
    if len(counts) != len(bounds) + 1 or len(counts) > _MAX_BUCKETS:
        raise _BadPoint(f"send one bucket more than there are bounds, and at most {_MAX_BUCKETS}")
    yield from _buckets(zip([*bounds, math.inf], np.cumsum(np.array(counts, dtype=np.float64)).tolist(), strict=True))


def _exponential(data: otlp.ExponentialHistogram, point: otlp.ExponentialHistogramDataPoint) -> Iterator[_Part]:
    yield from _distribution(point)
    try:
        yield from _buckets(
            cumulative_buckets(
                point.scale,
                (point.negative.offset, point.negative.bucket_counts[: _MAX_BUCKETS + 1]),
                (point.zero_threshold, point.zero_count),
                (point.positive.offset, point.positive.bucket_counts[: _MAX_BUCKETS + 1]),
                _MAX_BUCKETS,
            )
        )
    except ValueError as error:
        raise _BadPoint(str(error)) from error


def _buckets(cumulative: Iterable[tuple[float, float]]) -> Iterator[_Part]:
    for bound, count in cumulative:
        yield "_bucket", "counter", (("le", _shown(bound)),), count


def _summary(data: otlp.Summary, point: otlp.SummaryDataPoint) -> Iterator[_Part]:
    yield "_count", "counter", (), float(point.count)
    yield "_sum", "counter", (), point.sum
    for one in point.quantile_values:
        yield "", "gauge", (("quantile", _shown(one.quantile)),), one.value


def _shown(number: float) -> str:
    """A bound as Prometheus writes it."""
    return "+Inf" if number == math.inf else repr(number).removesuffix(".0")


_PARTS: dict[str, Callable[[Any, Any], Iterator[_Part]]] = {
    "gauge": _gauge,
    "sum": _sum,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}


def _attributes(given: Iterable[Any], wanted: tuple[str, ...] = ()) -> Labels:
    return tuple((one.key, _text(one.value)) for one in given if not wanted or one.key in wanted)


def _text(value: Any) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind) if kind else ""


def describe(name: _Name) -> Named:
    """What a data point's part means. Raises NotASeries."""
    resource, scope, metric_name, kind, unit, attributes, more = name
    labels = dict(resource) | {_SCOPE: scope} | dict(attributes) | dict(more)
    return mapping.named(metric_name, labels, kind, unit)


def answer(rejected: int, reason: str, is_json: bool) -> bytes:
    """An ExportMetricsServiceResponse; it names a partial success where something was rejected."""
    response = ExportMetricsServiceResponse()
    if rejected:
        response.partial_success.rejected_data_points = rejected
        response.partial_success.error_message = reason
    text = json_format.MessageToJson(response, indent=None).encode() if is_json else response.SerializeToString()
    return bytes(text)


def status(message: str, is_json: bool) -> bytes:
    """A google.rpc.Status { string message = 2 }, which is what OTLP has for errors."""
    if is_json:
        return json.dumps({"message": message}).encode()
    text = message.encode()[:0x3FFF]
    return bytes([0x12, len(text) & 0x7F | 0x80, len(text) >> 7]) + text
