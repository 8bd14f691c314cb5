"""Names and labels that a series may have: none that queries or addresses would take for something else."""

from __future__ import annotations

import json

import msgspec
import pytest

from assets.metrics import columnar, wire
from assets.metrics.identity import SeriesKey
from assets.metrics.labelled import NotASeries
from assets.metrics.protocols import line_protocol


def decoded(*label_sets: dict[str, str]) -> wire.Decoded:
    samples = [{"metric_name": "m", "metric_value": 1, "metric_labels": labels} for labels in label_sets]
    return wire.decode_json(json.dumps({"metrics": samples}).encode(), 0)


@pytest.mark.parametrize("name", ["asset", "__name__"])
def test_labels_that_queries_replace_are_refused(name):
    (refusal,) = decoded({name: "A1"}).refusals
    assert refusal.field == f"metric_labels.{name}"
    assert "under another name" in refusal.reason
    batch = {"series": [["m", "gauge", "", {name: "A1"}]], "timestamps": bytes(8), "values": bytes(8)}
    (refusal,) = columnar.decode(msgspec.msgpack.encode({"v": 1, "batches": [batch]})).refusals
    assert refusal.field == f"series[0].metric_labels.{name}"


def test_a_tag_that_queries_replace_is_refused():
    with pytest.raises(NotASeries, match="under another name"):
        line_protocol.describe((b"m,host=web-01,__name__=x", b"value"))


@pytest.mark.parametrize("name", [".", "..", "a/../b"])
def test_a_name_that_an_address_cannot_hold_is_refused(name):
    assert SeriesKey(name).problem() == ("metric_name", "send a name without . and .. between slashes")


def test_an_empty_label_is_none_as_it_is_in_queries():
    first, second = decoded({"a": ""}, {}).samples
    assert first.key.fingerprint == second.key.fingerprint
