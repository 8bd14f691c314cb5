"""Prometheus remote write: what is read of a request, what is stored of it, and what the sender is told."""

from __future__ import annotations

import contextlib
import math
import struct
from datetime import timedelta

import cramjam
import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from assets.metrics.labelled import NotASeries
from assets.metrics.protocols import label_sets, remote_write
from assets.metrics.wire import Malformed, TooLarge
from assets.models import AgentKey, InfrastructureAsset, MetricSeries
from tests.prometheus import WriteRequest, snappy, write_request
from wedsync_monitor import tokens
from wedsync_monitor.policy import Role

URL = "/api/v1/write"
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
labels = st.dictionaries(words, words, max_size=5).map(lambda some: {"__name__": "m"} | some)
millis = st.one_of(st.integers(1_700_000_000_000, 1_900_000_000_000), st.integers(-(2**63), 2**63 - 1))
samples = st.lists(st.tuples(millis, st.floats()), max_size=3)
requests = st.lists(st.tuples(labels, samples), max_size=8)


def read(body: bytes) -> list[tuple[bytes, int, bytes]]:
    """(label set, time, value's bits) of each sample."""
    found = remote_write.decode(body).labelled
    assert found is not None
    rows = zip(found.origin.tolist(), found.timestamps.tolist(), found.values.tolist(), strict=True)
    return sorted((found.names[origin], at, struct.pack("<d", value)) for origin, at, value in rows)


@given(requests)
def test_what_protobuf_writes_is_read_as_it_was(series):
    message = write_request(series)
    expected = []
    for one in message.timeseries:
        bare = type(one)(labels=one.labels).SerializeToString()
        expected += [(bare, sample.timestamp, struct.pack("<d", sample.value)) for sample in one.samples]
    body = message.SerializeToString()
    first, again = read(body), read(body)  # the second time every label set is known
    assert first == sorted(expected)
    assert again == first


@given(labels)
def test_labels_are_read_as_protobuf_wrote_them(given_labels):
    body = write_request([(given_labels, [(1, 1.0)])]).SerializeToString()
    found = remote_write.decode(body).labelled
    assert found is not None
    try:
        named = found.describe(found.names[0])
    except NotASeries:
        return
    named_by = {"asset", "host", "host.name"} & set(given_labels)
    if not named_by:
        assert {"__name__": named.key.metric_name, **named.key.labels} == given_labels


@given(requests, st.data())
def test_a_damaged_request_is_malformed_and_nothing_worse(series, data):
    body = bytearray(write_request(series).SerializeToString())
    for _ in range(data.draw(st.integers(0, 4))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    try:
        found = remote_write.decode(cut).labelled
    except Malformed:
        return
    assert found is not None
    for number in set(found.origin.tolist()):
        try:
            found.describe(found.names[number])
        except NotASeries:
            continue


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_malformed(body):
    with contextlib.suppress(Malformed):
        remote_write.decode(body)


@given(st.integers(1, 5), st.data())
def test_usual_series_are_read_at_once_whatever_their_values_and_labels(series, data):
    """Values may look like the end of a series, and labels may be long."""
    odd = struct.unpack("<d", bytes([0x12, 0x10, 0x09, 0, 0, 0, 0, 0x0A]))[0]
    values = st.sampled_from([0.5, odd, math.inf])
    text = st.sampled_from(["short", "x" * 127, "y" * 300, "\x12\x10\x09--------\x10-----\x01"])
    given_series = [
        ({"__name__": f"m{number}", "path": data.draw(text)}, [(1_790_000_000_000 + number, data.draw(values))])
        for number in range(series)
    ]
    message = write_request(given_series)
    found = remote_write.decode(message.SerializeToString()).labelled
    assert found.timestamps.tolist() == [samples[0][0] for _, samples in given_series]
    assert found.values.tolist() == [samples[0][1] for _, samples in given_series]
    assert [label_sets.read(name) for name in found.names] == [labels for labels, _ in given_series]


def test_too_many_samples_are_too_large(monkeypatch):
    monkeypatch.setattr(remote_write, "MAX_SAMPLES_PER_REQUEST", 2)
    body = write_request([({"__name__": "m"}, [(1, 1.0), (2, 2.0)])]).SerializeToString()
    with pytest.raises(TooLarge):
        remote_write.decode(body)


@pytest.fixture
def send(committed, token):
    def post(series, secret=token, content_type="application/x-protobuf", raw=None, **headers):
        body = snappy(write_request(series).SerializeToString()) if raw is None else raw
        named = {"Authorization": f"Bearer {secret}", "Content-Encoding": "snappy"} | headers
        return Client().post(URL, body, content_type, headers=named)

    return post


@pytest.fixture
def at(now):
    """Milliseconds some seconds ago."""
    return lambda seconds=0: int((now - timedelta(seconds=seconds)).timestamp() * 1000)


def up(name="up", **more):
    return {"__name__": name, "instance": "web-01:9100"} | more


def test_samples_are_stored_and_answered_with_no_content(send, asset, stored, at):
    asset("web-01")
    series = [(up(job="node"), [(at(20), 1.0), (at(10), 0.0)]), (up("load"), [(at(), 2.5)])]
    for _ in range(2):
        answer = send(series)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer["X-Prometheus-Remote-Write-Samples-Written"] == "3"
    assert stored() == {
        ("web-01", "up{instance=web-01:9100,job=node}"): [1.0, 0.0],
        ("web-01", "load{instance=web-01:9100}"): [2.5],
    }


def test_samples_of_many_hosts_go_to_their_assets(send, asset, stored, at):
    for name in ("web-01", "db-01"):
        asset(name)
    series = [({"__name__": name, "host": host}, [(at(), 1.0)]) for host in ("web-01", "db-01") for name in "ab"]
    assert send(series).status_code == 204
    assert set(stored()) == {("web-01", "a"), ("web-01", "b"), ("db-01", "a"), ("db-01", "b")}


def test_a_suffix_makes_a_counter(send, asset, at):
    asset("web-01")
    send([(up(name), [(at(), 1.0)]) for name in ("requests_total", "x_bucket", "x_sum", "x_count", "load")])
    kinds = dict(MetricSeries.objects.values_list("metric_name", "metric_type"))
    assert kinds.pop("load") == "gauge"
    assert set(kinds.values()) == {"counter"}


def test_the_good_is_kept_and_the_bad_is_told_without_asking_for_a_retry(send, asset, stored, at):
    asset("web-01")
    answer = send([
        (up(), [(at(), 1.0)]),
        ({"__name__": "up", "instance": "nobody:9100"}, [(at(), 1.0), (at(1), 1.0)]),
        (up(""), [(at(), 1.0)]),
        (up("future"), [(at(-3600), 1.0)]),
        (up("infinite"), [(at(), math.inf)]),
        ({"__name__": "up"}, [(at(), 1.0)]),
        (up("long", path="x" * 1000), [(at(), 1.0)]),
    ])  # fmt: skip
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain; charset=utf-8")
    said = answer.content.decode()
    assert said.startswith("7 refused, 1 samples stored; ")
    assert "series 1: asset: no asset has the id or name 'nobody'" in said
    assert "\n" not in said
    assert stored() == {("web-01", "up{instance=web-01:9100}"): [1.0]}


def test_an_asset_that_was_made_later_is_found(send, asset, stored, at):
    asset("web-01")
    new = {"__name__": "up", "host": "new-01"}
    assert send([(new, [(at(), 1.0)])]).status_code == 400
    asset("new-01")
    assert send([(new, [(at(), 1.0)])]).status_code == 204
    assert stored() == {("new-01", "up"): [1.0]}


def test_an_asset_that_was_renamed_no_longer_takes_the_old_name(send, asset, stored, at):
    from assets.metrics import owners

    web = asset("web-01")
    old = {"__name__": "up", "host": "web-01"}
    assert send([(old, [(at(1), 1.0)])]).status_code == 204
    InfrastructureAsset.objects.filter(pk=web.pk).update(asset_name="web-02")
    owners.forget()
    assert send([(old, [(at(), 2.0)])]).status_code == 400
    asset("web-01")
    assert send([(old, [(at(), 3.0)])]).status_code == 204
    assert stored() == {("web-02", "up"): [1.0], ("web-01", "up"): [3.0]}


def test_stale_markers_are_no_samples(send, asset, stored, at):
    asset("web-01")
    assert send([(up(), [(at(10), 1.0)])]).status_code == 204
    for _ in range(2):
        assert send([(up(), [(at(), STALE)]), (up("gone"), [(at(), STALE)])]).status_code == 204
    assert stored() == {("web-01", "up{instance=web-01:9100}"): [1.0]}
    assert not MetricSeries.objects.filter(metric_name="gone").exists()


def test_out_of_order_and_repeated_samples_count_as_written(send, asset, stored, at):
    asset("web-01")
    for seconds in (5, 20, 5, 10):
        assert send([(up(), [(at(seconds), float(seconds))])]).status_code == 204
    assert stored() == {("web-01", "up{instance=web-01:9100}"): [20.0, 10.0, 5.0]}


def test_metadata_is_passed_over(send, asset, stored, at):
    asset("web-01")
    message = write_request([(up(), [(at(), 1.0)])])
    message.metadata.add(type=1, metric_family_name="up")
    assert send([], raw=snappy(message.SerializeToString())).status_code == 204
    only = WriteRequest()
    only.metadata.add(type=1, metric_family_name="up")
    assert send([], raw=snappy(only.SerializeToString())).status_code == 204
    assert list(stored().values()) == [[1.0]]


def test_native_histograms_are_refused_by_themselves(send, asset, stored, at):
    asset("web-01")
    message = write_request([(up(), [(at(), 1.0)]), (up("latency"), [])])
    message.timeseries[1].histograms.append(b"")
    answer = send([], raw=snappy(message.SerializeToString()))
    assert answer.status_code == 400
    assert b"native histograms" in answer.content
    assert list(stored().values()) == [[1.0]]


def test_an_agents_key_writes_its_own_asset_only(send, key, asset, stored, at):
    asset("db-01")
    local = [({"__name__": "a", "instance": "localhost:9100"}, [(at(), 1.0)]), ({"__name__": "b"}, [(at(), 2.0)])]
    assert send(local, secret=key).status_code == 204
    mixed = [({"__name__": "c", "host": host}, [(at(), 3.0)]) for host in ("web-01", "db-01")]
    answer = send(mixed, secret=key)
    assert answer.status_code == 400
    assert b"own asset" in answer.content
    assert stored() == {
        ("web-01", "a{instance=localhost:9100}"): [1.0],
        ("web-01", "b"): [2.0],
        ("web-01", "c"): [3.0],
    }


def test_what_a_person_sent_opens_nothing_to_an_agent(send, key, asset, at):
    """The bytes of a label set are remembered for the one who may write it, not for all."""
    asset("db-01")
    series = [({"__name__": "m", "host": "db-01"}, [(at(), 1.0)])]
    assert send(series).status_code == 204
    assert send(series, secret=key).status_code == 400


def test_a_revoked_key_stores_nothing_from_then_on(send, key, stored, at, now):
    assert send([({"__name__": "a"}, [(at(1), 1.0)])], secret=key).status_code == 204
    AgentKey.objects.update(revoked_at=now)
    assert send([({"__name__": "a"}, [(at(), 1.0)])], secret=key).status_code == 401
    assert list(stored().values()) == [[1.0]]


def test_who_may_not_send_stores_nothing(send, asset, person, stored, at, now):
    asset("web-01")
    series = [(up(), [(at(), 1.0)])]
    assert send(series, secret="wst_wrong").status_code == 401
    assert send(series, secret=tokens.issue(person(Role.VIEWER), "test", now)).status_code == 403
    assert stored() == {}


@pytest.mark.parametrize(
    ("raw", "content_type", "code"),
    [
        (b"", "application/x-protobuf", 400),
        (b"not snappy", "application/x-protobuf", 400),
        (snappy(b"not protobuf"), "application/x-protobuf", 400),
        (snappy(b"\x0a\xff"), "application/x-protobuf", 400),
        (snappy(b""), "application/json", 415),
        (snappy(b""), "application/x-protobuf;proto=io.prometheus.write.v3.Request", 415),
        (snappy(b""), "application/x-protobuf;proto=prometheus.WriteRequest", 204),
        (bytes(cramjam.snappy.compress_raw(bytes(33 * 1024 * 1024))), "application/x-protobuf", 413),
        (b"\xff\xff\xff\xff\x0f", "application/x-protobuf", 413),
    ],
)
def test_bodies_that_cannot_be_used_get_a_clear_answer(send, raw, content_type, code):
    answer = send([], raw=raw, content_type=content_type)
    assert answer.status_code == code
    assert bool(answer.content) == (code != 204)
