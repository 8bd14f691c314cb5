"""Prometheus's WriteRequest as google.protobuf itself makes it: an encoder that shares nothing with ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_MESSAGES: dict[str, list[tuple[str, int, str, bool]]] = {
    "Label": [("name", 1, "string", False), ("value", 2, "string", False)],
    "Sample": [("value", 1, "double", False), ("timestamp", 2, "int64", False)],
    "TimeSeries": [
        ("labels", 1, ".prometheus.Label", True),
        ("samples", 2, ".prometheus.Sample", True),
        ("histograms", 4, "bytes", True),
    ],
    "MetricMetadata": [("type", 1, "int32", False), ("metric_family_name", 2, "string", False)],
    "WriteRequest": [
        ("timeseries", 1, ".prometheus.TimeSeries", True),
        ("metadata", 3, ".prometheus.MetricMetadata", True),
    ],
}


def _write_request_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="prometheus.proto", package="prometheus", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, columns in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, kind, repeated in columns:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            made = described.field.add(name=name, number=number, label=label)
            if kind.startswith("."):
                made.type, made.type_name = kinds.TYPE_MESSAGE, kind
            else:
                made.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WriteRequest = _write_request_class()


def write_request(series: Iterable[tuple[Mapping[str, str], Iterable[tuple[int, float]]]]) -> Any:
    """A WriteRequest of series: their labels, and their samples as (milliseconds, value)."""
    request = WriteRequest()
    for labels, samples in series:
        one = request.timeseries.add()
        for name, value in sorted(labels.items()):
            one.labels.add(name=name, value=value)
        for timestamp, number in samples:
            one.samples.add(timestamp=timestamp, value=number)
    return request


def snappy(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))
