"""Partitions: made ahead, dropped by retention, by several makers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection, connections

from wedsync_monitor import partitions, readiness, tasks
from wedsync_monitor.partitions import DAYS_AHEAD, KeptBack, PartitionedTable, ensure, existing, maintain
from wedsync_monitor.retention import partitioned_tables
from wedsync_monitor.tasks import maintain_partitions

TODAY = date(2026, 2, 27)
TABLE = PartitionedTable("things", retention_days=2)


def make_table():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE things (at timestamptz NOT NULL) PARTITION BY RANGE (at)")


def day(number: int) -> date:
    return TODAY + timedelta(days=number)


@pytest.mark.usefixtures("database")
class TestOneMaker:
    @pytest.fixture(autouse=True)
    def _table(self, database):
        make_table()

    def test_the_retentions_days_and_some_ahead_are_made(self):
        made, dropped = maintain(TABLE, TODAY)
        assert made == [TABLE.partition(day(number)) for number in range(-2, DAYS_AHEAD + 1)]
        assert (made[0], made[-1], dropped) == ("things_20260225", "things_20260302", [])

    def test_doing_it_again_changes_nothing(self):
        maintain(TABLE, TODAY)
        assert maintain(TABLE, TODAY) == ([], [])

    def test_a_day_later_one_is_made_and_one_is_dropped_with_its_rows(self):
        maintain(TABLE, TODAY)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO things VALUES ('2026-02-25 23:59:59Z'), ('2026-02-26 00:00:00Z')")
        assert maintain(TABLE, day(1)) == (["things_20260303"], ["things_20260225"])
        with connection.cursor() as cursor:
            cursor.execute("SELECT at FROM things")
            assert cursor.fetchall() == [(datetime(2026, 2, 26, tzinfo=UTC),)]

    def test_after_a_long_outage_everything_between_is_there(self):
        maintain(TABLE, TODAY)
        maintain(TABLE, day(30))
        assert sorted(existing(TABLE)) == [day(number) for number in range(28, 30 + DAYS_AHEAD + 1)]

    def test_a_yearly_table_has_a_partition_for_each_year_of_its_retention(self):
        years = PartitionedTable("things", retention_days=800, yearly=True)
        assert maintain(years, TODAY)[0] == ["things_20230101", "things_20240101", "things_20250101", "things_20260101"]
        assert maintain(years, day(365)) == (["things_20270101"], ["things_20230101"])

    def test_only_the_days_that_are_missing_are_made(self):
        ensure(TABLE, [day(1)])
        assert ensure(TABLE, [day(2), day(1), day(2), day(0)]) == ["things_20260227", "things_20260301"]


def test_makers_at_once_do_not_trip_over_each_other(committed):
    make_table()

    def make(_: int) -> list[str]:
        try:
            return ensure(TABLE, [day(number) for number in range(20)])
        finally:
            connections.close_all()

    try:
        with ThreadPoolExecutor(4) as makers:
            list(makers.map(make, range(8)))
        assert len(existing(TABLE)) == 20
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE things")


def test_whoever_reads_is_not_waited_for_and_told_of_only_once_it_matters(committed, monkeypatch):
    monkeypatch.setattr(partitions, "_LOCK_TIMEOUT", "SET LOCAL lock_timeout = '10ms'")
    make_table()
    maintain(TABLE, TODAY)
    reader = connections.create_connection("default")
    try:
        with reader.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE things IN ACCESS SHARE MODE")
            assert maintain(TABLE, day(1)) == ([], [])
            with pytest.raises(KeptBack, match=r"tomorrow is not made: things is in use.*2 .* were not dropped"):
                maintain(TABLE, day(4))
            cursor.execute("ROLLBACK")
        assert maintain(TABLE, day(1)) == (["things_20260303"], ["things_20260225"])
    finally:
        reader.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE things")


def test_one_tables_trouble_does_not_leave_the_others_without_partitions(committed, monkeypatch):
    make_table()
    monkeypatch.setattr(tasks, "partitioned_tables", lambda: [PartitionedTable("no_such_table", 1), TABLE])
    try:
        maintain_partitions()
        assert datetime.now(UTC).date() in existing(TABLE)
        assert "no_such_table could not be kept" in str(readiness.retention())
    finally:
        cache.clear()
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE things")


@pytest.mark.usefixtures("database")
def test_the_task_keeps_every_partitioned_table_ready_for_the_coming_days():
    maintain_partitions()
    today = datetime.now(UTC).date()
    for table in partitioned_tables():
        assert {table.first(today + timedelta(days=number)) for number in range(DAYS_AHEAD + 1)} <= set(existing(table))


@pytest.mark.usefixtures("database")
def test_a_table_that_there_is_not_fails_loudly():
    with pytest.raises(Exception, match="no_such_table"):
        partitions.maintain(PartitionedTable("no_such_table", 1), TODAY)
