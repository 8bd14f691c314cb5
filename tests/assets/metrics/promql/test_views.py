"""The Prometheus HTTP API as Grafana uses it: what was sent is found with its labels, limits and errors are told."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from assets.metrics import compaction, ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from tests.prometheus import snappy, write_request
from wedsync_monitor import policy, tokens
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")
NODE = {"__name__": "node_load1", "instance": "web-01:9100", "job": "node", "environment": "green"}
DERIVED = {"asset": "web-01", "asset_type": "server", "host": "web-01"}


class Grafana:
    """A client of /api/v1 with a token."""

    def __init__(self, secret: str, scheme: str = "Bearer"):
        self.client = Client(headers={"Authorization": f"{scheme} {secret}"})

    def ask(self, path: str, **given):
        answer = self.client.get(f"/api/v1/{path}", given)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]

    def refused(self, path: str, **given) -> tuple[int, str, str]:
        answer = self.client.get(f"/api/v1/{path}", given)
        body = answer.json()
        assert body["status"] == "error"
        return answer.status_code, body["errorType"], body["error"]

    def values(self, query: str, moment: datetime) -> dict[str, str]:
        """The values of an instant query by the series' host."""
        found = self.ask("query", query=query, time=moment.timestamp())["result"]
        return {one["metric"].get("host", ""): one["value"][1] for one in found}

    def write(self, series: Iterable[tuple[Mapping[str, str], list[tuple[int, float]]]]) -> None:
        body = snappy(write_request(series).SerializeToString())
        headers = {"Content-Encoding": "snappy"}
        sent = self.client.post("/api/v1/write", body, "application/x-protobuf", headers=headers)
        assert sent.status_code == 204, sent.content


@pytest.fixture
def grafana(person, now) -> Grafana:
    return Grafana(tokens.issue(person(Role.SRE), "grafana", now))


@pytest.fixture
def recent(now) -> datetime:
    return now - timedelta(minutes=1)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def minutely(last: datetime, *values: float) -> list[tuple[int, float]]:
    return [(ms(last) - 60_000 * (len(values) - 1 - place), value) for place, value in enumerate(values)]


def store(asset, last: datetime, name: str, *values: float, kind: str = "gauge", **labels: str) -> None:
    """The last of `values` is reported at `last`, the others a minute apart before it."""
    key = SeriesKey(name, kind, "", labels, "agent")
    samples = [Sample(str(asset.pk), key, at, value) for at, value in minutely(last, *values)]
    assert ingestion.store_samples(samples, last).accepted == len(values)


def test_what_remote_write_sent_is_found_with_its_labels(grafana, asset, recent):
    asset("web-01")
    grafana.write([(NODE, minutely(recent, 1, 2, 3.5))])
    (found,) = grafana.ask("query", query='node_load1{instance="web-01:9100",job="node"}')["result"]
    assert found["metric"] == NODE | DERIVED
    assert found["value"][1] == "3.5"
    ranged = grafana.ask(
        "query_range", query="node_load1", start=recent.timestamp() - 120, end=recent.timestamp(), step="60s"
    )
    start = recent.timestamp() - 120
    assert ranged == {
        "resultType": "matrix",
        "result": [{"metric": NODE | DERIVED, "values": [[start, "1"], [start + 60, "2"], [start + 120, "3.5"]]}],
    }


@pytest.mark.parametrize(
    ("selector", "hosts"),
    [
        ("node_load1", {"web-01", "web-02"}),
        ('node_load1{host="web-01"}', {"web-01"}),
        ('node_load1{asset=~"web-0[1]"}', {"web-01"}),
        ('node_load1{asset!~"(?i)WEB-01"}', {"web-02"}),
        ('node_load1{instance="web-01:9100"}', {"web-01"}),
        ('node_load1{instance="web-02"}', {"web-02"}),
        ('node_load1{instance="web-01"}', set()),
        ('node_load1{job="agent"}', {"web-02"}),
        ('node_load1{job!="agent"}', {"web-01"}),
        ('node_load1{environment="green"}', {"web-01"}),
        ('node_load1{environment=~"staging|none"}', {"web-02"}),
        ('node_load1{core="0"}', {"web-02"}),
        ('node_load1{core=""}', {"web-01"}),
        ('node_load1{core!=""}', {"web-02"}),
        ('node_load1{core=~".*"}', {"web-01", "web-02"}),
        ('node_load1{core=~"\\\\d"}', {"web-02"}),
        ('{__name__=~"node_.*",core="0"}', {"web-02"}),
        ('{__name__=~"load"}', set()),
        ('{core="0"}', {"web-02"}),
        ('{__name__!="node_load1",job=~".+"}', {"other"}),
    ],
)
def test_matchers_of_all_kinds(grafana, asset, recent, selector, hosts):
    asset("web-01")
    store(asset("web-02", environment="staging"), recent, "node_load1", 1, core="0")
    store(asset("other"), recent, "other", 1)
    grafana.write([(NODE, minutely(recent, 1))])
    assert set(grafana.values(selector, recent)) == hosts


def test_rates_and_sums_of_what_is_in_the_head_and_at_rest(grafana, asset, now):
    hour = now.replace(minute=0, second=0)
    for place, name in enumerate(("web-01", "web-02"), 1):
        one = asset(name)
        store(one, hour + timedelta(minutes=20), "requests_total", *range(0, 5000 * place, 100 * place), kind="counter")
    compaction.compact(hour + timedelta(minutes=30))
    middle = hour + timedelta(minutes=5, seconds=30)
    assert grafana.values("rate(requests_total[20m]) * 60", middle) == {
        "web-01": pytest.approx("100"), "web-02": pytest.approx("200"),
    }  # fmt: skip
    assert grafana.values("round(sum(increase(requests_total[10m])))", middle) == {"": "3000"}


def test_a_series_that_another_agent_goes_on_with_is_one(grafana, asset, recent):
    web = asset("web-01")
    store(web, recent - timedelta(minutes=2), "load", 1, 2)
    store(web, recent, "load", 3, 4, kind="counter")
    (found,) = grafana.ask("query", query="load[10m]", time=recent.timestamp())["result"]
    assert [value for _, value in found["values"]] == ["1", "2", "3", "4"]


def test_long_spans_by_the_hour_are_read_from_statistics(grafana, asset, now):
    midnight = now.replace(hour=0, minute=0, second=0)
    end = midnight - timedelta(days=1, milliseconds=500)
    store(asset("web-01"), end, "load", *[float(place // 60) for place in range(60 * 72)])
    compaction.compact(now)
    asked = {"start": end.timestamp() + 0.5 - 70 * 3600, "end": end.timestamp() + 0.5, "step": "1h"}
    with CaptureQueriesContext(connection) as caught:
        found = {
            how: grafana.ask("query_range", query=f"{how}_over_time(load[1h])", **asked)["result"][0]["values"]
            for how in ("avg", "min", "max", "count", "sum")
        }
    assert not any('block."columns"' in one["sql"] for one in caught.captured_queries)
    assert [value for _, value in found["avg"]] == [str(place) for place in range(1, 72)]
    assert found["min"] == found["max"] == found["avg"]
    assert {value for _, value in found["count"]} == {"60"}
    assert found["sum"][-1][1] == str(60 * 71)


def test_pickers_of_metrics_labels_and_values(grafana, asset, recent):
    asset("web-01")
    grafana.write([(NODE, minutely(recent, 1)), ({"__name__": "up_total", "asset": "web-01"}, minutely(recent, 1))])
    store(asset("web-02", environment="staging"), recent, "http.load", 1, **{"http.method": "GET"})
    assert grafana.ask("label/__name__/values") == ["http.load", "node_load1", "up_total"]
    derived = ["__name__", "asset", "asset_type", "environment", "host", "instance", "job"]
    assert grafana.ask("labels") == sorted([*derived, "http.method"])
    assert grafana.ask("labels", **{"match[]": "node_load1"}) == derived
    assert grafana.ask("labels", **{"match[]": "nothing"}) == []
    assert grafana.ask("label/job/values") == ["agent", "node", "push"]
    assert grafana.ask("label/job/values", **{"match[]": ["node_load1", "up_total"]}) == ["node", "push"]
    assert grafana.ask("label/instance/values", **{"match[]": "node_load1"}) == ["web-01:9100"]
    assert grafana.ask("label/asset/values") == ["web-01", "web-02"]
    assert grafana.ask("label/environment/values") == ["green", "production", "staging"]
    assert grafana.ask("label/http.method/values") == ["GET"]
    assert grafana.ask("label/U__http_2e_method/values") == ["GET"]
    assert grafana.ask("label/nothing/values") == []
    assert grafana.ask("label/__name__/values", limit=1) == ["http.load"]
    assert grafana.ask("series", **{"match[]": ['{job="node"}', "nothing"]}) == [NODE | DERIVED]
    assert grafana.ask("metadata", metric="up_total") == {"up_total": [{"type": "counter", "help": "", "unit": ""}]}
    assert list(grafana.ask("metadata")) == ["http.load", "node_load1", "up_total"]


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


def test_series_that_do_not_fit_together_are_no_error_of_the_server(grafana, asset, recent):
    for name in ("web-01", "web-02"):
        store(asset(name), recent, "load", 1)
    code, kind, reason = grafana.refused("query", query="load + on (job) load")
    assert (code, kind) == (422, "execution")
    assert "duplicate series for the match group" in reason


def test_limits_of_series_samples_and_answers(grafana, asset, recent, settings):
    for name in ("web-01", "web-02", "web-03"):
        store(asset(name), recent, "load", *range(20))
    settings.QUERY_MAX_SERIES = 2
    assert grafana.refused("query", query="load")[:2] == (422, "execution")
    settings.QUERY_MAX_SERIES, settings.QUERY_MAX_SAMPLES = 100, 50
    code, _, reason = grafana.refused("query", query="count_over_time(load[300d])")
    assert (code, "60 samples" in reason) == (422, True)
    long = {"start": recent.timestamp() - 100, "end": recent.timestamp(), "step": 1}
    assert grafana.refused("query_range", query="load", **long)[0] == 422


def test_a_query_that_takes_too_long_is_ended(grafana, asset, recent, settings):
    store(asset("web-01"), recent, "load", 1)
    settings.QUERY_TIMEOUT_SECONDS = 0.001
    slow = {"query": 'label_replace(load, "a", "$1", "host", "' + "(.*.*.*.*){1,30}" * 8 + 'x")'}
    assert grafana.refused("query", **slow)[:2] == (503, "timeout")


def test_long_answers_are_compressed_for_those_who_take_it(grafana):
    asked = {"query": "time()", "start": 0, "end": 10_000, "step": 1}
    plain = grafana.client.get("/api/v1/query_range", asked)
    packed = grafana.client.get("/api/v1/query_range", asked, headers={"Accept-Encoding": "deflate, gzip"})
    refused = grafana.client.get("/api/v1/query_range", asked, headers={"Accept-Encoding": "gzip;q=0"})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content == refused.content


def test_the_statements_of_a_query_do_not_grow_with_the_series(grafana, asset, recent):
    def statements(query: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            grafana.ask("query_range", query=query, start=recent.timestamp() - 600, end=recent.timestamp(), step=60)
        return len(caught)

    store(asset("web-0"), recent, "load", 1)
    few = statements("sum(rate(load[5m])) / 2")
    for number in range(1, 20):
        store(asset(f"web-{number}"), recent, "load", 1, core=str(number))
    assert statements("sum(rate(load[5m])) / 2") == few


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


def test_rows_that_the_policy_withholds_are_not_there(person, asset, recent, now, monkeypatch):
    """Should a policy give a role only some series, nothing tells of the others."""
    store(asset("web-01"), recent, "load", 1, secret="no")
    store(asset("web-02"), recent, "traffic", 1)
    viewer = Grafana(tokens.issue(person(Role.VIEWER), "grafana", now))
    monkeypatch.setattr(policy, "granted", lambda *_: False)
    monkeypatch.setattr(policy, "may", lambda *_: True)
    monkeypatch.setattr(policy, "permitted", lambda who, verb, what, rows: rows.filter(asset__asset_name="web-02"))
    assert viewer.ask("query", query="load")["result"] == []
    assert len(viewer.ask("query", query="traffic")["result"]) == 1
    assert viewer.ask("label/__name__/values") == ["traffic"]
    assert viewer.ask("label/secret/values") == viewer.ask("series", **{"match[]": "load"}) == []
    assert viewer.ask("label/asset/values") == ["web-02"]
    assert "secret" not in viewer.ask("labels")
    assert list(viewer.ask("metadata")) == ["traffic"]
