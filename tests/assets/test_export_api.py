"""GET /api/monitoring/metrics/export: what is stored, as CSV and Parquet, in parts."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from assets.metrics import export, ingestion
from assets.metrics.compaction import compact
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from tests.pages import opened
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")
URL = "/api/monitoring/metrics/export"


@pytest.fixture
def web(asset, now):
    """Five hours of a sample each half hour: the older ones at rest, the newest in the head."""
    web = asset("web-01")
    for label in ("=1+1", "plain"):
        key = SeriesKey("cpu", "gauge", "percent", {"core": label}, "push")
        store(web, now, *(Sample(str(web.pk), key, at(now, n), n / 4) for n in range(10)))
    store(web, now, Sample(str(web.pk), SeriesKey("-formula"), at(now, 0), -1.5))
    compact(now)
    return web


def at(now: Any, n: int) -> int:
    return int((now - timedelta(minutes=30 * n)).timestamp() * 1000)


def store(web: Any, now: Any, *samples: Sample) -> None:
    assert ingestion.store_samples(samples, now).refusals == []


@pytest.fixture
def ask(api):
    client = api(Role.VIEWER)

    def get(**query: Any):
        return client.get(URL, query)

    return get


def lines(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.content
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_csv_and_parquet_hold_every_sample_of_the_span(web, ask, now):
    rows = lines(ask(format="csv", metric="cpu", range="6h"))
    assert len(rows) == 20
    stamps = sorted({row["collection_timestamp"] for row in rows})
    assert stamps[-1] == now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert {float(row["metric_value"]) for row in rows} == {n / 4 for n in range(10)}
    answer = ask(format="parquet", metric="cpu", range="6h")
    table = pq.read_table(io.BytesIO(b"".join(answer.streaming_content)))
    assert (table.num_rows, sum(table["metric_value"].to_pylist())) == (20, 2 * sum(n / 4 for n in range(10)))
    assert set(table["asset_name"].to_pylist()) == {"web-01"}
    assert answer["Content-Disposition"].endswith('.parquet"')


def test_slices_join_without_a_gap_or_a_double(web, ask, monkeypatch):
    whole = lines(ask(format="csv", metric="cpu", range="6h"))
    monkeypatch.setattr(export, "_SAMPLES_AT_ONCE", 2 * 1800)
    parts = b"".join(ask(format="parquet", metric="cpu", range="6h").streaming_content)
    assert pq.ParquetFile(io.BytesIO(parts)).num_row_groups == 10
    sliced = lines(ask(format="csv", metric="cpu", range="6h"))
    assert sorted(map(str, sliced)) == sorted(map(str, whole))


def test_a_spreadsheet_finds_no_formula(web, ask):
    (row,) = lines(ask(format="csv", metric="-formula"))
    assert (row["metric_name"], row["metric_value"]) == ("'-formula", "-1.5")
    for row in lines(ask(format="csv", asset="web-01")):
        assert not any(text.startswith(("=", "+", "-", "@")) for name, text in row.items() if name != "metric_value")


def test_series_are_chosen_by_asset_metric_and_label(web, asset, ask, now):
    other = asset("db-01")
    store(other, now, Sample(str(other.pk), SeriesKey("cpu"), at(now, 0), 9.0))
    assert {row["asset_name"] for row in lines(ask(format="csv", asset=str(other.pk)))} == {"db-01"}
    assert len(lines(ask(format="csv", metric="cpu", label="core=plain", range="6h"))) == 10


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"metric": "cpu"}, "format"),
        ({"format": "xlsx", "metric": "cpu"}, "format"),
        ({"format": "csv"}, "metric"),
        ({"format": "csv", "asset": "unknown"}, "asset"),
        ({"format": "csv", "metric": "cpu", "label": "core"}, "label"),
        ({"format": "csv", "metric": "cpu", "from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "from"),
        ({"format": "csv", "metric": "cpu", "typo": "1"}, "typo"),
        ({"format": "csv", "metric": "a\0b"}, "metric"),
    ],
)
def test_a_bad_question_is_told_what_to_send(ask, query, field):
    answer = ask(**query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_a_metric_that_nobody_sends_is_404_and_no_empty_file(web, ask):
    answer = ask(format="csv", metric="cpuu")
    assert answer.status_code == 404
    assert "no such series" in answer.json()["detail"]


def test_more_series_than_one_file_holds_are_refused(web, ask, monkeypatch):
    monkeypatch.setattr(export, "MAX_SERIES", 1)
    answer = ask(format="csv", metric="cpu")
    assert answer.status_code == 400
    assert "more than 1 series" in answer.json()["detail"]


def test_the_assets_charts_offer_both_files(web, signed_in):
    page = opened(signed_in(Role.VIEWER), f"/admin/monitoring/assets/{web.pk}/metrics")
    assert {"export-csv", "export-parquet"} <= set(page.testids)
    assert f"{URL}?format=csv&asset={web.pk}&range=1h" in page.links
