"""From the head to blocks and daily rows: nothing is lost, nothing is doubled, whenever it is killed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import DatabaseError, connection, connections, transaction

from assets.metrics import compaction, head, ingestion, query
from assets.metrics.compaction import compact
from assets.metrics.frames import Frames
from assets.metrics.identity import SeriesKey
from assets.metrics.query import SeriesSelector
from assets.metrics.wire import Columns, Decoded
from wedsync_monitor import partitions
from wedsync_monitor.retention import partitioned_tables

pytestmark = pytest.mark.usefixtures("committed")
HOUR = timedelta(hours=1)
NAMES = ("cpu", "requests")
EVERY = timedelta(minutes=1)
STEPS = [
    "taken",
    "written",
    "before commit",
    "after commit",
    "after drop",
    "daily rows written",
    "daily rows committed",
    "expired",
]


@pytest.fixture
def noon(now):
    """Noon of the day before yesterday: its hours are closed and the day is over, whatever time it is now."""
    for table in partitioned_tables():
        partitions.maintain(table, now.date())
    return now.replace(hour=12, minute=0, second=0) - timedelta(days=2)


def send(asset: Any, start: datetime, instants: int, now: datetime, first: float = 0.0) -> None:
    """Two series: a gauge and a counter, a sample a minute."""
    stamps = np.array([int((start + EVERY * n).timestamp() * 1000) for n in range(instants)], dtype=np.int64)
    keys = (SeriesKey(NAMES[0], "gauge", "", {}, "push"), SeriesKey(NAMES[1], "counter", "", {}, "push"))
    values = np.column_stack([first + np.arange(instants) / 10, first + np.arange(instants) * 7.0])
    outcome = ingestion.store(
        Decoded(columns=[Columns(keys, stamps, values, 0)]), ingestion.Sender(own_asset=asset.pk), now, lambda _: {}
    )
    assert outcome.refusals == []


def everything(now: datetime) -> dict[tuple[str, Any], list[tuple[int, float]]]:
    samples = query.read(SeriesSelector(NAMES), now - timedelta(days=5), now)
    return {
        (series.metric_name, series.asset_id): list(zip(*(part.tolist() for part in samples.of(place)), strict=True))
        for place, series in enumerate(samples.series)
    }


def count(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


def test_closed_hours_become_blocks_and_read_the_same(asset, noon, now):
    web, db = asset("web-01"), asset("db-01")
    send(web, noon - 3 * HOUR, 200, now)
    send(db, noon - 2 * HOUR, 30, now)
    before = everything(now)
    report = compact(now)
    assert (report.frames, report.blocks) == (230, 5)
    assert (count("metric_frame"), count("metric_block")) == (0, 5)
    assert everything(now) == before


def test_an_open_hour_stays_in_the_head(asset, now):
    minute = now.replace(minute=5, second=0)
    send(asset("web-01"), head.hour_of(now), 3, now)
    assert compact(minute).frames == 0
    assert count("metric_frame") == 3


def test_late_samples_are_merged_and_repeated_ones_count_once(asset, noon, now):
    web = asset("web-01")
    send(web, noon, 30, now)
    compact(now)
    send(web, noon + EVERY * 20, 30, now, first=1000.0)
    send(web, noon + EVERY * 20, 30, now, first=1000.0)
    merged = everything(now)
    compact(now)
    assert count("metric_block") == 1
    assert everything(now) == merged
    cpu = dict(everything(now)["cpu", web.pk])
    assert len(cpu) == 50
    # What was there first stays; only what is new comes from the late samples.
    assert [cpu[stamp] for stamp in sorted(cpu)][19:31] == pytest.approx([1.9, *np.arange(20, 30) / 10, 1001.0])


def test_each_asset_and_day_gets_a_daily_row_that_late_samples_renew(asset, noon, now):
    web = asset("web-01")
    send(web, noon - 2 * HOUR, 120, now)
    assert compact(now).days == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT statistics FROM metric_daily")
        ((statistics,),) = cursor.fetchall()
    gauge, counter = np.array(statistics).reshape(2, 7)
    assert gauge.tolist() == pytest.approx([120, sum(range(120)) / 10, 0, 11.9, 0, 11.9, 11.9])
    assert counter[6] == 119 * 7
    send(web, noon + HOUR, 10, now)
    compact(now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT statistics[1] FROM metric_daily")
        assert cursor.fetchall() == [(130,)]
    assert count("metric_daily_due") == 0


def test_a_partition_of_the_head_is_dropped_once_it_is_empty(asset, now):
    # Hours that were made when they were ahead.
    past = now - timedelta(hours=9)
    head.make_ahead(past)
    made = set(head.partitions())
    assert head.hour_of(past) in made
    send(asset("web-01"), head.hour_of(past), 5, now)
    assert compact(now).partitions_dropped >= 6
    assert all(hour + HOUR > now - compaction.GRACE for hour in head.partitions())
    assert count("metric_block") == 1


@pytest.mark.parametrize("point", STEPS)
def test_killed_at_any_point_it_loses_and_doubles_nothing(asset, noon, now, point):
    web = asset("web-01")
    send(web, noon - HOUR, 90, now)
    compact(now - timedelta(days=2))
    send(web, noon - HOUR, 10, now)
    before = everything(now)
    connections.close_all()
    child = os.fork()
    if child == 0:
        # The process ends as by kill -9: nothing is rolled back or closed by it.
        compact(now, lambda step: os._exit(9) if step == point else None)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert everything(now) == before
    compact(now)
    assert everything(now) == before
    assert (count("metric_frame"), count("metric_block"), count("metric_daily")) == (0, 2, 1)


def test_parts_of_one_layout_are_put_to_rest_together(asset, noon, now):
    """As they are restored for an asset that has all its layouts."""
    web = asset("web-01")
    send(web, noon, 1, now)
    compact(now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM metric_layout")
        (layout_id,) = cursor.fetchone()
    stamps = [np.array([int((noon + EVERY * number).timestamp() * 1000)]) for number in (1, 2)]
    with transaction.atomic():
        compaction.put_to_rest([Frames(web.pk, layout_id, stamp, np.array([[5.0, 6.0]])) for stamp in stamps])
    assert [value for _, value in everything(now)["cpu", web.pk]] == [0.0, 5.0, 5.0]


def test_what_is_older_than_anything_is_kept_leaves_the_head(asset, noon, now, settings):
    send(asset("web-01"), noon - timedelta(days=20), 5, now)
    settings.METRIC_RETENTION_DAYS = 20
    compact(now)
    assert (count("metric_frame"), count("metric_block")) == (0, 0)


def test_an_hour_that_fails_does_not_stop_those_behind_it(asset, noon, now):
    web = asset("web-01")
    send(web, noon - timedelta(days=20), 5, now)
    send(web, noon, 5, now)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE metric_block_{noon - timedelta(days=20):%Y%m%d}")
    with pytest.raises(DatabaseError, match="no partition"):
        compact(now)
    assert (count("metric_frame"), count("metric_block"), count("metric_daily")) == (5, 1, 1)
    for table in partitioned_tables():
        partitions.maintain(table, now.date())
    compact(now)
    assert (count("metric_frame"), count("metric_block")) == (0, 2)


def test_wide_frames_are_taken_in_smaller_portions(asset, noon, now, monkeypatch):
    hosts = [asset(f"host-{number}") for number in range(4)]
    for host in hosts[:2]:
        send(host, noon, 10, now)
    keys = tuple(SeriesKey(f"m{number}") for number in range(180))
    stamps = np.array([int(noon.timestamp() * 1000)], dtype=np.int64)
    for host in hosts[2:]:
        wide = Decoded(columns=[Columns(keys, stamps, np.zeros((1, 180)), 0)])
        ingestion.store(wide, ingestion.Sender(own_asset=host.pk), now, lambda _: {})
    # 10 frames of 2 series, and one of 180, of 20 more each: 220 and 200.
    monkeypatch.setattr(compaction, "_CELLS_AT_ONCE", 450)
    assert sorted(map(len, compaction._portions(noon))) == [2, 2]


def test_two_compactors_do_not_meet(asset, noon, now):
    send(asset("web-01"), noon, 5, now)
    with compaction.alone() as mine:
        assert mine
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [compaction._LOCK])
            assert cursor.fetchone() == (False,)
        other.close()


def test_hourly_statistics_are_the_same_from_the_head_and_from_blocks(asset, noon, now):
    web = asset("web-01")
    send(web, noon - 3 * HOUR, 200, now)
    asked = query.find_series(SeriesSelector(NAMES, (web.pk,))), noon - 4 * HOUR, now, "hour"
    fresh = query.statistics_of(*asked)
    compact(now)
    rested = query.statistics_of(*asked)
    for one, other in zip(fresh, rested, strict=True):
        np.testing.assert_allclose(one, other)
    assert rested[2][:, 0].tolist() == [60, 60, 60, 20] * 2


def test_long_spans_are_read_by_the_hour_with_peaks_and_rates(asset, noon, now):
    web = asset("web-01")
    send(web, noon - 2 * HOUR, 120, now)
    compact(now)
    series = query.find_series(SeriesSelector(NAMES, (web.pk,)))
    samples = query.curves(series, noon - 4 * HOUR, now, resolution="hour")
    drawn = {series.metric_name: samples.of(place)[1].tolist() for place, series in enumerate(samples.series)}
    assert drawn["cpu"] == pytest.approx([0, 5.9, 6.0, 11.9])
    assert drawn["requests"] == pytest.approx([59 * 7 / 3600, 60 * 7 / 3600])


def test_reports_are_found_in_blocks_too(asset, noon, now):
    web = asset("web-01")
    send(web, noon, 30, now)
    slots = query.reported_slots(web.pk, noon - HOUR, now, 300_000)
    compact(now)
    assert query.reported_slots(web.pk, noon - HOUR, now, 300_000).tolist() == slots.tolist()
    assert query.last_reports([web.pk], noon - HOUR) == {web.pk: noon + EVERY * 29}
    assert query.last_reports([web.pk], noon + HOUR) == {}


def test_the_specifications_view_goes_on_over_blocks(asset, noon, now):
    web = asset("web-01")
    send(web, noon, 60, now)
    compact(now)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT metric_name, metric_value::float8, collection_timestamp FROM infrastructure_metrics ORDER BY 1"
        )
        rows = cursor.fetchall()
    assert [(name, stamp.astimezone(UTC)) for name, _, stamp in rows] == [("cpu", noon), ("requests", noon)]
    assert [value for _, value, _ in rows] == pytest.approx([2.95, 29.5 * 7])
