"""The catalogue: what it says of each name, and that it stays true as series come, grow and go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections

from assets.metrics import catalogue, ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from assets.models import CatalogueEntry, SeriesUsage

pytestmark = pytest.mark.usefixtures("committed")


def store(asset: Any, now: Any, *keys: SeriesKey, value: float = 1.0) -> None:
    stamp = int(now.timestamp() * 1000)
    assert ingestion.store_samples([Sample(str(asset.pk), key, stamp, value) for key in keys], now).refusals == []


def cpu(core: int, unit: str = "percent") -> SeriesKey:
    return SeriesKey("cpu", "gauge", unit, {"core": str(core), "kind": "x86"}, "push")


def entry(name: str = "cpu") -> CatalogueEntry:
    return CatalogueEntry.objects.get(metric_name=name)


def test_a_name_is_described_by_all_of_its_series(asset, now):
    web, db = asset("web-01"), asset("db-01")
    store(web, now, cpu(0), cpu(1), SeriesKey("requests", "counter", "", {}, "pull"))
    store(db, now, cpu(0, "ratio"))
    assert catalogue.tally(now) == 4
    known = entry()
    assert (known.series, known.assets, known.agents) == (3, 2, 0)
    assert (known.metric_types, known.metric_units, known.collection_methods) == (
        ["gauge"], ["percent", "ratio"], ["push"],
    )  # fmt: skip
    assert known.labels == {"core": 2, "kind": 1}
    assert entry("requests").metric_types == ["counter"]


def test_what_was_counted_is_not_counted_again(asset, now):
    web = asset("web-01")
    store(web, now, cpu(0))
    catalogue.tally(now)
    before = entry().series
    assert catalogue.tally(now + timedelta(minutes=1)) == 1, "the count of the series is a series too"
    assert catalogue.tally(now + timedelta(minutes=2)) == 0
    assert (before, entry().series) == (1, 1)


def test_of_a_name_with_many_series_the_number_grows_until_all_is_counted(asset, now, monkeypatch):
    web = asset("web-01")
    monkeypatch.setattr(catalogue, "FEW_SERIES", 2)
    store(web, now, cpu(0), cpu(1))
    catalogue.tally(now)
    store(web, now, cpu(2), cpu(3))
    catalogue.tally(now)
    assert (entry().series, entry().labels["core"]) == (4, 2)
    catalogue.recount(now)
    assert (entry().series, entry().labels["core"]) == (4, 4)


def test_what_a_deleted_asset_took_along_leaves_the_catalogue(asset, now):
    web, db = asset("web-01"), asset("db-01")
    store(web, now, cpu(0), SeriesKey("only_here"), SeriesKey("described"))
    store(db, now, cpu(0))
    catalogue.tally(now)
    CatalogueEntry.objects.filter(metric_name="described").update(meaning="Kept.")
    web.delete()
    catalogue.recount(now)
    assert (entry().series, entry().assets) == (1, 1)
    assert not CatalogueEntry.objects.filter(metric_name="only_here").exists()
    assert (entry("described").series, entry("described").meaning) == (0, "Kept.")
    assert not SeriesUsage.objects.exclude(asset=db).exists()


def test_last_seen_follows_the_newest_samples(asset, now):
    web = asset("web-01")
    store(web, now - timedelta(minutes=30), cpu(0), SeriesKey("gone"))
    catalogue.tally(now)
    CatalogueEntry.objects.update(last_seen=now - timedelta(minutes=30))
    store(web, now - timedelta(minutes=2), cpu(0))
    catalogue.note_seen(now)
    assert entry().last_seen == now - timedelta(minutes=2)
    assert entry("gone").last_seen == now - timedelta(minutes=30)
    catalogue.recount(now)
    assert entry().last_seen >= now - timedelta(minutes=2)


def test_a_name_that_was_not_sent_for_a_day_is_looked_for_each_hour_only(asset, now, monkeypatch):
    web = asset("web-01")
    store(web, now - timedelta(minutes=2), cpu(0))
    catalogue.tally(now)
    long_ago = now - timedelta(days=2)
    CatalogueEntry.objects.update(last_seen=long_ago)
    monkeypatch.setattr(catalogue, "_SAMPLED_ASSETS", 0)
    catalogue.note_seen(now)
    assert entry().last_seen == long_ago
    catalogue._look_for(CatalogueEntry.objects.all(), now)
    assert entry().last_seen == now - timedelta(minutes=2)


def test_a_tally_that_is_killed_is_done_again(asset, now, monkeypatch):
    store(asset("web-01"), now, cpu(0))

    def dies(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(catalogue, "_counts", dies)
        with pytest.raises(RuntimeError):
            catalogue.tally(now)
    assert not CatalogueEntry.objects.exists()
    catalogue.tally(now)
    assert entry().series == 1


def test_two_who_count_do_not_meet(asset, now):
    store(asset("web-01"), now, cpu(0))
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [catalogue._LOCK])
        assert catalogue.tally(now) == 0
        catalogue.recount(now)
        assert not CatalogueEntry.objects.exists()
        cursor.execute("SELECT pg_advisory_unlock(%s)", [catalogue._LOCK])
    other.close()
    assert catalogue.tally(now) == 1


def test_the_notes_are_taken_and_not_kept(asset, now):
    store(asset("web-01"), now, cpu(0), cpu(1))
    catalogue.recount(now)
    catalogue.tally(now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metric_series_change")
        assert cursor.fetchone() == (0,)
