"""Days that outlive their partition: whole files, whenever it is killed, and back again."""

from __future__ import annotations

import io
import os
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connections

from assets.metrics import archive, ingestion, parquet
from assets.metrics.compaction import compact
from assets.metrics.identity import SeriesKey
from assets.metrics.query import SeriesSelector, read
from assets.metrics.wire import Columns, Decoded
from wedsync_monitor import partitions, readiness
from wedsync_monitor.partitions import KeptBack
from wedsync_monitor.retention import partitioned_tables
from wedsync_monitor.tasks import maintain_partitions

pytestmark = pytest.mark.usefixtures("committed")
STEPS = ["file written", "file flushed", "file renamed", "folder flushed"]


@pytest.fixture(autouse=True)
def folder(tmp_path, settings):
    settings.METRIC_ARCHIVE_DIR = str(tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture
def old(now):
    """Noon of a day that is kept, and over once the retention is 88 days."""
    return now.replace(hour=12, minute=0, second=0) - timedelta(days=89)


@pytest.fixture
def stored(asset, now, old):
    """Two assets with an hour of two series, at rest."""
    for name in ("web-01", "db-01"):
        stamps = np.array([int((old + timedelta(seconds=10 * n)).timestamp() * 1000) for n in range(300)])
        keys = (SeriesKey("cpu", labels={"core": "0"}), SeriesKey("requests", "counter", "", {}, "push"))
        values = np.column_stack([np.arange(300) / 10, np.where(np.arange(300) % 2, np.nan, np.arange(300))])
        owner = ingestion.Sender(own_asset=asset(name).pk)
        ingestion.store(Decoded(columns=[Columns(keys, stamps.astype(np.int64), values, 0)]), owner, now, lambda _: {})
    compact(now)
    return everything(now)


def everything(now: datetime) -> dict[tuple[str, Any], Any]:
    samples = read(SeriesSelector(), now - timedelta(days=95), now)
    return {
        (series.metric_name, series.asset_id): [part.tolist() for part in samples.of(place)]
        for place, series in enumerate(samples.series)
        if len(samples.of(place)[0])
    }


def metric_block() -> partitions.PartitionedTable:
    return next(table for table in partitioned_tables() if table.name == "metric_block")


@pytest.fixture
def blocks(settings, now):
    """The table with a retention of 88 days; its partition is made again."""
    settings.METRIC_RETENTION_DAYS = 88
    yield metric_block()
    settings.METRIC_RETENTION_DAYS = 90
    partitions.ensure(metric_block(), [now.date() - timedelta(days=number) for number in (88, 89)])


def drop(blocks: Any, now: datetime) -> list[str]:
    return partitions.maintain(blocks, now.date())[1]


def test_a_day_is_archived_whole_before_it_goes_and_comes_back_as_it_was(stored, blocks, folder, now, old):
    assert blocks.partition(old.date()) in drop(blocks, now)
    assert everything(now) == {}
    assert [path.name for path in folder.iterdir()] == [f"metrics-{old.date()}.parquet"]
    assert archive.notice(old, now, now)[0].startswith(f"{old.date()}: archived and not read")
    said = archive.restore(old.date(), now, timedelta(days=7))
    assert (said.samples, said.orphaned) == (900, 0)
    assert everything(now) == stored
    assert archive.notice(old, now, now) == []


def test_the_file_is_sorted_and_described(stored, blocks, folder, now, old):
    drop(blocks, now)
    table = pq.read_table(next(folder.iterdir()))
    assert table.schema.names == parquet.SCHEMA.names
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert len(rows) == 900
    assert rows == sorted(rows, key=lambda row: (row[0], row[3], row[6], row[8]))
    first = table.to_pylist()[0]
    assert (first["metric_labels"], first["agent_id"], first["collection_timestamp"]) == ('{"core": "0"}', "", old)


def test_what_is_restored_stays_for_a_while_and_leaves_the_same_file(stored, blocks, folder, now, old):
    drop(blocks, now)
    archive.restore(old.date(), now, timedelta(days=7))
    assert not archive.may_drop(old.date(), now)
    assert everything(now) == stored
    later = now + timedelta(days=8)
    assert archive.may_drop(old.date(), later)
    assert [path.name for path in folder.iterdir()] == [f"metrics-{old.date()}.parquet"]


@pytest.mark.parametrize("point", STEPS)
def test_killed_at_any_point_there_is_one_whole_file_in_the_end(stored, folder, now, old, point):
    connections.close_all()
    child = os.fork()
    if child == 0:
        archive.may_drop(old.date(), now, lambda step: os._exit(9) if step == point else None)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert archive.may_drop(old.date(), now)
    assert [path.name for path in folder.iterdir()] == [f"metrics-{old.date()}.parquet"]
    assert pq.read_metadata(next(folder.iterdir())).num_rows == 900


def test_a_restoring_that_is_killed_leaves_nothing_behind(stored, blocks, now, old):
    drop(blocks, now)
    connections.close_all()
    child = os.fork()
    if child == 0:
        archive.restore(old.date(), now, timedelta(days=7), lambda step: os._exit(9))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert everything(now) == {}
    archive.restore(old.date(), now, timedelta(days=7))
    assert everything(now) == stored


def test_a_day_that_has_become_another_one_is_a_further_part(stored, folder, asset, now, old):
    archive.may_drop(old.date(), now)
    stamps = np.array([int(old.timestamp() * 1000)], dtype=np.int64)
    late = Decoded(columns=[Columns((SeriesKey("late"),), stamps, np.array([[1.0]]), 0)])
    ingestion.store(late, ingestion.Sender(own_asset=asset("new").pk), now, lambda _: {})
    compact(now)
    archive.may_drop(old.date(), now)
    assert sorted(path.name for path in folder.iterdir()) == [
        f"metrics-{old.date()}.2.parquet", f"metrics-{old.date()}.parquet",
    ]  # fmt: skip


def test_a_day_that_cannot_be_written_is_kept_and_told(stored, blocks, folder, now, old):
    folder.write_text("no folder")
    with pytest.raises(KeptBack, match="could not be archived"):
        drop(blocks, now)
    assert everything(now) == stored
    maintain_partitions()
    assert "could not be archived (FileExistsError)" in str(readiness.retention())
    assert str(folder) not in str(readiness.retention())
    folder.unlink()
    maintain_partitions()
    assert readiness.retention() is None
    cache.clear()


def test_an_asset_that_is_deleted_meanwhile_stops_nothing(stored, asset, old):
    gone, there = uuid4(), asset("later").pk
    assert archive._table_of(old.date(), gone).num_rows == archive._table_of(old.date(), there).num_rows == 0


def test_without_an_archive_days_just_go(stored, blocks, settings, tmp_path, now, old):
    settings.METRIC_ARCHIVE_DIR = ""
    drop(blocks, now)
    assert everything(now) == {}
    assert list(tmp_path.iterdir()) == []


def test_the_command_lists_and_restores(stored, blocks, settings, now, old):
    drop(blocks, now)
    listed, restored = io.StringIO(), io.StringIO()
    call_command("metrics_archive", "list", stdout=listed)
    assert f"metrics-{old.date()}.parquet  900 samples" in listed.getvalue()
    call_command("metrics_archive", "restore", str(old.date()), stdout=restored)
    assert restored.getvalue() == "900 samples are back for 7 days.\n"
    assert everything(now) == stored
    with pytest.raises(CommandError, match="is not in the archive"):
        call_command("metrics_archive", "restore", "2020-01-01")
    settings.METRIC_ARCHIVE_DIR = ""
    with pytest.raises(CommandError, match="No archive is configured"):
        call_command("metrics_archive", "list")
