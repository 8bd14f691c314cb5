"""Prometheus remote write 2.0: what is read of a request, what is stored of it, and what the sender is told."""

from __future__ import annotations

import contextlib
import struct
from datetime import timedelta

import pytest
from django.test import Client
from hypothesis import given

from assets.metrics.labelled import NotASeries
from assets.metrics.protocols import label_sets, remote_write_2
from assets.metrics.wire import Malformed, TooLarge
from assets.models import MetricSeries
from tests.assets.metrics.protocols.test_remote_write import STALE, requests
from tests.prometheus import Request, request_2, snappy, write_request

URL = "/api/v1/write"
KIND = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


@given(requests)
def test_what_protobuf_writes_is_read_as_it_was(series):
    decoded = remote_write_2.decode(request_2(series).SerializeToString())
    found = decoded.labelled
    rows = zip(found.origin.tolist(), found.timestamps.tolist(), found.values.tolist(), strict=True)
    read = [(label_sets.read(found.names[origin]), at, struct.pack("<d", value)) for origin, at, value in rows]
    assert read == [(labels, at, struct.pack("<d", value)) for labels, samples in series for at, value in samples]
    assert len(decoded.refusals) == sum(not samples for _, samples in series)


@given(requests)
def test_a_label_set_is_the_one_that_1_0_sends(series):
    found = remote_write_2.decode(request_2(series).SerializeToString()).labelled
    for number, one in enumerate(write_request(series).timeseries):
        if one.samples:
            assert found.names[number] == type(one)(labels=one.labels).SerializeToString()


def test_a_damaged_request_is_malformed_and_nothing_worse():
    body = request_2([({"__name__": "m", "host": "web-01"}, [(1, 2.0)])] * 2).SerializeToString()
    for place in range(len(body)):
        for damaged in (body[:place], body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]):
            with contextlib.suppress(Malformed, NotASeries):
                found = remote_write_2.decode(damaged).labelled
                for number in set(found.origin.tolist()):
                    found.describe(found.names[number])


def test_too_many_samples_are_too_large(monkeypatch):
    monkeypatch.setattr(remote_write_2, "MAX_SAMPLES_PER_REQUEST", 2)
    with pytest.raises(TooLarge):
        remote_write_2.decode(request_2([({"__name__": "m"}, [(1, 1.0), (2, 2.0), (3, 3.0)])]).SerializeToString())


@pytest.fixture
def send(committed, token):
    def post(message, kind=KIND, **headers):
        body = message if isinstance(message, bytes) else snappy(message.SerializeToString())
        named = {"Authorization": f"Bearer {token}", "Content-Encoding": "snappy"} | headers
        return Client().post(URL, body, kind, headers=named)

    return post


@pytest.fixture
def at(now):
    """Milliseconds some seconds ago."""
    return lambda seconds=0: int((now - timedelta(seconds=seconds)).timestamp() * 1000)


def up(name="up", **more):
    return {"__name__": name, "instance": "web-01:9100"} | more


def written(answer):
    return {
        what: answer[f"X-Prometheus-Remote-Write-{what}-Written"] for what in ("Samples", "Histograms", "Exemplars")
    }


def test_samples_are_stored_and_the_answer_says_how_many(send, asset, stored, at):
    asset("web-01")
    message = request_2([(up(job="node"), [(at(20), 1.0), (at(10), 0.0)]), (up("load"), [(at(), 2.5)])])
    message.timeseries[0].created_timestamp = at(3600)
    for _ in range(2):
        answer = send(message)
        assert (answer.status_code, answer.content) == (204, b"")
        assert written(answer) == {"Samples": "3", "Histograms": "0", "Exemplars": "0"}
    assert stored() == {
        ("web-01", "up{instance=web-01:9100,job=node}"): [1.0, 0.0],
        ("web-01", "load{instance=web-01:9100}"): [2.5],
    }


def test_a_sender_that_changes_from_1_0_goes_on_with_its_series(send, asset, stored, at):
    asset("web-01")
    assert send(write_request([(up("x_total"), [(at(10), 1.0)])]), "application/x-protobuf").status_code == 204
    assert send(request_2([(up("x_total"), [(at(), 2.0)])])).status_code == 204
    assert stored() == {("web-01", "x_total{instance=web-01:9100}"): [1.0, 2.0]}
    assert [one.metric_type for one in MetricSeries.objects.all()] == ["counter"]


def test_stale_markers_count_as_written(send, asset, stored, at):
    asset("web-01")
    answer = send(request_2([(up(), [(at(10), 1.0), (at(), STALE)])]))
    assert (answer.status_code, written(answer)["Samples"]) == (204, "2")
    assert list(stored().values()) == [[1.0]]


def test_exemplars_are_passed_over_and_told_as_not_written(send, asset, stored, at):
    asset("web-01")
    message = request_2([(up("x_bucket"), [(at(), 1.0)])])
    message.timeseries[0].exemplars.add(value=1.0, timestamp=at())
    answer = send(message)
    assert (answer.status_code, written(answer)["Exemplars"]) == (204, "0")
    assert list(stored().values()) == [[1.0]]


def test_the_good_is_kept_and_the_bad_is_told_by_series(send, asset, stored, at):
    asset("web-01")
    message = request_2([(up(name), [(at(), 1.0)]) for name in "abcdefg"])
    odd, outside, histogram, empty, unnamed = message.timeseries[1:6]
    odd.labels_refs.append(0)
    outside.labels_refs.extend([1000, 1])
    del histogram.samples[:]
    histogram.histograms.add(count_int=1, timestamp=at())
    histogram.histograms.add(count_int=2, timestamp=at(1))
    del empty.samples[:]
    del unnamed.labels_refs[:]
    answer = send(message)
    said = answer.content.decode()
    assert answer.status_code == 400
    assert said.startswith("6 refused, 2 samples stored; series 1: labels_refs: ")
    assert "series 3: histograms: native histograms are not taken" in said
    assert "series 4: samples: send at least one sample" in said
    assert written(answer) == {"Samples": "2", "Histograms": "0", "Exemplars": "0"}
    assert {series for _, series in stored()} == {"a{instance=web-01:9100}", "g{instance=web-01:9100}"}


def test_samples_of_an_unknown_host_are_not_counted_as_written(send, asset, at):
    asset("web-01")
    nobody = {"__name__": "up", "host": "nobody"}
    answer = send(request_2([(up(), [(at(), 1.0)]), (nobody, [(at(), 1.0), (at(1), 1.0)])]))
    assert (answer.status_code, written(answer)["Samples"]) == (400, "1")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (snappy(b""), 204),
        (b"not snappy", 400),
        (snappy(b"not protobuf"), 400),
        (snappy(Request(symbols=["m"]).SerializeToString()), 400),
        (snappy(write_request([({"__name__": "m"}, [(1, 1.0)])]).SerializeToString()), 400),
    ],
)
def test_bodies_that_cannot_be_used_get_a_clear_answer(send, body, code):
    answer = send(body)
    assert answer.status_code == code
    assert bool(answer.content) == (code != 204)


def test_an_encoding_that_is_not_known_is_told_by_415(send):
    assert send(b"", **{"Content-Encoding": "br"}).status_code == 415
