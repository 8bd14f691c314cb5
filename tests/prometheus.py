"""Prometheus's messages of remote write as google.protobuf itself makes them: encoders that share nothing with ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Messages = dict[str, list[tuple[str, int, str, bool]]]
_MESSAGES: _Messages = {
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


_MESSAGES_2: _Messages = {
    "Sample": [("value", 1, "double", False), ("timestamp", 2, "int64", False)],
    "Exemplar": [("labels_refs", 1, "uint32", True), ("value", 2, "double", False), ("timestamp", 3, "int64", False)],
    "Metadata": [("type", 1, "int32", False), ("help_ref", 3, "uint32", False), ("unit_ref", 4, "uint32", False)],
    "Histogram": [("count_int", 1, "uint64", False), ("sum", 3, "double", False), ("timestamp", 15, "int64", False)],
    "TimeSeries": [
        ("labels_refs", 1, "uint32", True),
        ("samples", 2, ".write.Sample", True),
        ("histograms", 3, ".write.Histogram", True),
        ("exemplars", 4, ".write.Exemplar", True),
        ("metadata", 5, ".write.Metadata", False),
        ("created_timestamp", 6, "int64", False),
    ],
    "Request": [("symbols", 4, "string", True), ("timeseries", 5, ".write.TimeSeries", True)],
}


def _class_of(package: str, messages: _Messages, name: str) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for message, columns in messages.items():
        described = file.message_type.add(name=message)
        for column, number, kind, repeated in columns:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            made = described.field.add(name=column, number=number, label=label)
            if kind.startswith("."):
                made.type, made.type_name = kinds.TYPE_MESSAGE, kind
            else:
                made.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))


WriteRequest = _class_of("prometheus", _MESSAGES, "WriteRequest")
Request = _class_of("write", _MESSAGES_2, "Request")


def request_2(series: Iterable[tuple[Mapping[str, str], Iterable[tuple[int, float]]]]) -> Any:
    """The same as a Request of remote write 2.0, with metadata of each series."""
    request, symbols = Request(), {"": 0}
    for labels, samples in series:
        one = request.timeseries.add()
        for word in (word for pair in sorted(labels.items()) for word in pair):
            one.labels_refs.append(symbols.setdefault(word, len(symbols)))
        for timestamp, number in samples:
            one.samples.add(timestamp=timestamp, value=number)
        one.metadata.type = 2
        one.metadata.help_ref = symbols.setdefault("what it is", len(symbols))
    request.symbols.extend(symbols)
    return request


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
