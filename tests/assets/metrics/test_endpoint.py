"""POST /api/monitoring/metrics: what is kept, what is refused, and how that is said."""

from __future__ import annotations

import gzip
import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
import zstandard
from django.test import Client

from assets.authentication import issue_key
from assets.metrics import committing, endpoint
from assets.metrics.query import SeriesSelector, read
from assets.models import AgentKey, MonitoringAgent
from wedsync_monitor import counters, tokens
from wedsync_monitor.connections import conninfo
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")
URL = "/api/monitoring/metrics"


@pytest.fixture
def send(person, now):
    secret = tokens.issue(person(Role.SRE), "test", now)

    def post(body: Any, secret: str = secret, content_type: str = "application/json", **headers: str):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Client().post(URL, raw, content_type, headers={"Authorization": f"Bearer {secret}", **headers})

    return post


@pytest.fixture
def agent_key(asset, now):
    agent = MonitoringAgent.objects.create(agent_name="on web-01", asset=asset("web-01"))
    return issue_key(agent, now)


def stored(now: datetime, *names: str) -> dict[str, list[float]]:
    samples = read(SeriesSelector(names), now - timedelta(days=30), now + timedelta(minutes=10))
    return {series.title(): samples.of(place)[1].tolist() for place, series in enumerate(samples.series)}


def columnar(names: list[str], timestamps: list[int], rows: list[list[float]]) -> bytes:
    flat = [value for row in rows for value in row]
    batch = {
        "series": [[name, "gauge", "", {}] for name in names],
        "timestamps": struct.pack(f"<{len(timestamps)}q", *timestamps),
        "values": struct.pack(f"<{len(flat)}d", *flat),
    }
    return msgspec.msgpack.encode({"v": 1, "batches": [batch]})


def test_one_sample_is_stored_before_it_is_acknowledged(send, asset, now):
    web = asset("web-01")
    answer = send({"asset_id": str(web.pk), "metric_name": "cpu_usage_percent", "metric_value": 42.5})
    assert (answer.status_code, answer.json()) == (200, {"success": True, "accepted": 1, "rejected": []})
    assert stored(now) == {"cpu_usage_percent": [42.5]}


def test_an_asset_may_be_named_by_its_name(send, asset, now):
    asset("web-01")
    assert send({"asset_id": "web-01", "metric_name": "m", "metric_value": 1}).status_code == 200
    assert send({"asset_name": "web-01", "metric_name": "n", "metric_value": 2}).status_code == 200
    assert stored(now) == {"m": [1.0], "n": [2.0]}


def test_a_bad_sample_is_refused_by_itself_and_the_rest_is_kept(send, asset, now):
    asset("web-01")
    good = {"asset_name": "web-01", "metric_name": "m", "metric_value": 1}
    bad: list[dict[str, Any]] = [
        good | {"metric_value": "high"},
        good | {"metric_name": ""},
        good | {"metric_type": "speed"},
        good | {"colour": "red"},
        good | {"asset_name": "nobody"},
        good | {"collection_timestamp": (now + timedelta(hours=1)).isoformat()},
        good | {"collection_timestamp": "1999-01-01T00:00:00Z"},
        good | {"collection_timestamp": "2026-01-01T00:00:00"},
        good | {"metric_labels": {"mount": 3}},
        good | {"data_quality_score": 7},
        {"metric_name": "m", "metric_value": 1},
    ]
    answer = send({"metrics": [*bad, good]})
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1
    refused = {one["index"]: one["field"] for one in answer.json()["rejected"]}
    assert refused == {
        0: "metric_value",
        1: "metric_name",
        2: "metric_type",
        3: "colour",
        4: "asset_id",
        5: "collection_timestamp",
        6: "collection_timestamp",
        7: "collection_timestamp",
        8: "metric_labels",
        9: "data_quality_score",
        10: "asset_id",
    }
    assert stored(now) == {"m": [1.0]}


def test_refusals_are_in_order_and_say_how_many_there_are(send, asset, monkeypatch):
    monkeypatch.setattr(endpoint, "MAX_REFUSALS_SHOWN", 2)
    asset("web-01")
    good = {"asset_name": "web-01", "metric_name": "m", "metric_value": 1}
    bad = [good | {"asset_name": "nobody"}, good | {"metric_type": "speed"}, good | {"metric_name": ""}]
    answer = send({"metrics": [*bad, good]}).json()
    assert ([one["index"] for one in answer["rejected"]], answer["rejected_total"]) == ([0, 1], 3)
    assert "the first 2 of 3" in send({"metrics": bad}).json()["detail"]


@pytest.mark.parametrize(
    ("fault", "field", "advice"),
    [
        ({"timestamp": 1}, "timestamp", "send collection_timestamp instead"),
        ({"colour": "red"}, "colour", "metric_name, metric_value, asset_id"),
        ({"metric_value": "12"}, "metric_value", "send a finite number"),
        ({"metric_labels": {"mount": 3}}, "metric_labels", "values are texts"),
        ({"metric_type": "speed"}, "metric_type", "gauge, counter, histogram, summary"),
        ({"collection_method": 7}, "collection_method", "agent, push, pull, synthetic"),
        ({"collection_timestamp": "yesterday"}, "collection_timestamp", "ISO 8601"),
    ],
)
def test_a_refusal_names_the_field_and_what_to_send_instead(send, asset, fault, field, advice):
    asset("web-01")
    answer = send({"asset_name": "web-01", "metric_name": "m", "metric_value": 1} | fault)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert advice in answer.json()["detail"]
    assert ": :" not in answer.json()["detail"]


def test_a_field_that_is_missing_is_named(send, asset):
    asset("web-01")
    answer = send({"asset_name": "web-01", "metric_name": "m"}).json()
    assert (answer["errors"][0]["field"], answer["detail"]) == (
        "metric_value", "No sample was taken: metric_value: this is missing; send a finite number",
    )  # fmt: skip


def test_an_id_and_a_name_of_different_assets_are_refused(send, asset, now):
    web, other = asset("web-01"), asset("db-01")
    sample = {"asset_id": str(web.pk), "metric_name": "m", "metric_value": 1}
    answer = send({"metrics": [sample | {"asset_name": other.asset_name}, sample | {"asset_name": "web-01"}]})
    assert answer.json()["accepted"] == 1
    assert [(one["index"], one["field"]) for one in answer.json()["rejected"]] == [(0, "asset_id")]
    assert "same asset" in answer.json()["rejected"][0]["reason"]


def test_nan_costs_only_its_own_sample(send, asset, now):
    asset("web-01")
    body = b'{"metrics": [{"asset_name": "web-01", "metric_name": "m", "metric_value": NaN}, '
    body += b'{"asset_name": "web-01", "metric_name": "m", "metric_value": 3}]}'
    answer = send(body)
    assert (answer.json()["accepted"], answer.json()["rejected"][0]["field"]) == (1, "metric_value")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[]", 400),
        (b"3", 400),
        (b'{"metrics": 3}', 400),
        (b'{"metrics": [3]}', 400),
        (b'{"metrics": []}', 400),
        (b"[" * 100_000, 400),
        (b'{"metrics": [], "more": 1}', 400),
        (b" " * (9 * 1024 * 1024), 413),
        (b'{"metric_name": "m\\u0000", "metric_value": 1, "asset_name": "web-01"}', 400),
        (b'{"metric_name": "m", "metric_value": 1, "asset_name": "web\\u0000"}', 400),
    ],
)
def test_bodies_that_cannot_be_used_get_a_clear_answer(send, body, code):
    answer = send(body)
    assert answer.status_code == code
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_a_bomb_is_not_unpacked(send):
    bomb = gzip.compress(b" " * (40 * 1024 * 1024))
    assert send(bomb, **{"Content-Encoding": "gzip"}).status_code == 413
    bomb = zstandard.compress(b" " * (40 * 1024 * 1024))
    assert send(bomb, **{"Content-Encoding": "zstd"}).status_code == 413
    assert send(b"x", **{"Content-Encoding": "gzip"}).status_code == 400
    assert send(b"x", **{"Content-Encoding": "br"}).status_code == 415


def test_other_media_types_and_methods_are_named(send):
    assert send(b"<xml/>", content_type="application/xml").status_code == 415
    assert Client().get(URL).status_code == 405


def test_without_a_valid_credential_nothing_is_stored(send, asset, now, person):
    asset("web-01")
    sample = {"asset_name": "web-01", "metric_name": "m", "metric_value": 1}
    assert Client().post(URL, sample, "application/json").json()["detail"].startswith("Send Authorization")
    assert "is unknown" in send(sample, secret="wst_wrong").json()["detail"]
    assert send(sample, secret="wst_wrong").status_code == 401
    assert send(sample, secret="wsa_wrong").status_code == 401
    viewer = tokens.issue(person(Role.VIEWER), "test", now)
    assert send(sample, secret=viewer).status_code == 403
    assert stored(now) == {}


def test_the_columnar_form_is_stored_as_it_was_sent(send, agent_key, now):
    start = int(now.timestamp() * 1000) - 10_000
    body = columnar(["cpu", "memory"], [start, start + 1000], [[1.5, 2.5], [3.5, float("nan")]])
    packed = zstandard.compress(body)
    answer = send(packed, agent_key[1], "application/msgpack", **{"Content-Encoding": "zstd"})
    assert answer.json() == {"success": True, "accepted": 3, "rejected": []}
    assert stored(now) == {"cpu": [1.5, 3.5], "memory": [2.5]}


def test_sending_twice_is_harmless(send, agent_key, now):
    start = int(now.timestamp() * 1000) - 10_000
    body = columnar(["cpu"], [start, start + 1000], [[1.0], [2.0]])
    for _ in range(2):
        assert send(body, agent_key[1], "application/msgpack").status_code == 200
    more = columnar(["cpu"], [start + 1000, start + 2000], [[2.0], [3.0]])
    assert send(more, agent_key[1], "application/msgpack").status_code == 200
    assert stored(now) == {"cpu": [1.0, 2.0, 3.0]}


def test_a_bad_columnar_batch_is_refused_by_itself(send, agent_key, now):
    start = int(now.timestamp() * 1000)
    good = msgspec.msgpack.decode(columnar(["cpu"], [start], [[1.0]]))["batches"][0]
    bad = [good | {"values": b"123"}, good | {"series": []}, good | {"series": [["x", "y", "", {}]]}]
    body = msgspec.msgpack.encode({"v": 1, "batches": [*bad, good]})
    answer = send(body, agent_key[1], "application/msgpack").json()
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (1, [0, 1, 2])


def test_an_agent_writes_its_own_asset_only(send, agent_key, asset, now):
    asset("db-01")
    answer = send({"asset_name": "db-01", "metric_name": "m", "metric_value": 1}, secret=agent_key[1])
    assert answer.status_code == 400
    assert "own asset" in answer.json()["detail"]
    assert send({"metric_name": "m", "metric_value": 1}, secret=agent_key[1]).status_code == 200
    assert stored(now) == {"m": [1.0]}


def test_a_revoked_key_stores_nothing_from_then_on(send, agent_key, now):
    sample = {"metric_name": "m", "metric_value": 1}
    assert send(sample, secret=agent_key[1]).status_code == 200
    AgentKey.objects.update(revoked_at=now)
    assert send(sample, secret=agent_key[1]).status_code == 401
    assert len(stored(now)["m"]) == 1


def test_labels_tell_series_apart_and_their_order_does_not(send, asset, now):
    asset("web-01")
    base = {"asset_name": "web-01", "metric_name": "disk", "metric_value": 1}
    stamps = [(now - timedelta(seconds=age)).isoformat() for age in (3, 2, 1)]
    labels = [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "1"}]
    samples = [base | {"collection_timestamp": t, "metric_labels": one} for t, one in zip(stamps, labels, strict=True)]
    assert send({"metrics": samples}).json()["accepted"] == 3
    assert {title: len(values) for title, values in stored(now).items()} == {
        "disk{a=1,b=2}": 2,
        "disk{a=1}": 1,
    }


def test_the_view_has_the_columns_that_the_specification_names(send, asset, now):
    from assets.models import InfrastructureMetric

    asset("web-01")
    send({"asset_name": "web-01", "metric_name": "m", "metric_value": 1.25, "metric_unit": "percent"})
    row = InfrastructureMetric.objects.get()
    assert (row.metric_name, float(row.metric_value), row.metric_unit) == ("m", 1.25, "percent")
    assert row.collection_method == "push"
    assert abs(row.collection_timestamp - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_bad_series_of_a_batch_is_refused_by_itself(send, agent_key, now):
    stamp = int(now.timestamp() * 1000)
    batch = {
        "series": [
            ["cpu", "gauge", "", {}],
            ["cpu", "gauge", "", {"path": "x" * 501}],
            ["memory", "gauge", "", {}],
            ["cpu", "gauge", "", {}],
        ],
        "timestamps": struct.pack("<q", stamp),
        "values": struct.pack("<4d", 1.0, 2.0, 3.0, 4.0),
    }
    body = msgspec.msgpack.encode({"v": 1, "batches": [batch]})
    answer = send(body, agent_key[1], "application/msgpack")
    assert answer.json()["accepted"] == 2
    assert [one["field"] for one in answer.json()["rejected"]] == ["series[1].metric_labels.path", "series[3].series"]
    assert stored(now, "cpu", "memory") == {"cpu": [1.0], "memory": [3.0]}


def test_infinite_values_of_a_batch_are_refused_and_the_others_kept(send, agent_key, now):
    stamp = int(now.timestamp() * 1000)
    body = columnar(["a", "b"], [stamp, stamp + 1], [[1.0, float("inf")], [float("-inf"), 4.0]])
    answer = send(body, agent_key[1], "application/msgpack")
    assert answer.json()["accepted"] == 2
    assert "2 values are infinite" in answer.json()["rejected"][0]["reason"]
    assert stored(now, "a", "b") == {"a": [1.0], "b": [4.0]}


@pytest.mark.parametrize(
    "body",
    [
        b'{"metric_name": "m\xff", "metric_value": 1, "asset_name": "web-01"}',
        b'{"metric_name": "m", "metric_value": 1, "asset_name": "web-01", "metric_unit": "\\ud800"}',
        b'{"metric_name": "m", "metric_value": 1, "asset_name": "web-01", "metric_labels": {"a": "\\ud800"}}',
        b'{"metric_name": "m", "metric_value": 1, "asset_name": "\\ud800"}',
    ],
)
def test_text_that_is_no_unicode_is_refused(send, asset, body):
    asset("web-01")
    assert send(body).status_code == 400


def test_a_series_list_that_is_no_unicode_is_refused(send, agent_key, now):
    stamp = struct.pack("<q", int(now.timestamp() * 1000))
    series = b"\x91\x94\xa2m\xff\xa5gauge\xa0\x80"
    body = b"\x82\xa1v\x01\xa7batches\x91\x83\xa6series" + series
    body += b"\xaatimestamps\xc4\x08" + stamp + b"\xa6values\xc4\x08" + bytes(8)
    assert send(body, agent_key[1], "application/msgpack").status_code == 400


def test_whoever_was_deactivated_stores_nothing_from_then_on(send, person, asset, now):
    asset("web-01")
    ann = person(Role.SRE, username="ann")
    secret = tokens.issue(ann, "hers", now)
    sample = {"asset_name": "web-01", "metric_name": "m", "metric_value": 1}
    assert send(sample, secret).status_code == 200
    ann.is_active = False
    ann.save()
    assert send(sample, secret).status_code == 401


def test_a_committer_survives_what_nobody_thought_of(send, asset, monkeypatch, now):
    asset("web-01")
    sample = {"asset_name": "web-01", "metric_name": "m", "metric_value": 1}
    assert send(sample).status_code == 200
    own = committing.committer()
    monkeypatch.setattr(own, "_conninfo", {"port": object()})
    assert own._connection is not None
    own._connection.close()
    assert send(sample).status_code == 503
    monkeypatch.undo()
    assert send(sample | {"metric_value": 2}).status_code == 200


def test_what_came_in_is_counted_by_way_and_code(send, asset):
    asset("web-01")
    good = {"asset_name": "web-01", "metric_name": "m", "metric_value": 1}
    counters.take()
    send({"metrics": [good, good | {"metric_name": "n"}, good | {"metric_value": "high"}]})
    send(b"{", content_type="application/json")
    send(good, secret="wsa_of_nobody")
    counted = counters.take()
    assert counted.pop(counters.key("wedsync_ingest_commit_wait_seconds_total")) > 0
    assert counted == {
        counters.key("wedsync_ingest_requests_total", way="wedsync", code="200"): 1,
        counters.key("wedsync_ingest_requests_total", way="wedsync", code="400"): 1,
        counters.key("wedsync_ingest_requests_total", way="wedsync", code="401"): 1,
        counters.key("wedsync_ingest_samples_total", way="wedsync"): 2,
        counters.key("wedsync_ingest_refused_total", way="wedsync"): 1,
        counters.key("wedsync_ingest_commits_total"): 1,
    }


def test_connections_that_a_server_left_behind_cost_no_sample(send, asset, now):
    asset("web-01")
    sample = {"asset_name": "web-01", "metric_name": "m", "metric_value": 1}
    assert send(sample).status_code == 200
    held = [committing.lookup_connection(), committing.committer()._connection]
    with psycopg.connect(**conninfo(), autocommit=True) as admin:
        for one in held:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [one.info.backend_pid])
    assert send(sample | {"metric_name": "n"}).status_code == 200
    assert stored(now) == {"m": [1.0], "n": [1.0]}
