"""The Prometheus HTTP API as Grafana uses it: what was sent is found with its labels, limits and errors are told."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assets.metrics import compaction, ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from tests.assets.metrics.promql.grafana import Grafana
from wedsync_monitor import policy, tokens
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")
NODE = {"__name__": "node_load1", "instance": "web-01:9100", "job": "node", "environment": "green"}
DERIVED = {"asset": "web-01", "asset_type": "server", "host": "web-01"}


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


SELECTED = [
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
]


def test_matchers_of_all_kinds(grafana, asset, recent):
    asset("web-01")
    store(asset("web-02", environment="staging"), recent, "node_load1", 1, core="0")
    store(asset("other"), recent, "other", 1)
    grafana.write([(NODE, minutely(recent, 1))])
    for selector, hosts in SELECTED:
        assert set(grafana.values(selector, recent)) == hosts, selector


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


def test_what_would_look_through_all_series_is_refused_with_what_to_add(grafana, asset, recent, settings):
    web = asset("web-01")
    store(web, recent, "load", 1, cpu="9", zone="a.b")
    store(web, recent, "load", 2, cpu="10", zone="ab", job="node")
    settings.QUERY_MAX_SERIES = 2
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_class SET reltuples = 3 WHERE oid = 'metric_series'::regclass")
    for unbounded in ('{cpu=~"9.*"}', '{cpu!=""}', '{job="agent"}', '{zone=~"a.b"}'):
        code, _, reason = grafana.refused("query", query=unbounded)
        assert (code, "add a metric name" in reason) == (422, True), unbounded
    for answered, values in (
        ('{cpu=~"9"}', {"1"}),
        ('{cpu=~"9|10|11"}', {"1", "2"}),
        (r'{zone=~"a\\.b|c"}', {"1"}),
        ('{job="node"}', {"2"}),
        ('load{cpu=~"1.*"}', {"2"}),
        ('{asset="web-01",cpu!="9"}', {"2"}),
    ):
        found = grafana.ask("query", query=answered, time=recent.timestamp())["result"]
        assert {one["value"][1] for one in found} == values, answered


def test_a_query_that_takes_too_long_is_ended(grafana, asset, recent, settings):
    store(asset("web-01"), recent, "load", 1)
    settings.QUERY_TIMEOUT_SECONDS = 0.001
    slow = {"query": 'label_replace(load, "a", "$1", "host", "' + "(.*.*.*.*){1,30}" * 8 + 'x")'}
    assert grafana.refused("query", **slow)[:2] == (503, "timeout")


def test_the_statements_of_a_query_do_not_grow_with_the_series(grafana, asset, recent):
    def statements(query: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            grafana.ask("query_range", query=query, start=recent.timestamp() - 600, end=recent.timestamp(), step=60)
        return len(caught)

    store(asset("web-0"), recent, "load", 1)
    statements("1")
    few = statements("sum(rate(load[5m])) / 2")
    for number in range(1, 20):
        store(asset(f"web-{number}"), recent, "load", 1, core=str(number))
    assert statements("sum(rate(load[5m])) / 2") == few


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
