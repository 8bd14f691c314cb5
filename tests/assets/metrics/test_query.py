"""Series are found by what they and their assets are, and read alike from wherever they rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection

from assets.metrics import ingestion, query, stored
from assets.metrics.compaction import compact
from assets.metrics.identity import SeriesKey
from assets.metrics.query import Selector
from assets.metrics.selectors import Matcher, of_series
from assets.metrics.windows import Grid
from assets.metrics.wire import Columns, Decoded, Sample
from wedsync_monitor import partitions
from wedsync_monitor.retention import partitioned_tables

pytestmark = pytest.mark.usefixtures("committed")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def noon(now):
    """Noon of the day before yesterday."""
    for table in partitioned_tables():
        partitions.maintain(table, now.date())
    return now.replace(hour=12, minute=0, second=0) - 2 * DAY


def ms(moment: Any) -> int:
    return int(moment.timestamp() * 1000)


def key(name: str, kind: str = "gauge", **labels: str) -> SeriesKey:
    return SeriesKey(name, kind, "", labels, "push")


def send(asset: Any, keys: list[SeriesKey], start: Any, values: Any, now: Any) -> None:
    """One row of `values` a minute, from half a minute after `start` on."""
    stamps = ms(start) + 30_000 + 60_000 * np.arange(len(values), dtype=np.int64)
    decoded = Decoded(columns=[Columns(tuple(keys), stamps, np.asarray(values, np.float64), 0)])
    assert not ingestion.store(decoded, ingestion.Sender(own_asset=asset.pk), now, lambda _: {}).refusals


def test_series_are_found_by_what_they_and_their_assets_are(asset, now):
    web = asset("web-01", tags=["team:web", "edge"])
    db = asset("db-01", asset_type="database", environment="staging", tags=["edge"])
    for one, name, labels in (
        (web, "cpu", {}),
        (web, "disk", {"mount": "/"}),
        (web, "disk", {"mount": "/data"}),
        (db, "disk", {"mount": "/"}),
    ):
        ingestion.store_samples([Sample(str(one.pk), key(name, **labels), ms(now), 1.0)], now)

    def found(**parts: Any) -> list[tuple[str, str, str]]:
        assets = {web.pk: "web", db.pk: "db"}
        series = query.find_series(Selector(**parts))
        return sorted((assets[one.asset_id], one.metric_name, one.labels.get("mount", "")) for one in series)

    cpu, root, data, other = ("web", "cpu", ""), ("web", "disk", "/"), ("web", "disk", "/data"), ("db", "disk", "/")
    assert found() == [other, cpu, root, data]
    assert found(metric_names=("cpu",)) == [cpu]
    assert found(asset_ids=(db.pk,)) == found(environments=("staging",)) == found(asset_types=("database",)) == [other]
    assert found(tags=("team:web", "none")) == [cpu, root, data]
    assert found(tags=("edge",), environments=("production",), metric_names=("disk",)) == [root, data]
    assert found(labels={"mount": "/"}) == found(matchers=(Matcher("mount", "=", "/"),)) == [other, root]
    assert found(matchers=(Matcher("mount", "!=", "/"),)) == [cpu, data]
    assert found(matchers=(Matcher("mount", "=~", "/d.*|/x"),)) == [data]
    assert found(matchers=(Matcher("mount", "=~", "/d"),)) == []
    assert found(matchers=(Matcher("mount", "!~", "/|"), Matcher("mount", "!=", ""))) == [data]
    assert found(matchers=(Matcher("mount", "=", ""),)) == [cpu]
    assert found(matchers=(Matcher("mount", "=", "/"), Matcher("mount", "=", "/data"))) == []
    assert len(query.find_series(Selector(), limit=2)) == 2
    with pytest.raises(ValueError, match="valid regular expression"):
        found(matchers=(Matcher("mount", "=~", "("),))
    with pytest.raises(ValueError, match="send one of: =, !=, =~, !~"):
        Matcher("mount", "==", "/")


def test_one_series_of_many_reads_as_it_does_among_all(asset, noon, now):
    """Few cells and whole frames are fetched differently."""
    web, db = asset("web-01"), asset("db-01")
    values = np.random.default_rng(3).normal(size=(130, 9)).round(3)
    values[::7, 2] = np.nan
    for one, start in ((web, noon), (db, noon + HOUR)):
        send(one, [key(f"m{number}") for number in range(9)], start, values, now)
    for _ in range(2):
        everything = query.read(Selector(), noon, now)
        assert len(everything.values) == 2 * np.count_nonzero(~np.isnan(values))
        hours = query.statistics_of(everything.series, noon, now, "hour")
        for place, series in enumerate(everything.series):
            alone = of_series([series])
            assert stored.places_of(everything.series).whole
            assert not stored.places_of([series]).whole
            for one, other in zip(query.read(alone, noon, now).of(0), everything.of(place), strict=True):
                assert one.tolist() == other.tolist()
            for one, other in zip(query.statistics_of([series], noon, now, "hour"), hours, strict=True):
                np.testing.assert_allclose(one, other[hours[0] == series.id])
        compact(now)


def test_a_sample_in_the_head_and_at_rest_counts_once(asset, noon, now):
    web = asset("web-01")
    send(web, [key("m")], noon, [[1], [2]], now)
    compact(now)
    send(web, [key("m")], noon, [[1], [2], [3]], now)
    assert query.read(Selector(), noon, now).values.tolist() == [1, 2, 3]


def test_the_newest_sample_of_each_series_is_not_older_than_asked(asset, noon, now):
    web = asset("web-01")
    send(web, [key("kept"), key("gone")], noon, [[1, 1], [2, 2], [3, np.nan]], now)
    moment = noon + timedelta(minutes=3)
    newest = query.instant(Selector(), moment, timedelta(minutes=1))
    assert {one.metric_name: newest.of(place)[1].tolist() for place, one in enumerate(newest.series)} == {
        "gone": [], "kept": [3],
    }  # fmt: skip
    assert query.instant(Selector(), moment, timedelta(minutes=2)).values.tolist() == [2, 3]


@pytest.mark.parametrize("how", ["count", "sum", "avg", "min", "max", "last", "increase", "rate"])
def test_hours_and_days_say_what_the_samples_say(asset, noon, now, how):
    web = asset("web-01")
    midnight = noon.replace(hour=0)
    values = np.column_stack([np.cumsum(np.arange(2880) % 7), np.sin(np.arange(2880) / 100)])
    values[1500:, 0] -= values[1500, 0]
    send(web, [key("requests", "counter"), key("wave")], midnight, values, now)
    grid = Grid(ms(midnight + DAY), ms(midnight + 2 * DAY), 86_400_000, 86_400_000)
    raw = query.window(Selector(), grid, how, resolution="raw").values
    if how in ("increase", "rate"):
        # Raw windows are stretched to their ends, statistics hold what was counted between the samples.
        edge = np.diff(values[:, 0], prepend=values[0, 0])
        edge = np.where(edge < 0, values[:, 0], edge)
        counted = np.array([edge[:1440].sum(), edge[1440:].sum()])
        expected = counted if how == "increase" else counted / 86400
        np.testing.assert_allclose(raw[0], expected, rtol=2e-3)
    else:
        expected = raw[0]
    # In the head alone; at rest but for the last hour, which is not closed yet; at rest.
    for at_rest in (None, midnight + 2 * DAY + timedelta(minutes=5), max(now, midnight + 2 * DAY + HOUR)):
        if at_rest:
            compact(at_rest)
        for resolution in ("hour", "day"):
            found = query.window(Selector(), grid, how, resolution=resolution)
            assert found.series[0].metric_name == "requests"
            np.testing.assert_allclose(found.values[0], expected)
            if how not in ("increase", "rate"):
                np.testing.assert_allclose(found.values[1], raw[1])


def test_a_day_with_late_samples_is_told_by_its_hours_until_it_is_summed_up(asset, noon, now):
    web = asset("web-01")
    send(web, [key("m")], noon, [[5]], now)
    compact(now)
    series = query.find_series(Selector())
    send(web, [key("m")], noon + HOUR, [[9]], now)
    days = (noon - DAY, now, "day")
    while_in_head = query.statistics_of(series, *days)
    assert (while_in_head[1].tolist(), while_in_head[2][:, :4].tolist()) == (
        [ms(noon.replace(hour=0))], [[2, 14, 5, 9]],
    )  # fmt: skip

    class Stop(Exception):
        pass

    def stop(step: str) -> None:
        if step == "daily rows written":
            raise Stop

    with pytest.raises(Stop):
        compact(now, stop)
    while_due = query.statistics_of(series, *days)
    compact(now)
    rested = query.statistics_of(series, *days)
    for one, two, three in zip(while_in_head, while_due, rested, strict=True):
        assert one.tolist() == two.tolist() == three.tolist()


def test_the_longer_the_span_the_coarser_and_any_resolution_may_be_asked_for(asset, noon, now):
    web = asset("web-01")
    values = np.zeros((600, 1))
    values[123] = 99
    send(web, [key("m")], noon - 6 * HOUR, values, now)
    compact(now)
    series = query.find_series(Selector())

    def drawn(days: int, **asked: Any) -> list[float]:
        return query.curves(series, now - timedelta(days=days), now, **asked).values.tolist()

    assert len(query.curves(series, noon - DAY, noon + DAY).values) == 600
    assert len(drawn(30)) == 20
    assert drawn(200) == [0, 99]
    assert len(drawn(200, resolution="raw")) == 600
    assert len(drawn(200, resolution="raw", points=10)) <= 10
    assert max(drawn(200, resolution="raw", points=10)) == 99


def in_turn(asset: Any, start: Any, now: Any) -> Any:
    """A counter with 60 samples from 1,000,000 on, rising by 10, of which every other one comes in another layout."""
    for turn, beside in enumerate(("a", "b")):
        stamps = ms(start) + 60_000 * np.arange(turn, 60, 2, dtype=np.int64)
        values = np.column_stack([1_000_000 + 10.0 * np.arange(turn, 60, 2), np.zeros(30)])
        decoded = Decoded(columns=[Columns((key("served", "counter"), key(beside)), stamps, values, 0)])
        ingestion.store(decoded, ingestion.Sender(own_asset=asset.pk), now, lambda _: {})
    return query.find_series(Selector(("served",)))


# count, sum, min, max, first, last, increase
SERVED = [60, 60_017_700, 1_000_000, 1_000_590, 1_000_000, 1_000_590, 590]


@pytest.mark.parametrize("resolution", ["hour", "day"])
def test_a_counter_that_comes_in_two_layouts_by_turns_is_counted_once(asset, noon, now, resolution):
    series = in_turn(asset(), noon, now)
    asked = series, noon - HOUR, now, resolution
    for _ in range(2):
        assert query.statistics_of(*asked)[2].tolist() == [SERVED]
        compact(now)


def test_a_counter_whose_layout_changes_from_hour_to_hour_grows_by_the_day_as_by_the_hour(asset, noon, now):
    web = asset()
    for hour, beside in enumerate("aba"):
        values = np.column_stack([1_000_000 + 600.0 * hour + 10.0 * np.arange(60), np.zeros(60)])
        send(web, [key("served", "counter"), key(beside)], noon + hour * HOUR, values, now)
    compact(now)
    series = query.find_series(Selector(("served",)))
    assert query.statistics_of(series, noon - HOUR, now, "day")[2].tolist() == [
        [180, 180_161_100, 1_000_000, 1_001_790, 1_000_000, 1_001_790, 1790]
    ]
    # Of samples that are gone the day still tells, once.
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE metric_block")
    assert query.statistics_of(series, noon - HOUR, now, "day")[2][:, 6].tolist() == [1790]


@pytest.mark.parametrize("resolution", ["hour", "day"])
def test_samples_that_come_late_or_again_are_not_counted_twice(asset, noon, now, resolution):
    web = asset()
    rising = 1_000_000 + 10.0 * np.arange(60)[:, None]
    send(web, [key("served", "counter")], noon, rising[:20], now)
    send(web, [key("served", "counter")], noon + timedelta(minutes=22), rising[22:], now)
    compact(now)
    send(web, [key("served", "counter")], noon, rising[:40], now)
    series = query.find_series(Selector())
    asked = series, noon - HOUR, now, resolution
    for _ in range(2):
        assert query.statistics_of(*asked)[2].tolist() == [SERVED]
        compact(now)


def test_a_target_that_was_down_when_it_was_first_read_reports_once_it_answers(asset, now):
    web = asset()
    before, up = now - timedelta(minutes=5), SeriesKey("up", "gauge", "", {}, "synthetic")
    ingestion.store_samples([Sample(str(web.pk), up, ms(before), 0.0)], now)
    assert query.last_reports([web.pk], now - HOUR) == {}
    page = [(up, 1.0), (SeriesKey("cpu", "gauge", "", {}, "pull"), 5.0)]
    ingestion.store_samples([Sample(str(web.pk), key, ms(now), value) for key, value in page], now)
    assert query.last_reports([web.pk], now - HOUR) == {web.pk: now}
    assert query.reported_slots(web.pk, now - HOUR, now, 60_000).tolist() == [ms(now)]


def test_what_statistics_cannot_tell_is_refused_and_read_from_samples_by_itself(asset, noon, now):
    send(asset("web-01"), [key("m")], noon, np.arange(60)[:, None], now)
    grid = Grid(ms(noon + HOUR), ms(noon + HOUR), 1, 3_600_000)
    with pytest.raises(ValueError, match="send raw"):
        query.window(Selector(), grid, "quantile", 0.5, resolution="hour")
    month = Grid(ms(noon + HOUR - 30 * DAY), ms(noon + HOUR), 3_600_000, 3_600_000)
    assert query.window(Selector(), month, "quantile", 0.5).values[0, -1] == 29.5
    assert query.window(Selector(), month, "avg").values[0, -1] == 29.5
