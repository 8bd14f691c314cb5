"""How the Prometheus HTTP API answers where nothing is stored: values, errors, compression, and who may ask."""

from __future__ import annotations

import base64
import gzip

import pytest

from tests.assets.metrics.promql.grafana import Grafana
from wedsync_monitor import tokens
from wedsync_monitor.policy import Role


def test_what_grafana_asks_when_it_is_set_up(grafana):
    one = grafana.client.post("/api/v1/query", {"query": "1+1", "time": "4"})
    assert one.json()["data"] == {"resultType": "scalar", "result": [4, "2"]}
    assert grafana.ask("status/buildinfo")["version"]
    assert grafana.ask("rules") == {"groups": []}
    assert grafana.ask("alerts") == {"alerts": []}
    assert grafana.ask("query_exemplars", query="up") == []
    assert grafana.ask("format_query", query="sum( up)by(job)") == "sum by (job) (up)"
    assert grafana.ask("query", query='"text"', time="2026-01-02T03:04:05.5Z") == {
        "resultType": "string", "result": [1767323045.5, "text"],
    }  # fmt: skip


def test_the_ends_of_numbers(grafana):
    given = {"1/0": "+Inf", "-1/0": "-Inf", "0/0": "NaN", "1e300*10": "1e+301", "0.1+0.2": "0.30000000000000004"}
    for query, written in given.items():
        assert grafana.ask("query", query=query, time=0)["result"][1] == written
        (row,) = grafana.ask("query_range", query=query, start=0, end=1, step=1)["result"]
        assert [value.replace("e3", "e+3") for _, value in row["values"]] == [written] * 2


@pytest.mark.parametrize(
    ("path", "given", "answer"),
    [
        ("query", {}, (400, "bad_data", "no expression")),
        ("query", {"query": "up{"}, (400, "bad_data", "1:4: parse error: expected a label's name")),
        ("query", {"query": 'up{a=~"("}'}, (400, "bad_data", "invalid regular expression")),
        ("query", {"query": 'label_replace(up, "a", "b", "c", "(")'}, (200, "", "")),
        ("query", {"query": 'label_replace(vector(1), "a", "b", "c", "(")'}, (400, "bad_data", "regular expression")),
        ("query", {"query": "up", "time": "yesterday"}, (400, "bad_data", 'parameter "time"')),
        ("query", {"query": "up", "time": "1e99"}, (400, "bad_data", 'parameter "time"')),
        ("query", {"query": "up", "time": "-1"}, (400, "bad_data", 'parameter "time"')),
        ("query", {"query": "up\0"}, (400, "bad_data", "NUL")),
        ("query_range", {"query": "up"}, (400, "bad_data", 'parameter "start"')),
        ("query_range", {"query": "up", "start": 2, "end": 1, "step": 1}, (400, "bad_data", "before start")),
        ("query_range", {"query": "up", "start": 1, "end": 2, "step": 0}, (400, "bad_data", 'parameter "step"')),
        ("query_range", {"query": "up", "start": 1, "end": 2, "step": "nan"}, (400, "bad_data", 'parameter "step"')),
        ("query_range", {"query": "up", "start": 0, "end": 11000, "step": 1}, (400, "bad_data", "11,000 points")),
        ("query_range", {"query": "up[5m]", "start": 1, "end": 2, "step": 1}, (400, "bad_data", "range vector")),
        ("series", {}, (400, "bad_data", "match[]")),
        ("series", {"match[]": "rate(up[5m])"}, (400, "bad_data", "series selector")),
        ("labels", {"limit": "-1"}, (400, "bad_data", "limit")),
    ],
)
def test_what_cannot_be_answered_is_told_as_prometheus_does(grafana, path, given, answer):
    if answer[0] == 200:
        assert grafana.ask(path, **given)["result"] == []
        return
    code, kind, reason = grafana.refused(path, **given)
    assert (code, kind) == answer[:2]
    assert answer[2] in reason


def test_long_answers_are_compressed_for_those_who_take_it(grafana):
    asked = {"query": "time()", "start": 0, "end": 10_000, "step": 1}
    plain = grafana.client.get("/api/v1/query_range", asked)
    packed = grafana.client.get("/api/v1/query_range", asked, headers={"Accept-Encoding": "deflate, gzip"})
    refused = grafana.client.get("/api/v1/query_range", asked, headers={"Accept-Encoding": "gzip;q=0"})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content == refused.content


def test_a_token_may_be_a_basic_password_and_reading_is_enough(person, now):
    viewer = person(Role.VIEWER)
    secret = tokens.issue(viewer, "grafana", now, scope="read")
    basic = base64.b64encode(f"anything:{secret}".encode()).decode()
    for client in (Grafana(secret), Grafana(basic, "Basic")):
        assert client.ask("query", query="1")["result"][1] == "1"
        assert client.client.post("/api/v1/query", {"query": "1"}).status_code == 200


def test_who_may_not_read_is_told_so(person, now):
    metrics = Grafana(tokens.issue(person(Role.SRE), "agent", now, scope="metrics"))
    assert metrics.refused("query", query="1")[:2] == (403, "forbidden")
    stranger = Grafana(tokens.issue(person(), "nobody", now))
    assert stranger.refused("query", query="1")[:2] == (403, "forbidden")
    for wrong in (Grafana("wst_wrong"), Grafana("!", "Basic"), Grafana("bm9wYXNz", "Basic")):
        assert wrong.refused("query", query="1")[:2] == (401, "unauthorized")
